"""A whole experiment: every training, tuning and test of a matrix, as a graph of steps of which shared ones run once.

    kcpt grid --config conf/experiment/paper.yaml out=runs/paper --dryrun    what would run, GPU-hours, costs
    kcpt grid --config conf/experiment/paper.yaml out=runs/paper             on this machine, workers=N at once
    kcpt grid --config conf/experiment/paper.yaml out=runs/paper --status    how far it is; also from elsewhere
    kcpt grid --config … slurm.account=mine --submit                         as Slurm jobs, through nemo-run

One continual pretraining for each context length (and seed) feeds a tuning for each instruction set; every model is
exported, answers the questions and is scored; then comes the report. What is finished is skipped; rerun the same
command to resume a killed grid. A failed step stops only what needs it and is tried again the next time. When the file
has changed, the steps that it changes are named, and --redo makes them and those behind them again.

Writes out/report (of all that is finished), out/nodes (states), out/logs (what every step printed).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.experiment.experiment import Config
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import REPORT
from nemo_kcpt.experiment.on_slurm import launch
from nemo_kcpt.experiment.report import run_report
from nemo_kcpt.experiment.runner import Say, finish, note_end, refuse_stale, run_graph, start, without_idle
from nemo_kcpt.experiment.sections import check_sections
from nemo_kcpt.experiment.states import DONE, RUNNING, States
from nemo_kcpt.experiment.table import counts, grid_table
from nemo_kcpt.files import atomic_write, read_json
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.report.render import summary_table
from nemo_kcpt.runs import exclusive

NOT_SAVED = ("dryrun", "status", "submit", "only", "node", "ended", "workers")


def save(config: Config) -> Path:
    """The experiment, all keys in one file, for jobs of its own and for whoever wants to repeat it."""
    from omegaconf import OmegaConf

    path = config.out / "experiment.yaml"
    kept = {key: _plain(value) for key, value in asdict(config).items() if key not in NOT_SAVED}
    with atomic_write(path) as stream:
        stream.write(OmegaConf.to_yaml(OmegaConf.create(kept)))
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return value


def _run_node(states: States, name: str, ended: bool) -> None:
    """One step, in this process' place; the report itself is made in this process."""
    if name == REPORT:
        run_report(states)
        return
    (node,) = [states.graph.nodes[last] for last in states.graph.needed([name])[-1:]]
    if ended:
        note_end(states, node)
        return
    lacking = [dependency for dependency in node.after if states.of(dependency).word != DONE]
    if lacking:
        raise KcptError(f"step {name} needs {', '.join(lacking)}, which is not done; see {states.graph.run}/logs")
    if states.of(name).word == DONE:
        return
    running = start(states, node)
    while not running.process.ended:
        time.sleep(1)
    problem = finish(states, running)
    if problem is not None:
        raise problem


@contextlib.contextmanager
def _display(states: States, names: Sequence[str], workers: int) -> Iterator[tuple[Say, Any]]:
    """`say(name, text)` and `tick()`: a live table in a terminal, a line for each event elsewhere."""
    from rich.console import Console
    from rich.live import Live

    console, last = Console(), 0.0
    seen = {name: states.of(name).word for name in names}

    def say(name: str, text: str) -> None:
        seen[name] = text.split(":")[0]
        if console.is_terminal and text in (DONE, RUNNING, "finished before"):
            return
        console.print(f"{time.strftime('%H:%M:%S')} {name}: {text}", markup=False, highlight=False, soft_wrap=True)

    if not console.is_terminal:
        yield say, lambda: None
        console.print(counts(states.all(), names), highlight=False)
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:

        def tick() -> None:
            nonlocal last
            if time.monotonic() - last >= 1.0:
                last = time.monotonic()
                live.update(grid_table(states.graph, states.all(), names, workers), refresh=True)

        yield say, tick
        live.update(grid_table(states.graph, states.all(), names, workers), refresh=True)


def _run_here(config: Config, states: States, names: Sequence[str], redo: bool) -> None:
    from rich.console import Console

    refuse_stale(states, names, redo)
    with _display(states, names, config.workers) as (say, tick):
        failed = run_graph(states, names, config.workers, say, tick, keep=config.keep_checkpoints)
    page = config.out / "report/report.html"
    if page.is_file() and REPORT in names:
        console = Console()
        console.print(summary_table(read_json(page.with_suffix(".json"))))
        console.print(f"report: {page}", soft_wrap=True, highlight=False)
    if failed:
        kind = BadInput if all(isinstance(error, BadInput) for error in failed.values()) else KcptError
        raise kind(
            f"{len(failed)} steps failed: {', '.join(failed)}. The others are finished; mend the reason (logs are in "
            f"{config.out}/logs) and give the same command again"
        )


def run(config: Config, redo: bool = False) -> None:
    """Run what is missing; or show, or submit."""
    from rich.console import Console

    check_sections(config)
    check_folder(config.out)
    graph = Graph(config)
    if config.dryrun:
        from nemo_kcpt.experiment.dryrun import show  # reads the configs of all stages

        show(graph)
        return
    states = States(graph)
    if config.node:
        _run_node(states, config.node, config.ended)
        return
    names = graph.needed(config.only or list(graph.nodes))
    if config.status:
        Console().print(grid_table(graph, states.all(), names, config.workers))
        return
    with exclusive(config.out):
        save(config)
        if config.slurm:
            refuse_stale(states, names, redo)
            launch(states, names)
            return
        _run_here(config, states, names if config.only else without_idle(states, names), redo)
