"""The guidelines of the ShuffleNet V2 paper as experiments."""
