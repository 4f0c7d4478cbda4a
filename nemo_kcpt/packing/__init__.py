"""Packing: tokenise papers and their instruction data, interleave them, cut windows, write the pack store."""
