"""Measuring: clocks, campaigns, their store, the machine that measures."""
