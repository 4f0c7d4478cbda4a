"""Commands in forks of a Python that has imported what is slow to import.

NeMo's import costs 13 s of a core. A run of several trainings and exports pays it once: the standard library's fork
server imports, and a command that begins with this environment's Python or with one of its scripts then runs in a fork,
with `sys.argv`, output, environment and exit code of a process of its own. Forks share the imported modules' memory.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

MODULES, LOG = "KCPT_PRELOAD", "KCPT_PRELOAD_LOG"
"""Environment variables that tell `nemo_kcpt.preload` what to import, and where to print."""


class ForkedChild:
    """A command that runs in a fork; as much of `subprocess.Popen` as its callers use."""

    def __init__(self, process: Any) -> None:
        self._process = process

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        code: int | None = self._process.exitcode
        return code

    def poll(self) -> int | None:
        """The same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """Make it end."""
        self._process.kill()


def preload(modules: Sequence[str], log: Path) -> None:
    """Start the server, which begins to import `modules` at once and prints to `log`; without effect once it runs."""
    log.parent.mkdir(parents=True, exist_ok=True)
    os.environ |= {MODULES: " ".join(modules), LOG: str(log.absolute())}
    forkserver.set_forkserver_preload(["nemo_kcpt.preload"])
    forkserver.ensure_running()


def run(command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> ForkedChild:
    """Start a command in a fork, everything it prints appended to `log`, `environment` added to the server's own."""
    log.parent.mkdir(parents=True, exist_ok=True)
    given = list(command), str(log.absolute()), dict(environment or {}), os.getcwd()
    process = multiprocessing.get_context("forkserver").Process(target=_run, args=given, name=Path(command[0]).name)
    process.start()
    return ForkedChild(process)


def _run(command: Sequence[str], log: str, environment: Mapping[str, str], folder: str) -> None:
    """What the fork does.

    Raises:
        SystemExit: as the command does.
    """
    threading.Thread(target=_end_with_caller, name="kcpt-caller", daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.set_start_method(
        None, force=True
    )  # else what the command starts, as data loaders, is forked elsewhere
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.environ.update(environment)
    os.chdir(folder)
    try:
        _execute(list(command))
    finally:
        atexit._run_exitfuncs()  # a fork ends without them


def _end_with_caller() -> None:
    """End when the process that asked for the fork has ended; the server, its parent, lives as long as its forks do."""
    caller = multiprocessing.parent_process()
    assert caller is not None
    connection.wait([caller.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _execute(words: list[str]) -> None:
    """Run a Python command in this process; another program replaces it."""
    scripts = Path(sys.executable).parent
    if Path(words[0]) == Path(sys.executable) and words[1:2] == ["-m"]:
        sys.argv = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    elif Path(words[0]).parent == scripts and _is_python(Path(words[0])):
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")
    else:
        os.execvp(words[0], words)


def _is_python(script: Path) -> bool:
    """Whether a file is a Python script."""
    with script.open("rb") as stream:
        first = stream.readline(4096)
    return first.startswith(b"#!") and b"python" in first
