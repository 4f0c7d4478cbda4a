"""Toy trainings of 8 steps, each in a fork of one process that has imported everything; some never end their save.

``python slow_save.py LOG``. A line ``{"folder": …, "hanging_save": N, "losses": …}`` on its input starts a training
that goes on from the newest finished checkpoint in the folder; its process id is answered, and when it has ended its
exit code. Save number N (from 1; 0 for none) never ends: ``SAVING`` is answered and the training waits to be killed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any


def train_and_hang(folder: str, hanging_save: int, losses: str, answer: int) -> None:
    """Save every 2 of 8 steps; each save writes its tensors in processes of Megatron's."""
    from megatron.core.dist_checkpointing.strategies import filesystem_async
    from toy_run import train

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
            # Megatron writes in several processes, and each comes here: the first one tells.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(f"{losses}.saving", os.O_CREAT | os.O_EXCL))
                os.write(answer, b"SAVING\n")
            time.sleep(900)
        return write(*arguments, **options)

    filesystem_async.FileSystemWriterAsync.prepare_write_data = counting
    filesystem_async._write_item = hanging
    found = train(folder=folder, max_steps=8, save_every=2, resume=True)
    Path(losses).write_text(json.dumps(found))


def in_a_fork(order: dict[str, Any], answer: int) -> None:
    """Train in a process, and process group, of its own, which need not outlive this function."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            train_and_hang(**order, answer=answer)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.write(answer, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(answer, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def main(log: str) -> None:
    # Everything is imported before the forks, and nothing has computed yet, so no thread is lost in them.
    answer = os.dup(1)
    with open(log, "ab") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    from nemo.collections import llm  # noqa: F401

    import nemo_kcpt.models.llama
    import nemo_kcpt.training.resume
    import nemo_kcpt.training.strategy  # noqa: F401

    for line in sys.stdin:
        in_a_fork(json.loads(line), answer)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(sys.argv[1])
