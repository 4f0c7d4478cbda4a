"""Megatron's torch_dist checkpoints to Hugging Face folders and back, and whether the two are equal."""
