"""Toy trainings of 8 steps whose save never ends, for forks of a process that has imported NeMo."""

from __future__ import annotations

import contextlib
import functools
import os
import time


def train_and_hang(folder: str, hanging_save: int, told: str) -> dict[int | str, float]:
    """Save every 2 of 8 steps, going on from the newest finished checkpoint; each save writes its tensors in processes
    of Megatron's. Save number `hanging_save` (from 1; 0 for none) makes the file `told` and waits to be killed.
    """
    from megatron.core.dist_checkpointing.strategies import filesystem_async

    from tests.training.toy_run import train

    prepare = filesystem_async.FileSystemWriterAsync.prepare_write_data
    saves = 0

    def counting(*arguments: object, **options: object) -> object:
        nonlocal saves
        saves += 1
        return prepare(*arguments, **options)

    write = filesystem_async._write_item
    written = 0

    @functools.wraps(write)  # Megatron looks at its parameters
    def hanging(*arguments: object, **options: object) -> object:
        nonlocal written
        written += 1
        if saves == hanging_save and written == 5:
            with contextlib.suppress(FileExistsError):  # Megatron writes in several processes, and each comes here
                os.close(os.open(told, os.O_CREAT | os.O_EXCL))
            time.sleep(900)
        return write(*arguments, **options)

    filesystem_async.FileSystemWriterAsync.prepare_write_data = counting
    filesystem_async._write_item = hanging
    return train(folder=folder, max_steps=8, save_every=2, resume=True)
