"""Questions, answers from memory, scores: what a model knows of the documents it was trained on."""
