"""Counts that need no hardware: cost, metrics, memory, parallelism, lower bounds."""
