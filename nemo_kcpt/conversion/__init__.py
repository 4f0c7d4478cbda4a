"""Conversion between Megatron's torch_dist checkpoints and Hugging Face folders, and its verification."""
