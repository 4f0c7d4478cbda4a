"""Hugging Face folders: a model's shape, its tokenizer and chat template, and how they are loaded."""
