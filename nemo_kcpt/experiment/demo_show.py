"""What the demo shows while it runs: which steps, how far they are, how long is left in all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nemo_kcpt.experiment.clock import left_seconds, measure_pace
from nemo_kcpt.experiment.process import clock_time
from nemo_kcpt.experiment.runner import Say
from nemo_kcpt.experiment.states import DONE, RUNNING, States

LINE_SECONDS = 30
"""Between two lines on the same steps where output is no terminal."""
REFRESH_SECONDS = 0.5
TITLES = {
    "world": "fictional papers",
    "corpus": "corpus with held-out papers",
    "synthesize": "synthetic data",
    "questions": "questions",
    "documents": "papers of the base model",
    "sft-data": "instruction data",
    "pack": "packing",
    "pretrain": "pretraining",
    "finetune": "instruction tuning",
    "export": "export to Hugging Face, logits compared with Megatron's",
    "answers": "answers from memory",
    "scores": "exact match, BERTScore with a placeholder encoder",
    "report": "report",
}
"""A kind of step, and what it makes."""


class _Show:
    """Lines for what has happened; one line for what runs, renewed in a terminal and repeated elsewhere."""

    def __init__(self, states: States, workers: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._states, self._workers = states, workers
        self._numbers = {name: number for number, name in enumerate(states.graph.nodes, 1)}
        self._last_update = time.monotonic()
        console = Console()
        self._interval = REFRESH_SECONDS if console.is_terminal else LINE_SECONDS
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self.bar.add_task("", total=1.0, note="")
        unfinished = any(states.of(name).word != DONE for name in self._numbers)
        self._pace = measure_pace() if unfinished else None

    def say(self, name: str, text: str) -> None:
        """A step has begun or ended."""
        if text == RUNNING:
            self._last_update = time.monotonic() - self._interval + 2  # it is shown when it has had the time to begin
            return
        seconds = self._states.of(name).seconds or 0.0
        if text in (DONE, "finished before"):
            self._line(name, clock_time(seconds) if text == DONE else f"{text} ({clock_time(seconds)})")

    def tick(self) -> None:
        """Renew or repeat what runs, if it is time."""
        if time.monotonic() - self._last_update < self._interval:
            return
        self._last_update = time.monotonic()
        states = self._states.all()
        left = clock_time(left_seconds(self._states.graph, states, self._workers, self._pace))
        running = [name for name, state in states.items() if state.word == RUNNING]
        if not running:
            return
        name = running[0]
        state, node = states[name], self._states.graph.nodes[name]
        elapsed = state.seconds or 0.0
        beside = f" (and {', '.join(running[1:])})" if running[1:] else ""
        if not self.bar.disable:
            share = state.fraction if state.fraction is not None else min(0.99, elapsed / max(node.expected, 1.0))
            head = f"{self._head(name)}{beside}".replace("[", "\\[")
            self.bar.update(
                self._task, completed=share, description=head, note=f"{clock_time(elapsed)}, about {left} left in all"
            )
        else:
            done = f"{state.fraction:.0%} after " if state.fraction is not None else ""
            self._line(name, f"{done}{clock_time(elapsed)}{beside}; about {left} left in all")

    def _line(self, name: str, text: str) -> None:
        self.bar.console.print(f"{self._head(name)}: {text}", markup=False, highlight=False, soft_wrap=True)

    def _head(self, name: str) -> str:
        kind = self._states.graph.nodes[name].kind
        return f"[{self._numbers[name]}/{len(self._numbers)}] {name}: {TITLES[kind]}"


@contextmanager
def display(states: States, workers: int) -> Iterator[tuple[Say, Callable[[], None]]]:
    """`say(name, text)` and `tick()` for the runner."""
    show = _Show(states, workers)
    with show.bar:
        yield show.say, show.tick
