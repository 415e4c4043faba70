"""Scores on measurements made by others."""
