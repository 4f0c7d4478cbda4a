"""Questions, answers from memory, scores: what a model knows of the documents once it has been trained on them."""
