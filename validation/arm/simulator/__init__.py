"""Counted and simulated runs of the NEON kernels."""
