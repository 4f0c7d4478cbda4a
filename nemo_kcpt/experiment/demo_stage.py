"""Everything on a laptop CPU, end to end: fictional papers, synthetic data, packing, `nemo llm pretrain` and
`nemo llm finetune` on Megatron-Core, export, vLLM answers, scores, a report.

The papers are invented, so no model can know them and every answer can be checked. A small base model is made first,
from other fictional papers; "before" and "after" then differ in nothing but the papers. The second call does nothing
that is finished; after Ctrl-C or SIGKILL, rerun the same command to resume. --redo starts over.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.demo_show import display
from nemo_kcpt.experiment.demo_steps import ARMS, Budget, DemoGraph, Layout, steps_of
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import Node
from nemo_kcpt.experiment.runner import refuse_stale, run_graph
from nemo_kcpt.experiment.states import States
from nemo_kcpt.fiction.world import LANGUAGES
from nemo_kcpt.files import atomic_write, read_json, write_json
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.report.render import summary_table
from nemo_kcpt.runs import FORMAT, exclusive

RUN = "run.json"


@dataclass(kw_only=True)
class Config(Budget):
    """Keys of `kcpt demo`."""

    out: Path = Path("runs/demo")
    """Run folder."""
    arm: str = "full"
    """full: text and synthetic data; raw: the same number of tokens of raw text alone, for comparison."""
    language: str = "ja"
    """Language of the papers: ja or en."""
    engine: str = "auto"
    """Who answers: auto (vLLM where it exists), vllm or transformers."""
    seed: int = 1
    """Seed of papers, split and questions."""

    def __post_init__(self) -> None:
        for name, allowed in (("arm", ARMS), ("language", LANGUAGES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: '{getattr(self, name)}' is not one of {', '.join(allowed)}")


def _open_run(config: Config, redo: bool) -> None:
    """Check that the folder is a run of this version with these keys, or make it one.

    Raises:
        BadInput: another version, other keys, or a folder that is not a run.
    """
    path = config.out / RUN
    shape = {key: value for key, value in asdict(config).items() if key not in ("out", "arm", "engine")}
    if redo:
        _delete_run(config.out)
    if path.is_file():
        found = read_json(path)
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise BadInput(
                f"{path}: a run folder of another version of nemo_kcpt (format {found.get('format')}, this version "
                f"writes {FORMAT}). Give another out=FOLDER, or --redo (make demo CLEAN=1) to start over"
            )
        changed = [
            f"{key} was {found['config'].get(key)}, now {value}"
            for key, value in shape.items()
            if found["config"].get(key) != value
        ]
        if changed:
            raise BadInput(
                f"{config.out}: holds a demo with other keys: {'; '.join(changed)}. Give another out=FOLDER, or "
                "--redo (make demo CLEAN=1) to start over"
            )
        return
    strangers = [entry.name for entry in config.out.iterdir() if entry.name != ".lock"]
    if strangers:
        raise BadInput(f"{config.out}: not a demo's run folder (no {RUN}, but {strangers[0]}). Give another out=FOLDER")
    write_json(path, {"format": FORMAT, "config": shape})


def _delete_run(folder: Path) -> None:
    """Delete what a demo wrote, and nothing else: only in a folder that a demo made."""
    if not (folder / RUN).is_file():
        return
    for entry in folder.iterdir():
        if entry.name == ".lock":
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _publish(config: Config, tag: str) -> None:
    """Put the newest report where the user looks for it."""
    for ending in ("json", "html", "md"):
        with atomic_write(config.out / f"report.{ending}") as stream:
            stream.write((config.out / "report" / tag / f"report.{ending}").read_text(encoding="utf-8"))


def _run_steps(run: Path, steps: Sequence[Node]) -> None:
    """Run the steps that are not finished, with the grid's runner.

    Raises:
        BadInput, KcptError: one failed; the message holds what its log says.
    """
    states = States(cast(Graph, DemoGraph(run, steps)), "steps")
    names = [step.name for step in steps]
    refuse_stale(states, names, redo=False)
    workers = min(2, os.cpu_count() or 1)
    with display(states, workers) as (say, tick):
        failed = run_graph(states, names, workers, say, tick)
    for problem in failed.values():
        raise problem


def run(config: Config, redo: bool = False) -> None:
    """Run what is missing, print the summary and the report's path."""
    from rich.console import Console

    check_folder(config.out)
    with exclusive(config.out):
        _open_run(config, redo)
        layout = Layout(run=config.out, budget=config)
        arms = [arm for arm in ARMS if arm == config.arm or layout.is_exported(arm)]
        steps = steps_of(layout, config.language, config.seed, config.engine, arms)
        _run_steps(config.out, steps)
        _publish(config, "-".join(arms))
    report, console = read_json(config.out / "report.json"), Console()
    console.print(summary_table(report))
    parity = report["parity"]
    difference = f"{parity['max_abs_diff']:.1e} at {parity['positions']} positions"
    console.print(f"export: logits differ from Megatron's by at most {difference}", highlight=False)
    console.print(f"report: {config.out / 'report.html'}", soft_wrap=True, highlight=False)
