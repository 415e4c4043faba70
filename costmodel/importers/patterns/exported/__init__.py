"""Patterns of operators decomposed by exporters; all modules of this folder are loaded."""
