"""People rate answers: a blind sheet for them, and what their ratings say together."""
