"""One report of several worlds: the same experiment, each time on other fictional papers, with models of its own.

Questions, answers and scores get their world's name before their ids, and a model's counterparts in all worlds its one
name: the report then is about the papers of all worlds together, and its intervals and tests are over all of them. Only
models that are finished in every world are in it. A general question counts once for each world.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.config import load_config
from nemo_kcpt.experiment.sections import words_of
from nemo_kcpt.files import read_json, write_json, write_jsonl
from nemo_kcpt.records.files import ANSWERS, DIVERGENCE, FACTS_FILE, PAPERS, PERPLEXITY, QUESTIONS, SCORES, RecordFile
from nemo_kcpt.report import stage as report
from nemo_kcpt.report.inputs import paths

KEYS = "keys.json"
"""In the folder report-inputs of an experiment: the keys of its report."""
SETS = ("retention", "general")
ONE = {"questions": QUESTIONS, "papers": PAPERS, "facts": FACTS_FILE} | dict.fromkeys(SETS, QUESTIONS)
SEVERAL = {"answers": ANSWERS, "scores": SCORES, "perplexity": PERPLEXITY, "divergence": DIVERGENCE}
SEVERAL |= {f"{key}_{kind}": file for key in SETS for kind, file in (("answers", ANSWERS), ("scores", SCORES))}
IDS = ("question_id", "paper_id")
Keys = Mapping[str, Any]


def _records(
    file: RecordFile, source: Path, world: str, models: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    for record in file.read(source):
        if models is None or record["model"] in models:
            yield record | {name: f"{world}/{record[name]}" for name in IDS if name in record}


def models_of(keys: Keys) -> list[str]:
    """The models that a report's scores are of."""
    return list(dict.fromkeys(str(record["model"]) for path in paths(keys["scores"]) for record in SCORES.read(path)))


def join(worlds: Mapping[str, Keys], out: Path) -> dict[str, Any]:
    """The records of several reports under ids of all, in the folder `out`.

    Args:
        worlds: keys of kcpt report by a name of each world; what is the same of all is taken from the first.
        out: folder to write to.

    Returns:
        Keys of kcpt report, without `out`.
    """
    first = next(iter(worlds.values()))
    others = [set(models_of(keys)) for keys in worlds.values()]
    models = [name for name in models_of(first) if all(name in known for known in others)]
    joined = {key: first[key] for key in ("title", "summary", "command", "commands", "packs", "base") if key in first}
    for key, file in ONE.items():
        if all(keys.get(key) for keys in worlds.values()):
            sources = {world: Path(str(keys[key])) for world, keys in worlds.items()}
            joined[key] = str(out / key / file.name)
            every = (record for world, path in sources.items() for record in _records(file, path, world))
            write_jsonl(out / key / file.name, every)
    for key, file in SEVERAL.items():
        if all(keys.get(key) for keys in worlds.values()):
            joined[key] = [
                str(_of_world(file, paths(keys[key]), world, models, out / key)) for world, keys in worlds.items()
            ]
    if any(keys.get("choices") for keys in worlds.values()):
        joined["choices"] = [
            str(_choice(folder, world, out / "choices" / world))
            for world, keys in worlds.items()
            for folder in paths(keys.get("choices"))
        ]
    write_json(out / "cells.json", _cells({world: Path(keys["cells"]) for world, keys in worlds.items()}, models, out))
    write_json(
        out / "timings.json", [timing for keys in worlds.values() for timing in read_json(Path(keys["timings"]))]
    )
    return joined | {"cells": str(out / "cells.json"), "timings": str(out / "timings.json")}


def _of_world(file: RecordFile, folders: Sequence[Path], world: str, models: Sequence[str], out: Path) -> Path:
    """The file of a world's records of one kind, with the object beside divergences."""
    target = out / world / file.name
    write_jsonl(target, (record for folder in folders for record in _records(file, folder, world, models)))
    if file is DIVERGENCE:
        write_json(target.with_suffix(".json"), read_json(folders[0] / "divergence.json"))
    return target


def _choice(folder: Path, world: str, out: Path) -> Path:
    choice = read_json(folder / "choice.json")
    rows = [{**row, "model": f"{row['model']} ({world})"} for row in choice["rows"]]
    write_json(out / folder.name / "choice.json", {**choice, "rows": rows, "chosen": f"{choice['chosen']} ({world})"})
    return out / folder.name / "choice.json"


def _cells(files: Mapping[str, Path], models: Sequence[str], out: Path) -> dict[str, Any]:
    """cells.json of all: a cell has the trainings of every world, and is done where it is done in all."""
    plans = {file: read_json(file) for file in files.values()}
    first = next(iter(plans.values()))
    cells = []
    for cell in first["cells"]:
        same = {file: other for file, plan in plans.items() for other in plan["cells"] if other["name"] == cell["name"]}
        left = next((other for other in same.values() if other["state"] != "done"), None)
        metrics = [
            {**entry, "path": os.path.relpath(file.parent / entry["path"], out)}
            for file, other in same.items()
            for entry in other.get("metrics") or ()
        ]
        folder = next(iter(files.values())).parent
        pack = os.path.relpath(folder / cell["pack"], out) if cell.get("pack") else None
        state = {key: (left or cell).get(key) for key in ("state", "reason")}
        if left is None and cell["name"] not in models:
            state = {"state": "waiting", "reason": "not finished"}
        cells.append({**cell, **state, "metrics": metrics, "pack": pack})
    return {**first, "cells": cells}


def run(worlds: Mapping[str, Path], out: Path) -> None:
    """The report of all in `out`/report.

    Args:
        worlds: folders of the experiments, whose reports are there, by names of the worlds.
        out: folder of what they have together.
    """
    keys = {world: read_json(folder / "report-inputs" / KEYS) for world, folder in worlds.items()}
    joined = join(keys, out / "report-inputs") | {"out": str(out / "report")}
    report.run(load_config(report.Config, overrides=words_of(joined)), redo=True)
