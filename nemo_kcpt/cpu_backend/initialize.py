"""Megatron-Bridge's start without CUDA."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def without_cuda(original: Callable[..., Any]) -> Callable[..., Any]:
    """Stands in for ``initialize_megatron``, with the argument by which it allows a machine without CUDA."""
    return functools.partial(original, allow_no_cuda=True)


def nothing(_original: Any) -> Callable[..., None]:
    """Stands in for a function whose work only CUDA needs."""

    def cpu_nothing(*_: Any, **__: Any) -> None:
        return

    return cpu_nothing


def false(_original: Any) -> bool:
    """Stands in for a flag."""
    return False


def set_random_seed(original: Callable[..., None]) -> Callable[..., None]:
    """Stands in for ``_set_random_seed``, which fills Megatron's tracker only if there is a CUDA device."""

    @functools.wraps(original)
    def cpu_set_random_seed(seed_: int, *options: Any, pg_collection: Any, **named: Any) -> None:
        from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

        original(seed_, *options, pg_collection=pg_collection, **named)
        ranks = {f"{name}_rank": getattr(pg_collection, group).rank() for name, group in _GROUPS.items()}
        model_parallel_cuda_manual_seed(seed_ + 100 * pg_collection.pp.rank(), force_reset_rng=True, **ranks)

    return cpu_set_random_seed


_GROUPS = {"tp": "tp", "ep": "ep", "etp": "expt_tp"}
