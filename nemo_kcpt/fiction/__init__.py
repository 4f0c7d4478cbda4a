"""Fictional papers with known facts, and a template teacher: a whole run without a corpus or a teacher LLM."""
