"""Fuzzing: every reader of files and texts fed with what no one should have written."""
