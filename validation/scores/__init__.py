"""Scores on measurements that others made."""
