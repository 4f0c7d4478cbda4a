"""General text and questions, written for this project: what a training should not make a model forget."""
