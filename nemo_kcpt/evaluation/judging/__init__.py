"""The judge: an LLM says of each answer whether it is factual, given the reference and the paper or the corpus."""
