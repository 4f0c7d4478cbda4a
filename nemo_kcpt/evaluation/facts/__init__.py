"""Fact checks without an LLM: numbers and names of an answer, looked up in the reference, the paper and the corpus."""
