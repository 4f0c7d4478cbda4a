"""Forks of a process that has imported NeMo: a training, or a command, starts in a moment and not after 13 s of CPU.

In Megatron-Bridge's environment, where NeMo is not, the process has imported that instead.

The process is the standard library's fork server, one for each pytest process, started by the first test that asks. It
has computed nothing, so no thread is lost in a fork, and each fork has the state of a fresh process: Megatron's groups,
the CPU backend and torch's random numbers of one test are nothing to the next.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

from nemo_kcpt.processes import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
ALWAYS = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "0",
    "PYTHONPATH": f"{ROOT}{os.pathsep}{os.getenv('PYTHONPATH', '')}",
}
PRELOAD = "tests.nemo_loaded" if find_spec("nemo") is not None else "tests.bridge.loaded"
SECONDS = 600.0
"""After which a start that is waited for is killed; a whole test has longer."""


@dataclass(frozen=True)
class Running:
    """The processes of one start, each the leader of a process group: as many as there are ranks."""

    processes: list[Any]
    answers: connection.Connection
    log: Path

    @property
    def output(self) -> str:
        """What all of them have printed so far."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of the first, and of its process group."""
        return self.processes[0].pid

    def wait(self, seconds: float = SECONDS) -> int:
        """The first exit code that is not zero, or zero; where a rank fails or is late, the others are killed."""
        deadline, grace = time.monotonic() + seconds, None
        while any(one.exitcode is None for one in self.processes):
            connection.wait([one.sentinel for one in self.processes if one.exitcode is None], timeout=0.2)
            if any(one.exitcode for one in self.processes):
                grace = grace or time.monotonic() + 2  # for the others to say what they met
            if time.monotonic() > min(deadline, grace or deadline):
                failed = [one.exitcode for one in self.processes]
                self.kill()
                return next((code for code in failed if code), -signal.SIGKILL)
        return next((one.exitcode for one in self.processes if one.exitcode), 0)

    def kill(self) -> None:
        """SIGKILL to every process of every rank."""
        for one in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.join()

    def result(self, seconds: float = SECONDS) -> Any:
        """What the function returned on the first rank; fails with what was printed where a rank did not end well."""
        answer, deadline = None, time.monotonic() + seconds
        while time.monotonic() < deadline and not any(one.exitcode for one in self.processes):
            if self.answers.poll(0.1):
                with suppress(EOFError):  # it has ended without an answer
                    answer = self.answers.recv()
                break
        code = self.wait(max(0.0, deadline - time.monotonic()))
        assert code == 0, f"exit code {code}\n{self.output[-6000:]}"
        return answer


def start(
    function: Callable[..., Any],
    *arguments: Any,
    log: Path,
    ranks: int = 1,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> Running:
    """Call `function(*arguments, **options)` in a fork, or in `ranks` forks as torchrun would set them up.

    Args:
        function: of a module that can be imported; what it is given and returns is pickled.
        log: takes what the processes print.
        ranks: with more than one, each finds RANK, WORLD_SIZE and a rendezvous of their own in its environment.
        environment: more variables.
    """
    context = _server()
    answers, answer = context.Pipe(duplex=False)
    world = _world(ranks) if ranks > 1 else [{}]
    log.parent.mkdir(parents=True, exist_ok=True)
    processes = [
        context.Process(
            target=_in_the_fork,
            args=(function, arguments, options, {**(environment or {}), **own}, log, None if rank else answer),
        )
        for rank, own in enumerate(world)
    ]
    for one in processes:
        one.start()
    answer.close()
    return Running(processes, answers, log)


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What `function` returns when it is started as :func:`start` does; fails if it does not end well."""
    return start(function, *arguments, **options).result()


def command(words: Sequence[object], *, log: Path, **options: Any) -> str:
    """Run `nemo …` or `kcpt …` as its console script does, in a fork; gives what it printed, fails if it failed."""
    running = start(console, [str(word) for word in words], log=log, **options)
    running.result()
    return running.output


def console(words: list[str]) -> None:
    """What the console script `words[0]` does with its words."""
    sys.argv = words
    if words[0] == "kcpt":
        from nemo_kcpt.cli import main

        sys.exit(main(words[1:]))
    from nemo_run.cli.api import create_cli

    assert words[0] == "nemo", words
    sys.exit(create_cli()())  # as nemo_run.__main__ does, which looks at sys.argv when it is imported


def _server() -> Any:
    """The standard library's context for forks of the server, which is started if it is not running."""
    before = {name: os.environ.get(name) for name in ALWAYS}
    os.environ.update(ALWAYS)
    try:
        forkserver.set_forkserver_preload([PRELOAD])
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return multiprocessing.get_context("forkserver")


def _world(ranks: int) -> list[dict[str, str]]:
    """Each rank's environment, as torchrun sets it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    shared = {
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": f"forks-{port}",
        "TORCHELASTIC_USE_AGENT_STORE": "False",
    }
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(ranks)]


def _in_the_fork(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    options: dict[str, Any],
    environment: dict[str, str],
    log: Path,
    answer: connection.Connection | None,
) -> None:
    die_with_parent()
    os.setsid()
    # Else this process's own children, of data loaders for instance, would come from a fork server of its own.
    multiprocessing.set_start_method("fork", force=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    assert PRELOAD in sys.modules, f"the fork server has not imported {PRELOAD}"
    os.environ.update(environment)
    try:
        result = function(*arguments, **options)
    except SystemExit:
        raise
    except BaseException:
        traceback.print_exc()
        sys.exit(1)
    if answer is not None:
        answer.send(result)
