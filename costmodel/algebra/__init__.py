"""Formulas: symbols, functions that dispatch on them, expressions as text, closed forms."""
