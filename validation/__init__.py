"""Measurements of networks on real devices, and their comparison with predictions."""
