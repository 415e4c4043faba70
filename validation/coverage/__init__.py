"""Import of a list of networks, with their counts compared to an independent count."""
