"""Patterns: several operators of a source that are one operator here.

Users write a channel shuffle as reshape, transpose, copy and reshape; exporters decompose
activations and normalizations. A pattern is a function of the value that the last of the pieces
makes. It returns the operator that replaces all of them, or None. :mod:`.together` then checks that
intermediate values have no other consumer.
"""
