"""Fictional papers with known facts, and a template teacher: a run without documents and without an LLM."""
