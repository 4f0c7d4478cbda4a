"""Checkpoints: NeMo asserts CUDA when one is loaded, Megatron starts a process when one is saved."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.managers import SyncManager
from typing import Any

from nemo_kcpt.processes import die_with_parent


def fix_tensors_device(_original: Any) -> Callable[[dict], dict]:
    """Stands in for NeMo's ``_fix_tensors_device``: the tensors are on the only device there is."""

    def cpu_fix_tensors_device(ckpt: dict) -> dict:
        return ckpt

    return cpu_fix_tensors_device


def write_results_queue(_original: Any) -> Callable[[], Any]:
    """Stands in for Megatron's ``_get_write_results_queue``: the queue's process is forked and dies with this one.

    Forking is safe here as there is no CUDA context to copy; Megatron forks for writing, too.
    """

    from megatron.core.dist_checkpointing.strategies import filesystem_async

    def cpu_write_results_queue() -> Any:
        if filesystem_async._results_queue is None:
            manager = SyncManager(ctx=multiprocessing.get_context("fork"))
            manager.start(die_with_parent)
            filesystem_async._results_queue = manager.Queue()
        return filesystem_async._results_queue

    return cpu_write_results_queue
