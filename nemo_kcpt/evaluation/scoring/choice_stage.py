"""Choose one of several mixtures of a model and its base, on validation questions alone: choice.json.

    kcpt questions corpus=… synthetic=… validation=0.25 part=validation out=runs/mine/validation
    kcpt choose questions=runs/mine/validation scores=runs/mine/validation-scores \\
        general_scores=runs/mine/general-scores candidates="{half: 0.5, trained: 1}" out=runs/mine/choice
    kcpt convert mix models/instruct runs/mine/hf choice=runs/mine/choice --to runs/mine/chosen

The rule: of the candidates that keep at least the share retention= of the general questions that the base answers
right, the one that answers the validation questions best (metric=); of equal ones that with the higher retention, then
that nearer to the base. If none keeps so much, the one that keeps most, and choice.json says so. Without general_scores
the validation questions alone decide. Questions that were not set aside for this (part=validation) are refused: what is
chosen on test questions cannot be tested on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import file_in, read_json, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import SCORES
from nemo_kcpt.records.inputs import read_questions
from nemo_kcpt.runs import read_manifest, shaping, stage
from nemo_kcpt.stats.retention import LEAST, retained
from nemo_kcpt.stats.statistics import bootstrap_interval

CHOICE = "choice.json"


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt choose`."""

    out: Path = Path(MISSING)
    """Folder for choice.json."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions part=validation."""
    scores: Any = MISSING
    """Folder of kcpt score on these, or several, comma-separated or as a list."""
    general_scores: Any = None
    """Folder of kcpt score on the questions of kcpt questions retention= (or general=), or several, with the base's."""
    candidates: dict[str, float] = field(default_factory=dict)
    """Models to choose from, as they are called in scores, and the alpha of each: {half: 0.5, trained: 1}."""
    base: str = "base"
    """Name of the base in general_scores."""
    metric: str = "exact_match"
    """Field of scores.jsonl by which candidates are compared."""
    retention: float = 0.9
    """Least share of the general questions that the base answers right which a candidate must still answer right."""

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError("candidates: none given; name models and their alpha, as {half: 0.5, trained: 1}")
        for name, alpha in self.candidates.items():
            if not 0 <= alpha <= 1:
                raise ValueError(f"candidates: {name}: {alpha} is not a share from 0 to 1")
        if not 0 <= self.retention <= 1:
            raise ValueError(f"retention: {self.retention} is not a share from 0 to 1")


def _folders(given: Any) -> list[Path]:
    words = given.split(",") if isinstance(given, str) else given if isinstance(given, Sequence) else [given]
    return [Path(str(word)) for word in words] if given is not None else []


def _values(folders: Sequence[Path], field: str) -> dict[str, dict[str, float]]:
    """By model and question the value of a field of scores.jsonl, where there is one."""
    by_model: dict[str, dict[str, float]] = {}
    for folder in folders:
        for _, (question_id, model), record in SCORES.keyed(folder):
            value = record.get(field)
            if isinstance(value, int | float):
                by_model.setdefault(model, {})[question_id] = float(value)
    return by_model


def choose(rows: Sequence[Mapping[str, Any]], floor: float) -> Mapping[str, Any]:
    """The row that the rule takes: see the module.

    Args:
        rows: with `knowledge`, `retention` (None: not known of any row) and `alpha`.
        floor: least retention.
    """

    def kept(row: Mapping[str, Any]) -> float:
        return 1.0 if row["retention"] is None else float(row["retention"])

    allowed = [row for row in rows if kept(row) >= floor]
    if allowed:
        return max(allowed, key=lambda row: (row["knowledge"], kept(row), -row["alpha"]))
    return max(rows, key=lambda row: (kept(row), row["knowledge"], -row["alpha"]))


def _check_questions(folder: Path) -> dict[str, dict[str, Any]]:
    made = read_manifest(folder) if folder.is_dir() else None
    if made is None or made["stage"] != "questions" or made["config"].get("part") != "validation":
        raise BadInput(
            f"{folder}: not the questions of papers that were set aside to choose by; make them with kcpt questions "
            "validation=0.25 part=validation, and the questions of the report with the same validation= and no part="
        )
    return read_questions(folder)


def _rows(config: Config, questions: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    knowledge = _values(_folders(config.scores), config.metric)
    general = _values(_folders(config.general_scores), "exact_match")
    if general and config.base not in general:
        raise BadInput(f"general_scores: no scores of the base '{config.base}' (found: {', '.join(general)})")
    rows = []
    for name, alpha in sorted(config.candidates.items(), key=lambda candidate: candidate[1]):
        missing = [key for key in questions if key not in knowledge.get(name, {})]
        if missing:
            raise BadInput(
                f"scores: of '{name}' there is no {config.metric} for {len(missing)} of {len(questions)} validation "
                f"questions, as '{missing[0]}'; score its answers to all of them"
            )
        if general and name not in general:
            raise BadInput(f"general_scores: no scores of '{name}' (found: {', '.join(general)})")
        values = [knowledge[name][key] for key in questions]
        kept = retained(general[config.base], general[name]) if general else None
        papers = [str(record.get("paper_id")) for record in questions.values()]
        rows.append(
            {"model": name, "alpha": alpha, "knowledge": sum(values) / len(values)}
            | {"ci95": [*bootstrap_interval(values, papers)]}
            | {"retention": kept.share if kept else None, "retention_of": kept.of if kept else 0}
        )
    return rows


def run(config: Config, redo: bool = False) -> None:
    """Write choice.json unless it is there.

    Raises:
        BadInput: other questions than validation ones, or scores that do not cover them.
    """
    scores = {f"scores {n}": folder for n, folder in enumerate(_folders(config.scores))}
    scores |= {f"general_scores {n}": folder for n, folder in enumerate(_folders(config.general_scores))}
    inputs: dict[str, Path | str] = {"questions": config.questions, **scores}
    shape = shaping(config, "scores", "general_scores")
    with stage("choose", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("choose: %s is finished", config.out)
            return
        questions = _check_questions(config.questions)
        rows = _rows(config, questions)
        taken = choose(rows, config.retention)
        known = taken["retention"] is not None
        met = taken["retention"] >= config.retention if known else None
        rule = f"best {config.metric} on validation questions"
        rule += f" among those with a retention of at least {config.retention:g}" if known else ""
        write_json(
            config.out / CHOICE,
            {"rule": rule, "metric": config.metric, "least_retention": config.retention if known else None}
            | {
                "questions": len(questions),
                "papers": len({question.get("paper_id") for question in questions.values()}),
            }
            | {"chosen": taken["model"], "alpha": taken["alpha"], "met": met, "base": config.base, "rows": rows},
        )
        current.add(config.out / CHOICE)
        current.counts = {"candidates": len(rows), "questions": len(questions)}
    if known and taken["retention_of"] < LEAST:
        LOG.warning(
            "choose: '%s' answers %d general questions right, fewer than %d: a share of so few says little about what "
            "a candidate keeps; ask in a language that it speaks (kcpt questions retention=)",
            config.base,
            taken["retention_of"],
            LEAST,
        )
    if met is False:
        LOG.warning(
            "choose: no candidate keeps %g of what the base knew; '%s' keeps most, %.3f",
            config.retention,
            taken["model"],
            taken["retention"],
        )
    LOG.info("choose: %s (alpha %g), %s", taken["model"], taken["alpha"], rule)


def read_choice(path: Path) -> dict[str, Any]:
    """choice.json, or that of a folder.

    Raises:
        BadInput: it is no choice.
    """
    choice = read_json(file_in(path, CHOICE))
    if not isinstance(choice, dict) or not isinstance(choice.get("alpha"), int | float) or "rows" not in choice:
        raise BadInput(f"{path}: not a choice.json of kcpt choose")
    return choice
