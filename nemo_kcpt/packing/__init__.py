"""Papers and their instruction data as windows of token ids, and the store that holds them."""

from nemo_kcpt.packing.best_fit import pack_best_fit

__all__ = ["pack_best_fit"]
