"""Child processes that never outlive their parent, with everything they print in a log file; memory of this one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
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
GUARD = "import os, signal, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"
"""Waits until the other end of its input is closed, as the system does for a process that was killed."""
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


def start(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    only: Mapping[str, str] | None = None,
    read: bool = False,
    group: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child process, which ends with this one.

    Args:
        command: program and arguments.
        log: file that what it prints is appended to.
        environment: variables that are added to this process's own.
        only: all variables that it gets, in place of those.
        read: what it prints is the caller's to read, from `stdout`; errors alone go to the log.
        group: it leads a group of its own, for `end_group` and `guard_group`.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if read else stream,
            stderr=stream if read else subprocess.STDOUT,
            env={**(os.environ if only is None else only), **(environment or {})},
            start_new_session=group,
            preexec_fn=die_with_parent,
        )


def end_group(process: subprocess.Popen[bytes], patience: float = 0.0) -> None:
    """End a process of `start(group=True)` and all that it has started; asked first if `patience` seconds are given."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        if patience:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(patience)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def guard_group(process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that ends the group of another one when this one ends, even by SIGKILL.

    `die_with_parent` reaches the group's first process only. Kill the guard before anything else is called so.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", GUARD, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def tail(log: Path, lines: int = 12, *, start: int = 0, prefer: Sequence[str] = ()) -> str:
    """The last lines of a log, indented for a message.

    Args:
        log: the file.
        lines: at most so many.
        start: byte at which what is meant begins.
        prefer: regular expressions; of the last 200 lines those alone that match the first that matches any.
    """
    text = log.read_bytes()[start:].decode("utf-8", errors="replace").splitlines()
    matching = ([line for line in text[-200:] if re.search(pattern, line)] for pattern in prefer)
    return "\n  ".join(line[:400] for line in next(filter(None, matching), text)[-lines:])
