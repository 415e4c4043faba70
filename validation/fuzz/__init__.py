"""Fuzzing: all readers of files and texts with invalid inputs."""
