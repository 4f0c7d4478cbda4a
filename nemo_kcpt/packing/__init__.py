"""Packing: tokenise papers and their instruction data, interleave them, cut windows, write the pack store."""

from nemo_kcpt.packing.best_fit import pack_best_fit

__all__ = ["pack_best_fit"]
