"""Instruction data about papers: prompts, teachers, filters, and the sets for instruction tuning."""
