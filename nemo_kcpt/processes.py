"""Child processes that never outlive their parent, with everything they print in a log file; memory of this one."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: between fork and exec little is safe


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux to kill this process when its parent ends, even by SIGKILL; elsewhere nothing happens.

    For Popen's `preexec_fn`; it outlasts exec. Without it a killed run would leave a training behind that writes into
    the folder of the run that follows.

    Args:
        parent: the parent's process id, where the caller knows it: a parent that ended before this call is noticed.
    """
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


def outlive_parent() -> None:
    """Take `die_with_parent` back."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, 0)


def peak_memory() -> int:
    """Most bytes that this process has had in memory so far.

    Not `getrusage`'s where Linux can tell better: that one counts what the parent had when it started this process.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _settle(address_space: int, environment: Mapping[str, str]) -> None:
    """A worker ends with its parent, leaves Ctrl-C to it, and fails alone on what unpacks without end."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    if address_space:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (address_space, hard))


@contextmanager
def pool(
    workers: int, *, address_space: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, which are stopped at once if the body does not end well.

    Spawned, not forked: a fork would freeze the threads of libraries that this process may hold.

    Args:
        workers: number of processes.
        address_space: bytes that each may map; 0: as many as it likes.
        environment: variables that each sets.
    """
    executor = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_settle, initargs=(address_space, environment or {})
    )
    try:
        yield executor
    except BaseException:
        for process in list((executor._processes or {}).values()):
            process.kill()
        executor.shutdown(wait=True, cancel_futures=True)
        raise
    executor.shutdown()


def start(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start `command` with both outputs appended to `log`; `environment` is added to this process's own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            preexec_fn=die_with_parent,
        )
