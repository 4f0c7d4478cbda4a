"""Everything on a laptop CPU, end to end: fictional papers, synthetic data, packing, `nemo llm pretrain` and
`nemo llm finetune` on Megatron-Core, export, vLLM answers, scores, a report.

The papers are invented, so no model can know them and every answer can be checked. A small base model is made first,
from other fictional papers; "before" and "after" then differ in nothing but the papers. The second call does nothing
that is finished; after Ctrl-C or SIGKILL, rerun the same command to resume. --redo starts over.

It is the experiment conf/experiment/demo.yaml; keys that are not given are as in that file.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.config import conf_folder, load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.demo_show import display
from nemo_kcpt.experiment.experiment import Config as Experiment
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.runner import refuse_stale, run_graph
from nemo_kcpt.experiment.stage import save
from nemo_kcpt.experiment.states import States
from nemo_kcpt.fiction.world import LANGUAGES
from nemo_kcpt.files import atomic_write, read_json, write_json
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.report.render import summary_table
from nemo_kcpt.runs import FORMAT, MANIFEST, exclusive

RUN = "run.json"
AGAIN = "Give another out=FOLDER, or --redo (make demo CLEAN=1) to start over"
MODELS = {"full": "trained", "raw": "raw"}
"""Arm, and the training of the experiment that makes its model."""
KEYS = {
    "papers": ("world.papers",),
    "base_papers": ("world.base_papers",),
    "base_epochs": ("base_epochs",),
    "epochs": ("epochs",),
    "tuning_epochs": ("tuning_epochs",),
    "processes": ("processes",),
    "language": ("world.language",),
    "engine": ("generate.engine",),
    "backend": ("backend",),
    "seed": ("world.seed", "corpus.seed", "questions.seed"),
}
"""Key, and the experiment's keys of the same value; `seq_length` and `samples` are in several places, too."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt demo`."""

    out: Path = Path("runs/demo")
    """Run folder."""
    arm: str = "full"
    """full: text and synthetic data; raw: beside it the same number of tokens of raw text alone, for comparison."""
    language: str | None = None
    """Language of the papers: ja (as in the file) or en."""
    engine: str | None = None
    """Engine of the answers: auto (as in the file; vLLM where it exists), vllm or transformers."""
    backend: str | None = None
    """Backend of the trainings: nemo (as in the file), or bridge for Megatron-Bridge (make setup-bridge)."""
    seed: int | None = None
    """Seed of papers, split and questions (1)."""
    papers: int | None = None
    """Fictional papers to learn (40); a quarter is held out."""
    base_papers: int | None = None
    """Papers of the base model's own world (40)."""
    seq_length: int | None = None
    """Tokens in a window (64)."""
    base_epochs: float | None = None
    """Passes of the base model over its own world (4.5)."""
    epochs: float | None = None
    """Passes of continual pretraining (6.5); the method takes 2 on a model 2,600 times larger."""
    tuning_epochs: float | None = None
    """Passes of both instruction tunings (1)."""
    samples: int | None = None
    """Instruction-tuning samples from the papers (600), and as many from the base model's world."""
    processes: int | None = None
    """Ranks of each training, data parallel (1)."""

    def __post_init__(self) -> None:
        for name, allowed in (("arm", MODELS), ("language", LANGUAGES)):
            if getattr(self, name) not in (None, *allowed):
                raise ValueError(f"{name}: '{getattr(self, name)}' is not one of {', '.join(allowed)}")


def experiment_of(config: Config) -> Experiment:
    """The experiment with the keys of the demo, and without the raw arm where neither it nor its model is wanted."""
    given = {key: getattr(config, key) for key in KEYS if getattr(config, key) is not None}
    words = [f"out={config.out}", *(f"{name}={value}" for key, value in given.items() for name in KEYS[key])]
    if config.samples is not None:
        words += [f"sft_data.samples={config.samples}", f"base_samples={2 * config.samples}"]
    named = {"ARM": config.arm if config.arm != "full" else None, "BACKEND": config.backend}
    if variables := [f"{name}={value}" for name, value in named.items() if value]:
        words.append(f"report.command=make demo {' '.join(variables)}")
    experiment = load_config(Experiment, file=conf_folder() / "experiment/demo.yaml", overrides=words)
    if config.seq_length is not None:
        for training in experiment.trainings:
            training.seq_length = config.seq_length
    if config.arm != "raw" and not (config.out / "nodes/export-raw" / MANIFEST).is_file():
        experiment.trainings = [training for training in experiment.trainings if training.name != "raw"]
        experiment.compare = []
    return experiment


def _open_run(config: Config, redo: bool) -> None:
    """Check that the folder is a demo of this version, or make it one.

    Raises:
        BadInput: an earlier version began it, another one wrote its files, or it is not a demo's run folder.
    """
    path = config.out / RUN
    if redo:
        _delete_run(config.out)
    if path.is_file():
        content = read_json(path)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise BadInput(
                f"{path}: a run folder of another version of nemo_kcpt (format {content.get('format')}, this version "
                f"writes {FORMAT}). {AGAIN}"
            )
        if (config.out / "steps").is_dir():
            raise BadInput(
                f"{config.out}: an earlier version of nemo_kcpt made this demo, in steps that are divided otherwise "
                f"and cannot be resumed; what it wrote stays as it is, report.html too. {AGAIN}, in about 3 minutes"
            )
        return
    strangers = [entry.name for entry in config.out.iterdir() if entry.name != ".lock"]
    if strangers:
        raise BadInput(f"{config.out}: not a demo's run folder (no {RUN}, but {strangers[0]}). Give another out=FOLDER")
    write_json(path, {"format": FORMAT})


def _delete_run(folder: Path) -> None:
    """Delete what a demo wrote, and nothing else: only in a folder that a demo made."""
    if not (folder / RUN).is_file():
        return
    for entry in folder.iterdir():
        if entry.name == ".lock":
            continue
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _run_graph(experiment: Experiment) -> None:
    """Run what is not finished, with the grid's runner.

    Raises:
        BadInput, KcptError: a step failed; the message holds what its log says.
    """
    states = States(Graph(experiment))
    names = list(states.graph.nodes)
    refuse_stale(states, names, redo=False, again=AGAIN)
    save(experiment)
    workers = min(experiment.workers, os.cpu_count() or 1)
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
        _run_graph(experiment_of(config))
        for ending in ("json", "html", "md"):
            with atomic_write(config.out / f"report.{ending}") as stream:
                stream.write((config.out / f"report/report.{ending}").read_text(encoding="utf-8"))
    report, console = read_json(config.out / "report.json"), Console()
    console.print(summary_table(report))
    parity = report["parity"]
    difference = f"{parity['max_abs_diff']:.1e} at {parity['positions']} positions"
    console.print(f"export: logits differ from Megatron's by at most {difference}", highlight=False)
    console.print(f"report: {config.out / 'report.html'}", soft_wrap=True, highlight=False)
