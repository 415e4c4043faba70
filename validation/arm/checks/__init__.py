"""Checks of the NEON kernels against a reference."""
