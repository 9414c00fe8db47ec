"""The procedural world: clips in which everything is known, because a seed made them."""
