"""NeMo 2 and Megatron-Bridge, with the Megatron-Core of each, on a CPU, over gloo.

These libraries name CUDA in places where any device would do. A table for each backend lists each place once, with the
upstream line it answers (:mod:`nemo_kcpt.cpu_backend.nemo`, :mod:`nemo_kcpt.cpu_backend.bridge`; what both need is in
:mod:`nemo_kcpt.cpu_backend.shared`); :func:`activate` puts one of them in place. Nothing happens on import, and nothing
at all where CUDA is there. What configuration can settle is not here: see
:class:`nemo_kcpt.training.strategy.KcptMegatronStrategy`, :mod:`nemo_kcpt.bridge.config` and
:mod:`nemo_kcpt.models.llama`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nemo_kcpt.cpu_backend.nemo import OVERRIDES
from nemo_kcpt.cpu_backend.override import Override

__all__ = ["OVERRIDES", "Override", "activate", "is_active"]

_active = False


def activate(overrides: Sequence[Override] | None = None) -> bool:
    """Puts every override of a backend in place, NeMo's unless others are given; once, and not where CUDA is there.

    Returns:
        True if the CPU backend is active after the call.
    """
    global _active
    if not _active and not torch.cuda.is_available():
        for override in OVERRIDES if overrides is None else overrides:
            override.apply()
        _active = True
    return _active


def is_active() -> bool:
    """True once :func:`activate` has put the overrides in place in this process."""
    return _active
