"""Times of kernels and networks: formulas, parameters with priors, tables of many networks."""
