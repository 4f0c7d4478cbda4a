"""NeMo 2 and Megatron-Core on a CPU, over gloo.

Both libraries name CUDA in places where any device would do. :data:`OVERRIDES` lists each place once, with the upstream
line it answers; :func:`activate` puts them in place. Nothing happens on import, and nothing at all where CUDA is there.
What configuration can settle is not here: see :class:`nemo_kcpt.training.strategy.KcptMegatronStrategy` and
:mod:`nemo_kcpt.models.llama`.
"""

from __future__ import annotations

import torch

from nemo_kcpt.training.cpu_backend.override import Override
from nemo_kcpt.training.cpu_backend.table import OVERRIDES

__all__ = ["OVERRIDES", "Override", "activate", "is_active"]

_active = False


def activate() -> bool:
    """Puts every override in place, once; does nothing where CUDA is there.

    Returns:
        True if the CPU backend is active after the call.
    """
    global _active
    if not _active and not torch.cuda.is_available():
        for override in OVERRIDES:
            override.apply()
        _active = True
    return _active


def is_active() -> bool:
    """True once :func:`activate` has put the overrides in place in this process."""
    return _active
