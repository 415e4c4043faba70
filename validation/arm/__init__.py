"""NEON kernels of our own: built, run on boards or emulated, checked, counted, simulated."""
