"""Training with NeMo 2: the strategy, and the CPU backend."""
