"""What the starting model says: its distributions for a pack's tokens, and conversations sampled from it."""
