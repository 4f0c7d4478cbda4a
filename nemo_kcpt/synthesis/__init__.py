"""Synthetic data from papers: the 16 kinds, the teacher interface, and the clients behind it."""
