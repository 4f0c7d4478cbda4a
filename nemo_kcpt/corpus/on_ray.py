"""Pieces of a corpus read on the machines of a Ray cluster: `launcher=ray`.

Every machine sees the same file system and has the same nemo_kcpt. A task reads a batch of pieces in a process of its
own, as one machine does (parts.py), and writes their parts into the `out` folder, so that no text goes through Ray. A
task that dies with its machine is done again by Ray, which reads only the pieces that are not there yet.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nemo_kcpt
from nemo_kcpt.corpus.parts import Job, make
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.logs import LOG

BATCHES = 4
"""Tasks for each CPU, so that machines which are done early get more."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_metrics_collection": "false"}
"""Nothing is sent to Ray's makers, and no server for metrics is started."""


def on_ray(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Yield jobs as they are done, on the cluster that RAY_ADDRESS names or that runs here, else on this machine.

    Args:
        jobs: pieces to be made into parts.
        workers: processes at most; 0: one for each CPU of the cluster.

    Raises:
        BadInput: Ray cannot be imported, or a machine lacks the folder or has another nemo_kcpt.
        KcptError: there is no such cluster, or a task failed as often as Ray tries it.
    """
    with _cluster() as ray:
        slots = max(1, int(ray.cluster_resources().get("CPU", 1)))
        slots = min(workers or slots, slots)
        size = max(1, len(jobs) // (BATCHES * slots))
        batches = [jobs[start : start + size] for start in range(0, len(jobs), size)]
        LOG.info("corpus: %d pieces for %d CPUs on %d machines of Ray", len(jobs), slots, len(_machines(ray)))
        task = ray.remote(num_cpus=1, max_retries=3)(_make)
        running: dict[Any, Sequence[Job]] = {}
        while batches or running:
            while batches and len(running) < slots:
                batch = batches.pop(0)
                running[task.remote(list(batch), os.getcwd(), nemo_kcpt.__version__)] = batch
            (done,), _ = ray.wait(list(running), num_returns=1)
            batch = running.pop(done)
            try:
                ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise _error_of(error) from None
            except ray.exceptions.RayError as error:
                raise KcptError(
                    f"{batch[0].piece.paths[0] if batch[0].piece.paths else 'Ray'}: its task failed on Ray: "
                    f"{' '.join(str(error).split())[:500]}. What is done is kept; rerun the same command to resume"
                ) from None
            yield from batch


def _make(jobs: Sequence[Job], folder: str, version: str) -> None:
    """The task: make the parts that are not there.

    Raises:
        BadInput: the machine does not see the folder of the command, or has another nemo_kcpt.
    """
    where = os.uname().nodename
    if nemo_kcpt.__version__ != version:
        raise BadInput(
            f"{where}: has nemo_kcpt {nemo_kcpt.__version__}, but the command {version}; install the same everywhere"
        )
    if not Path(folder).is_dir() or not (Path(folder) / jobs[0].folder).is_dir():
        raise BadInput(
            f"{where}: does not see {Path(folder) / jobs[0].folder}; give input= and out= on a file system that all "
            "machines share, by the same paths"
        )
    os.chdir(folder)
    for _ in make([job for job in jobs if not job.done], 1):
        pass


@contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected to the cluster.

    Raises:
        BadInput: Ray is not installed.
        KcptError: the cluster cannot be reached.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
    try:
        import ray
    except ImportError as error:
        raise BadInput(
            f"launcher=ray needs Ray, which cannot be imported here ({error}): install it on every machine of the "
            f"cluster by `{sys.executable} -m pip install ray`, or omit launcher="
        ) from None
    own = not ray.is_initialized()
    if own:
        address = os.environ.get("RAY_ADDRESS", "")
        try:
            if match := re.fullmatch(r"(.+):(\d+)", address.removeprefix("ray://")):  # Ray itself tries for minutes
                socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=30).close()
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise KcptError(
                f"Ray: no cluster at RAY_ADDRESS={address}: {error}. Start one by `ray start`, correct RAY_ADDRESS, "
                "or unset it to use the cluster of this machine"
            ) from None
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def _machines(ray: Any) -> list[Any]:
    return [node for node in ray.nodes() if node["Alive"]]


def _error_of(error: Any) -> Exception:
    """What went wrong in a task, as it would have here."""
    if isinstance(error.cause, KcptError):
        return error.cause
    said = " ".join(str(error).split())
    return KcptError(f"a task on Ray failed: {said[-700:]}. What is done is kept; rerun the same command to resume")
