"""Answers of models to questions, through vLLM, transformers or a server."""
