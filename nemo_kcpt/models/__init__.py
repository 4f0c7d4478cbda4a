"""Llama-family models on Megatron-Core; importing its modules imports NeMo (12-16 s)."""
