"""Runs steps one after the other, skips what is finished, shows which one runs and how long is left.

A step's `steps/NAME/manifest.json` is written after its process ended well and its products exist; its fingerprint
covers its command and the fingerprints of the steps before it, so a changed step makes those behind it stale too.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt import processes
from nemo_kcpt.demo.steps import Step
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import write_json
from nemo_kcpt.runs import Stage, read_manifest, stage

POLL_SECONDS = 0.2
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
}


def _relative(text: str, run: Path) -> str:
    """A command's word without the place of the run or of Python, which don't shape the result."""
    return re.sub(r"^\S*/bin/", "", text.replace(str(run), "RUN"))


def _is_finished(current: Stage, step: Step) -> bool:
    return current.done and all(path.is_file() for path in step.products)


def _log_tail(log: Path, start: int, lines: int = 12) -> str:
    """The lines from byte `start` on that a user needs to see: errors where there are some, else the last ones."""
    text = log.read_bytes()[start:].decode("utf-8", errors="replace").splitlines()
    wanted = [line for line in text[-200:] if re.search(r"^kcpt \S+: |Error|error:|Exception", line)]
    return "\n".join(f"  {line[:400]}" for line in (wanted or text)[-lines:])


def _fraction(step: Step) -> float | None:
    """How far a training is, from the last line of its metrics file."""
    if step.metrics is None or not step.metrics.is_file():
        return None
    with step.metrics.open("rb") as stream:
        stream.seek(max(0, step.metrics.stat().st_size - 512))
        lines = stream.read().split(b"\n")[:-1]
    try:
        last = json.loads(lines[-1])
        return float(last["step"]) / float(last["max_steps"])
    except (IndexError, ValueError, KeyError):
        return None


@dataclass
class Clock:
    """Estimates what is left from the steps' expected seconds and the pace measured so far."""

    steps: Sequence[Step]
    finished_expected: float = 0.0
    finished_seconds: float = 0.0

    @property
    def pace(self) -> float:
        """Measured over expected seconds; 1 until something has been measured."""
        return self.finished_seconds / self.finished_expected if self.finished_expected > 5 else 1.0

    def left(self, index: int, elapsed: float, fraction: float | None) -> float:
        """Seconds left, the running step `index` included."""
        expected = self.steps[index].expected * self.pace
        if fraction:
            expected = max(expected, elapsed / fraction)
        behind = sum(step.expected for step in self.steps[index + 1 :]) * self.pace
        return max(0.0, expected - elapsed) + behind

    def finish(self, step: Step, seconds: float) -> None:
        """Take in a step that has just ended."""
        self.finished_expected += step.expected
        self.finished_seconds += seconds


def clock_time(seconds: float) -> str:
    """`m:ss`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@contextmanager
def _display(steps: Sequence[Step]) -> Iterator[Any]:
    """`show(index, elapsed, fraction, left)` on one line of the terminal; a line a step where there is none."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, note="")

        def show(index: int, elapsed: float, fraction: float | None, left: float) -> None:
            step = steps[index]
            share = fraction if fraction is not None else min(0.99, elapsed / max(step.expected, 1.0))
            bar.update(
                task,
                completed=share,
                description=f"[{index + 1}/{len(steps)}] {step.title}".replace("[", "\\["),
                note=f"{clock_time(elapsed)}, about {clock_time(left)} left in all",
            )

        def say(index: int, text: str) -> None:
            bar.console.print(
                f"[{index + 1}/{len(steps)}] {steps[index].title}: {text}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

        yield show, say


def _execute(run: Path, index: int, step: Step, clock: Clock, show: Any) -> None:
    """Run a step's process to its end.

    Raises:
        BadInput, KcptError: it ended badly; the message holds what its log says.
    """
    log = run / "logs" / f"{step.name}.log"
    started, log_start = time.perf_counter(), log.stat().st_size if log.is_file() else 0
    child = processes.start(step.command, log, {**QUIET, **step.environment})
    try:
        while child.poll() is None:
            elapsed, fraction = time.perf_counter() - started, _fraction(step)
            show(index, elapsed, fraction, clock.left(index, elapsed, fraction))
            time.sleep(POLL_SECONDS)
    except BaseException:
        child.terminate()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
        raise
    missing = [path for path in step.products if not path.is_file()]
    if child.returncode == 0 and not missing:
        return
    reason = f"ended with code {child.returncode}" if child.returncode else f"did not write {missing[0]}"
    error = BadInput if child.returncode == 2 else KcptError
    raise error(
        f"step {step.name} {reason}. What is finished is kept; the same command goes on from here.\n"
        f"{_log_tail(log, log_start)}\nwhole log: {log}"
    )


def run_steps(run: Path, steps: Sequence[Step]) -> None:
    """Run the steps that are not finished, and write `timings.json` ([{name, seconds, cached}]) before the last one."""
    clock = Clock(steps)
    timings: list[dict[str, Any]] = []
    with _display(steps) as (show, say):
        for index, step in enumerate(steps):
            folder = run / "steps" / step.name
            config = {"command": [_relative(word, run) for word in step.command]}
            before: dict[str, Path | str] = {
                name: read_manifest(run / "steps" / name)["fingerprint"] for name in step.inputs
            }
            if index == len(steps) - 1:
                write_json(run / "timings.json", timings)
            with stage(step.name, folder, config=config, inputs=before) as current:
                current.done = _is_finished(current, step)
                if current.done:
                    seconds = float(read_manifest(folder)["seconds"])
                    say(index, f"finished before ({clock_time(seconds)})")
                else:
                    started = time.perf_counter()
                    _execute(run, index, step, clock, show)
                    seconds = time.perf_counter() - started
                    clock.finish(step, seconds)
                    say(index, f"{clock_time(seconds)}")
                timings.append({"name": step.title, "seconds": round(seconds, 1), "cached": current.done})
