"""Hugging Face folders: what a model's shape is, its tokenizer and chat template, and how they are loaded."""
