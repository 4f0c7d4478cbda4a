"""A whole experiment as a graph of processes: shared work is done once, a failed cell stops no other."""
