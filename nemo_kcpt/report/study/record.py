"""report.json as a study publishes it: without this machine's paths, with the experiment's keys and arms' costs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import KcptError
from nemo_kcpt.report.groups import split_name
from nemo_kcpt.report.retention import plottable
from nemo_kcpt.stats.statistics import ALPHA

KEYS = (
    "model",
    "recipe",
    "tuning_recipe",
    "arguments",
    "epochs",
    "steps_like",
    "overrides",
    "sets",
    "tuning_length",
    "tuning_epochs",
    "tuning_overrides",
    "world",
    "corpus",
    "synthesize",
    "sft_data",
    "pack",
    "trainings",
    "questions",
    "generate",
    "score",
    "general",
)
"""Keys of the experiment that are published."""
_PATH = re.compile(r"(?<![\w./:~-])/(?:home|root|tmp|work|Users|mnt|opt|usr|var|private|data|srv)/[^\s\"']*")
Report = dict[str, Any]


def without_paths(report: Mapping[str, Any], run: Path, label: str, root: Path) -> Report:
    """The report with paths as in a fresh clone.

    Args:
        report: contents of report.json.
        run: the experiment's folder.
        label: what to call that folder.
        root: the working copy; paths in it become relative to it.

    Raises:
        KcptError: another path of this machine is left.
    """
    text = json.dumps(report, ensure_ascii=False)
    for path, word in ((str(run.resolve()), label), (str(run), label), (str(root), "")):
        slash = f"{word}/" if word else ""
        text = text.replace(f"{path}/", slash)
        text = re.sub(re.escape(path) + r"(?![\w.-])", word or ".", text)
    published: Report = json.loads(text)
    # What models answered may hold what looks like a path.
    ours = json.dumps({key: value for key, value in published.items() if key != "examples"}, ensure_ascii=False)
    left = sorted({match[0] for match in _PATH.finditer(ours)})
    if left:
        raise KcptError(
            f"{run}/report/report.json: holds paths of this machine: {', '.join(left[:5])}; nothing was published. "
            "Give the experiment paths relative to the folder in which kcpt study runs"
        )
    return published


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _most(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def arms(report: Mapping[str, Any], trainings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the page says of each arm; of several seeds the mean, of times the longest."""
    forgotten = {row["model"]: row for row in (report["perplexity"] or {}).get("models", [])}
    general = {row["name"]: row for row in (report["general"] or {}).get("models", [])}
    kinds = {training["name"]: training.get("kinds") or [] for training in trainings}
    members: dict[str, list[Mapping[str, Any]]] = {}
    for cell in report["cells"]:
        members.setdefault(split_name(cell["name"])[0], []).append(cell)
    rows = []
    for name, cells in members.items():
        own = [report["trainings"][index] for cell in cells for index in cell["trainings"]]
        continued = [training for training in own if training["stage"] == "pretrain"]
        tokens = sorted({training["tokens"] for training in continued if training["tokens"] is not None})
        first = cells[0]
        row = {key: first[key] for key in ("mode", "seq_length", "attention")}
        row |= {"name": name, "kinds": kinds.get(str(first["training"]), []), "models": len(cells)}
        row |= {"done": sum(cell["state"] == "done" for cell in cells), "tokens": tokens}
        row |= {"seconds": _most([cell["seconds"] for cell in cells])}
        row |= {"co_location": _mean([cell["co_location"] for cell in cells])}
        for key, models in (("perplexity", forgotten), ("difference", forgotten)):
            row[key] = _mean([models[cell["name"]][key] for cell in cells if cell["name"] in models])
        known = [general[cell["name"]] for cell in cells if cell["name"] in general]
        row["general"] = _mean([model["exact_match"] for model in known])
        row["general_difference"] = _mean([model["difference"] for model in known])
        rows.append(row)
    return rows


def frontier_best(report: Mapping[str, Any], least_retention: float, most_perplexity: float) -> dict[str, Any] | None:
    """The arm that a page about retention recommends.

    Args:
        report: of `kcpt report`.
        least_retention: share of what the base knew that an arm has to keep.
        most_perplexity: times the base's perplexity that it may have; one that was not measured passes.

    Returns:
        `name`, `gain`, `retention`, `perplexity_ratio` and `meets`: of the arms that keep so much the one that gains
        most; where none does, that of the largest gain times retention, of those within the perplexity if there are
        any. None where nothing was measured.
    """
    arms = [arm for arm in (report.get("frontier") or {"arms": ()})["arms"] if plottable(arm)]
    if not arms:
        return None
    fluent = [arm for arm in arms if (arm["perplexity_ratio"] or 0) <= most_perplexity]
    keeping = [arm for arm in fluent if arm["retention"] >= least_retention]
    if keeping:
        arm = max(keeping, key=lambda arm: arm["gain"])
    else:
        arm = max(fluent or arms, key=lambda arm: arm["gain"] * arm["retention"])
    return {key: arm[key] for key in ("name", "gain", "retention", "perplexity_ratio")} | {"meets": bool(keeping)}


def published(
    report: Mapping[str, Any],
    experiment: Mapping[str, Any],
    commits: Sequence[str],
    run: Path,
    label: str,
    root: Path,
    second: str = "",
    tried: bool = False,
) -> Report:
    """report.json as it is published: without paths of this machine, with `study`.

    Args:
        report: of `kcpt report`.
        experiment: contents of its experiment.yaml; empty where that is gone.
        commits: those that made it, in order.
        run: the experiment's folder.
        label: what to call that folder.
        root: the working copy.
        second: what became of the experiment on real documents: run, absent or waiting.
        tried: whether tried.md beside it says what was tried where a goal was missed.

    Raises:
        KcptError: paths of this machine would be left.
    """
    own = experiment.get("study") or {}
    limits = {"arm_minutes": own.get("arm_minutes"), "study_minutes": own.get("study_minutes"), "alpha": ALPHA}
    kept = {"least_retention": own.get("least_retention", 0.9), "most_perplexity": own.get("most_perplexity", 1.5)}
    study = {
        "commits": list(commits),
        "run": label,
        "experiment": {key: experiment[key] for key in KEYS if experiment.get(key) not in (None, "", [], {})},
        "validation": {"world_seed": own.get("validation_seed")},
        "limits": limits | kept,
        "arms": arms(report, experiment.get("trainings") or []),
        "total_seconds": sum(stage["seconds"] for stage in report["stages"]),
        "jaquad": second,
        "tried": tried,
    }
    whole = {**report, "environment": {**report["environment"], "commit": ", ".join(commits)}, "study": study}
    if best := frontier_best(report, **kept):
        whole["frontier_best"] = best
    encoder = Path((experiment.get("score") or {}).get("encoder") or "")
    if encoder.name == report["encoder"] == "model":  # a folder's name that says nothing
        whole["encoder"] = "/".join(encoder.parts[-2:])
    return without_paths(whole, run, label, root)
