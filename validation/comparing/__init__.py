"""Comparing: measured beside predicted, as tables and JSON."""
