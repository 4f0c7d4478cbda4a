"""A whole experiment as a graph of processes: what is shared is done once, a failed cell does not stop the others."""
