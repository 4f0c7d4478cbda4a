"""One step of a longer run in a process of its own: its log, how far it is, how it ended."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from nemo_kcpt import forks, processes
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.records.steps import last_step

QUIET = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
"""Environment of every step."""
STOP_SECONDS = 20
ERRORS = (r"^kcpt \S+: ", r"Error|error:|Exception")
"""Lines of a log that a user needs to see: our own, and where there is none, anything that looks like an error."""


def relative(text: str, run: Path) -> str:
    """A command's word without the place of the run or of Python, which don't shape the result."""
    return re.sub(r"^\S*/bin/", "", text.replace(str(run), "RUN"))


def clock_time(seconds: float) -> str:
    """`m:ss`, from an hour on `h:mm:ss`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def fraction_done(metrics: Path | None) -> float | None:
    """How far a training is (0 to 1), from the last line of its metrics file; None where that is not known."""
    last = last_step(metrics) if metrics is not None else None
    try:
        return float(last["step"]) / float(last["max_steps"]) if last is not None else None
    except (ValueError, KeyError):
        return None


class StepProcess:
    """A command that runs, everything it prints appended to `log`.

    Args:
        name: what messages call it.
        command: program and arguments.
        log: file of its output.
        products: files that must be there when it has ended.
        environment: added to this process's own.
        metrics: where a training writes its progress.
        fork: run it in a fork of the preloaded server, see `nemo_kcpt.forks`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        products: Sequence[Path] = (),
        environment: Mapping[str, str] | None = None,
        metrics: Path | None = None,
        fork: bool = False,
    ) -> None:
        self.name, self.log, self._products, self._metrics = name, log, products, metrics
        self._log_start = log.stat().st_size if log.is_file() else 0
        self._started = time.perf_counter()
        run = forks.run if fork else processes.start
        self._child: subprocess.Popen[bytes] | forks.ForkedChild = run(command, log, {**QUIET, **(environment or {})})

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.perf_counter() - self._started

    @property
    def fraction(self) -> float | None:
        """How far it is, where it says so."""
        return fraction_done(self._metrics)

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or badly."""
        return self._child.poll() is not None

    def stop(self) -> None:
        """Ask it to end, and make it."""
        self._child.terminate()
        try:
            self._child.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def problem(self) -> KcptError | None:
        """Why it failed, once it has ended; None if it did not. The message holds what its log says."""
        missing = [path for path in self._products if not path.is_file()]
        code = self._child.returncode
        if code == 0 and not missing:
            return None
        reason = f"ended with code {code}" if code else f"did not write {missing[0]}"
        error = BadInput if code == 2 else KcptError
        return error(
            f"step {self.name} {reason}. What is finished is kept; rerun the same command to resume.\n"
            f"  {processes.tail(self.log, start=self._log_start, prefer=ERRORS)}\nwhole log: {self.log}"
        )
