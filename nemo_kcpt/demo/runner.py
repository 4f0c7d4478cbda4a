"""Runs steps one after the other, skips what is finished, shows which one runs and how long is left.

A step's `steps/NAME/manifest.json` is written after its process ended well and its products exist; its fingerprint
covers its command and the fingerprints of the steps before it, so a changed step makes those behind it stale too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.demo.steps import Step
from nemo_kcpt.files import write_json
from nemo_kcpt.grid.process import StepProcess, clock_time, relative
from nemo_kcpt.runs import Stage, read_manifest, stage

POLL_SECONDS = 0.2


def _is_finished(current: Stage, step: Step) -> bool:
    return current.done and all(path.is_file() for path in step.products)


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
    child = StepProcess(step.name, step.command, log, step.products, step.environment, step.metrics)
    try:
        while not child.ended:
            show(index, child.seconds, child.fraction, clock.left(index, child.seconds, child.fraction))
            time.sleep(POLL_SECONDS)
    except BaseException:
        child.stop()
        raise
    problem = child.problem()
    if problem is not None:
        raise problem


def run_steps(run: Path, steps: Sequence[Step]) -> None:
    """Run the steps that are not finished, and write `timings.json` ([{name, seconds, cached}]) before the last one."""
    clock = Clock(steps)
    timings: list[dict[str, Any]] = []
    with _display(steps) as (show, say):
        for index, step in enumerate(steps):
            folder = run / "steps" / step.name
            config = {"command": [relative(word, run) for word in step.command]}
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
