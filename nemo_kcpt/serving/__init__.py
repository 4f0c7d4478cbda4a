"""Greedy answers of models in folders: vLLM's worker, and transformers."""
