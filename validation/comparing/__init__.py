"""Comparison of measured and predicted times, as tables and JSON."""
