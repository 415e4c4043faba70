"""Formulas: symbols and the functions that dispatch on them, text of expressions, closed forms."""
