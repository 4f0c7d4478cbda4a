"""Scores of answers: exact match, facts, BERTScore, the combined score, and perplexity."""
