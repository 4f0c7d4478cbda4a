"""NeMo checkpoints and Hugging Face weights, read, checked and written without NeMo."""
