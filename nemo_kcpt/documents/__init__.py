"""Documents as they come in: where they lie, what is read of one, and how packed files are opened under limits."""
