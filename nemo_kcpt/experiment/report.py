"""The experiment's report: what the cells are, what made them, and `kcpt report` over those that are finished."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.config import load_config
from nemo_kcpt.errors import KcptError
from nemo_kcpt.experiment.experiment import BASE
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import Cell, idle_steps
from nemo_kcpt.experiment.sections import words_of
from nemo_kcpt.experiment.states import BLOCKED, DONE, FAILED, State, States
from nemo_kcpt.experiment.testing import own_sets
from nemo_kcpt.experiment.worlds import KEYS
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.report import stage as report


def _devices(graph: Graph) -> int:
    arguments = graph.config.arguments
    if "gpus" in arguments or "nodes" in arguments:
        return int(arguments.get("gpus", 8)) * int(arguments.get("nodes", 1))
    return graph.config.processes


def _main_line(reason: str, run: Path) -> str:
    """The line of a failure that says most: the last of its log's; without the run's place, which differs."""
    lines = [line.strip() for line in reason.splitlines() if line.startswith("  ")] or reason.splitlines()[:1]
    return lines[-1].replace(f"{run}/", "") if lines else "failed"


def cell_record(graph: Graph, cell: Cell, states: Mapping[str, State], folder: Path) -> dict[str, Any]:
    """A cell as `kcpt report` reads it; paths are relative to `folder`."""
    cell_states = {name: states[name] for name in cell.nodes}
    bad = next((name for word in (FAILED, BLOCKED) for name, state in cell_states.items() if state.word == word), None)
    finished = {name for name, state in cell_states.items() if state.word == DONE}
    done = finished | idle_steps(graph.nodes, cell.nodes, finished) >= cell_states.keys()
    training = cell.training
    reason = (
        None if done else f"{bad}: {_main_line(cell_states[bad].reason or '', graph.run)}" if bad else "not finished"
    )
    metrics = [
        {
            "stage": "tune" if graph.nodes[name].kind == "finetune" else "pretrain",
            "path": os.path.relpath(graph.nodes[name].metrics or "", folder),
            "devices": _devices(graph),
        }
        for name in cell.trainings
        if states[name].word == DONE
    ]
    return {
        "name": cell.name,
        "training": training.name if training else None,
        "seed": cell.seed,
        "set": cell.set,
        "mode": training.mode if training else None,
        "seq_length": training.seq_length if training else None,
        "attention": training.attention if training else None,
        "kinds": list(training.kinds) if training else None,
        "state": "done" if done else "failed" if bad else "waiting",
        "reason": reason,
        "pack": os.path.relpath(cell.pack, folder) if cell.pack else None,
        "metrics": metrics,
    }


def commands_of(graph: Graph) -> list[dict[str, Any]]:
    """Every node's commands, as a user would type them."""
    import json

    commands = []
    for name, node in graph.nodes.items():
        words = list(node.command)
        if words[1:3] == ["-m", "nemo_kcpt.several"]:
            several = [["kcpt", *command] for command in json.loads(words[3])]
        else:
            several = [["nemo", *words[1:]]]
        commands += [{"name": name, "command": command} for command in several]
    return commands


def run_report(states: States) -> None:
    """Write `report/` from the cells that are done.

    Raises:
        KcptError: not even the base model has scores, or nothing else.
    """
    graph, run = states.graph, states.graph.run
    by_name = states.all()
    finished = [cell for cell in graph.cells if by_name[f"scores-{cell.tested}"].word == DONE]
    done = [cell.name for cell in finished]
    if BASE not in done or len(done) < 2:
        failed = [name for name, state in by_name.items() if state.word == FAILED]
        raise KcptError(
            f"{run}: the report compares the base with at least one other model, and scores are there of "
            f"{', '.join(done) or 'none'}; failed: {', '.join(failed) or 'nothing'}"
        )
    inputs = run / "report-inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    config = graph.config
    cells = [cell_record(graph, cell, by_name, inputs) for cell in graph.cells]
    content = {"base": BASE, "compare": config.compare, "goals": config.goals, "cells": cells}
    write_json(inputs / "cells.json", content)
    write_json(inputs / "commands.json", commands_of(graph))
    times = [
        {"name": name, "seconds": state.seconds, "cached": False}
        for name, state in by_name.items()
        if state.word == DONE and name != "report"
    ]
    write_json(inputs / "timings.json", times)

    def folders(kind: str) -> list[str]:
        return list(dict.fromkeys(str(run / kind / cell.tested) for cell in finished))

    keys: dict[str, Any] = {
        "questions": str(run / "questions"),
        "answers": folders("answers"),
        "scores": folders("scores"),
        "papers": str(run / "corpus"),
        "synthetic": str(run / "synthetic"),
        "cells": str(inputs / "cells.json"),
        "commands": str(inputs / "commands.json"),
        "timings": str(inputs / "timings.json"),
        "title": config.title,
        "summary": config.summary,
        "command": shlex.join(["kcpt", "grid", "--config", str(run / "experiment.yaml")]),
        "out": str(run / "report"),
    }
    packs = {cell.training.name: str(cell.pack) for cell in graph.cells if cell.training and cell.name in done}
    keys |= {"packs": [f"{name}={folder}" for name, folder in packs.items()]}
    if graph.facts:
        keys["facts"] = str(graph.facts)
    if config.sets:
        keys["sft"] = str(run / "sft")
    if config.judge:
        keys["verdicts"] = folders("verdicts")
    choices = [cell.name for cell in graph.cells if f"choose-{cell.name}" in graph.nodes]
    if made := [str(run / "choices" / name) for name in choices if by_name[f"choose-{name}"].word == DONE]:
        keys["choices"] = made
    for key in own_sets(config):
        keys |= {"perplexity": folders("perplexity"), key: str(run / key)}
        keys |= {f"{key}_answers": folders(f"{key}-answers"), f"{key}_scores": folders(f"{key}-scores")}
    if config.retention:
        tested = dict.fromkeys(cell.tested for cell in finished if cell.name != BASE)
        keys["divergence"] = [str(run / "divergence" / name) for name in tested]
    if exports := [path for cell in finished if cell.training and (path := cell.model / "parity.json").is_file()]:
        keys["parity"] = str(max(exports, key=lambda path: read_json(path)["max_abs_diff"]))  # the worst of all
    keys |= config.report
    write_json(inputs / KEYS, keys)
    report.run(load_config(report.Config, overrides=words_of(keys)), redo=True)
