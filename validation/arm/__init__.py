"""The project's NEON kernels: built, run on boards or emulated, checked, counted, simulated."""
