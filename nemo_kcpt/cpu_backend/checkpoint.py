"""Checkpoints: NeMo asserts CUDA when one is loaded, Megatron starts processes when one is saved."""

from __future__ import annotations

import functools
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.managers import SyncManager
from typing import Any

from nemo_kcpt.processes import die_with_parent


def fix_tensors_device(_original: Any) -> Callable[[dict], dict]:
    """Stands in for NeMo's ``_fix_tensors_device``: the tensors are on the only device there is."""

    def cpu_fix_tensors_device(ckpt: dict) -> dict:
        return ckpt

    return cpu_fix_tensors_device


def write_results_queue(_original: Any) -> Callable[..., Any]:
    """Stands in for Megatron's ``get_write_results_queue``: the queue's process is forked and dies with this one.

    Forking is safe here as there is no CUDA context to copy; Megatron forks for writing, too.
    """

    from megatron.core.dist_checkpointing.strategies import filesystem_async

    def cpu_write_results_queue(mp_mode: str = "fork") -> Any:
        del mp_mode
        if filesystem_async._results_queue is None:
            manager = SyncManager(ctx=multiprocessing.get_context("fork"))
            manager.start(die_with_parent, (os.getpid(),))
            filesystem_async._results_queue = manager.Queue()
        return filesystem_async._results_queue

    return cpu_write_results_queue


def write_preloaded_data(original: staticmethod) -> staticmethod:
    """Wraps Megatron's worker that writes a part of a checkpoint: it dies with the training it belongs to.

    Megatron's ends after its parent has read its results from a pipe. With the parent killed nobody reads, and as soon
    as they fill the pipe (64 KiB, about 200 tensors) the worker waits for ever.
    """

    @functools.wraps(original.__func__)
    def mortal_write_preloaded_data(*arguments: Any, **options: Any) -> None:
        parent = multiprocessing.parent_process()
        die_with_parent(parent.pid if parent else None)
        original.__func__(*arguments, **options)

    return staticmethod(mortal_write_preloaded_data)
