"""Which networks get in, and whether their counts equal an independent count."""
