"""The judge: an LLM says whether an answer is factual, given the reference and the paper or the corpus."""
