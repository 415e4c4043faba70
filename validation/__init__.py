"""Measuring networks on real devices, and setting what was measured beside what is predicted."""
