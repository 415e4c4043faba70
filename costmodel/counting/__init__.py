"""Counts independent of hardware: cost, metrics, memory, parallelism, lower bounds."""
