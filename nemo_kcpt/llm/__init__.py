"""Asking an LLM: clients, limits, journal, and one `ask`."""
