"""From the op graph to the specification of a run."""
