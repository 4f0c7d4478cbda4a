"""The cells of a grid: what each was trained on, for how long, and what became of those that did not end.

cells.json is written by `kcpt grid`: `base`, `compare`, `goals` and `cells`. Paths in it are relative to the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.records.files import STEPS
from nemo_kcpt.report.build import loss_curve
from nemo_kcpt.report.inputs import read_object
from nemo_kcpt.runs import MANIFEST, read_manifest

DONE = "done"
STATES = (DONE, "failed", "waiting", "running")
FIELDS = ("name", "training", "seed", "set", "mode", "seq_length", "attention", "state", "reason")
PACKED = ("fill_rate", "co_location", "pairs", "cut_pairs", "windows")
"""What a cell has of its pack's manifest."""
POINTS = 150
"""Points of a curve, of which there are many."""


def read_plan(path: Path | None) -> dict[str, Any]:
    """cells.json, with empty lists for what it does not have; all empty for no path.

    Raises:
        BadInput: another form, an unknown state, or a name that appears twice.
    """
    content = read_object(path) or {}
    plan = {"base": content.get("base")} | {key: content.get(key) or [] for key in ("compare", "goals", "cells")}
    for key in ("compare", "goals", "cells"):
        form = list if key == "compare" else dict
        if not isinstance(plan[key], list) or not all(isinstance(entry, form) for entry in plan[key]):
            raise BadInput(f"{path}: {key}: expected a list of {'pairs of names' if form is list else 'objects'}")
    for pair in plan["compare"]:
        if len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            raise BadInput(f"{path}: compare: {pair!r} is not a pair of names")
    seen: set[str] = set()
    for number, cell in enumerate(plan["cells"], start=1):
        name, state = cell.get("name"), cell.get("state")
        if not isinstance(name, str) or not name:
            raise BadInput(f"{path}, cell {number}: name is {name!r}, expected a text")
        if state not in STATES:
            raise BadInput(f"{path}, cell '{name}': state is {state!r}, expected one of {', '.join(STATES)}")
        if name in seen:
            raise BadInput(f"{path}: cell '{name}' appears twice")
        seen.add(name)
    return plan


def _beside(path: Path, word: str) -> Path:
    return path.parent / word


def inputs_of(path: Path | None, plan: Mapping[str, Any]) -> dict[str, Path]:
    """Files of the cells that are done and shape the report, by a name for the fingerprints; a shared one once."""
    names: dict[Path, str] = {}
    for cell in plan["cells"] if path is not None else ():
        if cell["state"] != DONE:
            continue
        for entry in cell.get("metrics") or ():
            file = _beside(path, entry["path"]) if path else Path()
            if file.is_file():
                names.setdefault(file.resolve(), f"metrics/{cell['name']}/{entry.get('stage', 'training')}")
        pack = _beside(path, cell["pack"]) if path and cell.get("pack") else None
        if pack is not None and (pack / MANIFEST).is_file():
            names.setdefault(pack.resolve(), f"packs/{cell['name']}")
    return {name: file for file, name in names.items()}


def build_cells(
    path: Path | None, plan: Mapping[str, Any], models: Sequence[str], on_gpu: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The cells, and the trainings that they are made of, each once.

    Args:
        path: of cells.json.
        plan: its contents.
        models: names that have answers.
        on_gpu: whether trainings that don't say so themselves (by an mfu, which only GPUs have) ran on GPUs.

    Returns:
        Cells with `FIELDS`, `measured`, `trainings` (places in the second list), what their pack counts, `tokens` of
        all their trainings, `seconds`, `device_hours` and `device`; and trainings with their loss curves.
    """
    rows: list[dict[str, Any]] = []
    trainings: list[dict[str, Any]] = []
    known: dict[Path, int] = {}
    for cell in plan["cells"] if path is not None else ():
        assert path is not None
        row: dict[str, Any] = {name: cell.get(name) for name in FIELDS}
        row |= {"measured": cell["name"] in models, "trainings": []}
        for entry in cell.get("metrics") or () if cell["state"] == DONE else ():
            file = _beside(path, entry["path"]).resolve()
            if not file.is_file():
                continue
            if file not in known:
                known[file] = len(trainings)
                trainings.append(_training(file, entry, cell, on_gpu))
            trainings[known[file]]["cells"].append(cell["name"])
            row["trainings"].append(known[file])
        own = [trainings[index] for index in row["trainings"]]
        for key in ("tokens", "seconds", "device_hours"):
            values = [training[key] for training in own]
            row[key] = sum(values) if values and None not in values else None
        row["device"] = own[0]["device"] if own else None
        rows.append(row | _packed(path, cell))
    return rows, trainings


def _packed(path: Path, cell: Mapping[str, Any]) -> dict[str, Any]:
    folder = _beside(path, cell["pack"]) if cell.get("pack") else None
    if folder is None or not (folder / MANIFEST).is_file():
        return dict.fromkeys(PACKED)
    counts = read_manifest(folder).get("counts", {})
    return {name: counts.get(name) for name in PACKED}


def _training(file: Path, entry: Mapping[str, Any], cell: Mapping[str, Any], on_gpu: bool) -> dict[str, Any]:
    lines = list(STEPS.read(file))
    stage = str(entry.get("stage") or "training")
    curve = loss_curve(stage, file, POINTS)
    devices = int(entry.get("devices") or 1)
    mfu = sorted(line["mfu"] for line in lines if line.get("mfu") is not None)
    memory = [line["memory_gib"] for line in lines if line.get("memory_gib") is not None]
    seconds = curve["seconds"]
    return {
        **curve,
        "stage": stage,
        "of": cell.get("training") or cell["name"],
        "cells": [],
        "tokens": lines[-1].get("tokens"),
        "devices": devices,
        "device": "GPU" if mfu or on_gpu else "CPU",
        "device_hours": None if seconds is None else seconds * devices / 3600,
        "mfu": mfu[len(mfu) // 2] if mfu else None,
        "peak_memory_gib": max(memory) if memory else None,
    }


def totals(trainings: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """All trainings together, each once; None where there is none."""
    if not trainings:
        return None
    return {
        "trainings": len(trainings),
        "device": trainings[0]["device"],
        "tokens": sum(training["tokens"] or 0 for training in trainings),
        "seconds": sum(training["seconds"] or 0 for training in trainings),
        "device_hours": sum(training["device_hours"] or 0 for training in trainings),
    }
