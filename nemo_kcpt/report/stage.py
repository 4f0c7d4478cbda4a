"""The report of a run: report.json with every number, and from it alone report.html (one page), report.md and
tables as LaTeX and CSV.

It compares the untrained model (base=NAME, "base" by default) with the others on held-out (test) and train questions,
with 95 % intervals (bootstrap over papers, for shares, means and paired differences), and shows loss curves, packs,
times and examples.

  kcpt report out=runs/a/report questions=runs/a/questions answers=runs/a/answers scores=runs/a/scores \\
      metrics=pretrain=runs/a/cpt/metrics.jsonl,tune=runs/a/sft/metrics.jsonl packs=concat=runs/a/packs/concat-512

metrics and packs are NAME=PATH, separated by commas, a list of those, or in --config FILE.yaml a mapping.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.generate_stage import parse_models
from nemo_kcpt.evaluation.inputs import read_answers, read_papers, read_questions
from nemo_kcpt.files import atomic_write, file_in, read_json, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import MANIFEST, hash_input, read_manifest, shaping, stage


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt report`."""

    out: Path = Path(MISSING)
    """Folder for report.json, report.html, report.md, report.tex and the tables."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    answers: Path = Path(MISSING)
    """Folder of kcpt generate, or an answers.jsonl."""
    scores: Path = Path(MISSING)
    """Folder of kcpt score, or a scores.jsonl."""
    papers: Path | None = None
    """Folder of kcpt corpus, or a papers.jsonl; for the number of papers."""
    people: Path | None = None
    """Folder of kcpt human collect, or a people.json: what people say of the models."""
    agreement: Path | None = None
    """agreement.json of kcpt score --agreement: does each score agree with people?"""
    perplexity: Path | None = None
    """Folder of kcpt perplexity, or a perplexity.json: what the training cost."""
    facts: Path | None = None
    """facts.jsonl of the demo's fictional papers, to mark wrong values in the examples."""
    metrics: Any = None
    """Loss curves: NAME=metrics.jsonl of each training, in order."""
    packs: Any = None
    """Packs: NAME=FOLDER of kcpt pack (its manifest.json)."""
    timings: Path | None = None
    """JSON list of {name, seconds, cached}; not part of the fingerprint."""
    parity: Path | None = None
    """JSON object of the export's logits check."""
    environment: Path | None = None
    """JSON object with more lines for the environment."""
    base: str = "base"
    """Name of the untrained model."""
    title: str = "Knowledge gained by continual pretraining"
    """Title of the page."""
    summary: str = ""
    """A sentence or two on what was run, shown under the title."""
    command: str = ""
    """The command that reproduces the run."""
    examples: int = 8
    """Questions shown with all answers, drawn by seed."""
    seed: int = 0
    """Seed of the draw."""


def _named(given: Any) -> dict[str, Path]:
    return parse_models(given) if given else {}


def _inputs(config: Config) -> dict[str, Path]:
    inputs = {"questions": config.questions, "answers": config.answers, "scores": config.scores}
    for name in ("papers", "people", "agreement", "perplexity", "facts", "parity", "environment"):
        path = getattr(config, name)
        if path is not None:
            inputs[name] = path
    inputs |= {f"metrics/{name}": path for name, path in _named(config.metrics).items()}
    return inputs | {f"packs/{name}": path for name, path in _named(config.packs).items()}


def _fingerprint(path: Path) -> str:
    """A stage's fingerprint where there is one, else the hash of the file."""
    folder = path if path.is_dir() else path.parent
    return str(read_manifest(folder)["fingerprint"]) if (folder / MANIFEST).is_file() else hash_input(path)


def _stages(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    stages = read_json(path)
    if not isinstance(stages, list) or not all(
        isinstance(entry, dict) and {"name", "seconds"} <= set(entry) for entry in stages
    ):
        raise BadInput(f"{path}: expected a list of objects with name, seconds and cached")
    return [
        {"name": entry["name"], "seconds": entry["seconds"], "cached": bool(entry.get("cached"))} for entry in stages
    ]


def _object(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    found = read_json(path)
    if not isinstance(found, dict):
        raise BadInput(f"{path}: expected a JSON object, found {type(found).__name__}")
    return found


def _packs(given: Any) -> list[dict[str, Any]]:
    rows = []
    for name, folder in _named(given).items():
        manifest = read_manifest(folder if folder.is_dir() else folder.parent)
        rows.append({"name": name, "seq_length": manifest["config"].get("seq_length"), **manifest["counts"]})
    return rows


def build_report(config: Config) -> dict[str, Any]:
    """Everything that the page shows, JSON-ready.

    Raises:
        BadInput: records that do not belong together, or an input of another form.
    """
    from nemo_kcpt.evaluation.score_stage import values_by_fact
    from nemo_kcpt.report import build, environment

    questions = read_questions(config.questions)
    answers = read_answers(config.answers, questions)
    scores = build.read_scores(config.scores, answers)
    names = build.ordered_models(scores, config.base)
    rows = build.model_rows(names, questions, scores)
    differences = build.difference_rows(names, questions, scores)
    values = values_by_fact(questions, config.facts)
    drawn = build.draw_examples(questions, config.examples, config.seed)
    engines = sorted({str(answer["engine"]) for answer in answers.values() if answer.get("engine")})
    counts: Mapping[str, Any] = {
        "questions": {split: sum(record["split"] == split for record in questions.values()) for split in build.SPLITS},
        "papers": len(read_papers(config.papers)) if config.papers is not None else None,
        "answers": len(answers),
    }
    return {
        "title": config.title,
        "summary": config.summary,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "base": config.base,
        "headline": build.headline(rows, differences),
        "counts": counts,
        "models": rows,
        "differences": differences,
        "by_fact": build.grouped_rows(names, questions, scores, "fact"),
        "by_wording": build.grouped_rows(names, questions, scores, "wording"),
        "encoder": next((score["encoder"] for score in scores.values() if score.get("encoder")), None),
        "engines": engines,
        "people": _object(file_in(config.people, "people.json")) if config.people is not None else None,
        "agreement": _object(config.agreement),
        "perplexity": _object(file_in(config.perplexity, "perplexity.json")) if config.perplexity is not None else None,
        "losses": [build.loss_curve(name, path) for name, path in _named(config.metrics).items()],
        "packs": _packs(config.packs),
        "stages": _stages(config.timings),
        "parity": _object(config.parity),
        "examples": [build.example(questions[key], names, answers, scores, values) for key in drawn],
        "environment": environment.describe() | (_object(config.environment) or {}),
        "fingerprints": {name: _fingerprint(path) for name, path in _inputs(config).items()},
        "command": config.command,
    }


def run(config: Config, redo: bool = False) -> None:
    """Write the report unless it is there."""
    from nemo_kcpt.report.render import render, render_markdown
    from nemo_kcpt.report.tables import csv_tables, latex_tables

    paths = (
        "questions",
        "answers",
        "scores",
        "papers",
        "people",
        "agreement",
        "perplexity",
        "facts",
        "metrics",
        "packs",
        "timings",
        "parity",
        "environment",
    )
    shape = shaping(config, *paths) | {"metrics": list(_named(config.metrics)), "packs": list(_named(config.packs))}
    with stage("report", config.out, config=shape, inputs=_inputs(config), redo=redo) as current:
        if current.done:
            LOG.info("report: %s is finished", config.out / "report.html")
            return
        write_json(config.out / "report.json", build_report(config))
        report = read_json(config.out / "report.json")
        written = {"report.html": render(report), "report.md": render_markdown(report)}
        written |= {"report.tex": latex_tables(report)}
        written |= {f"{name}.csv": text for name, text in csv_tables(report).items()}
        for name, text in written.items():
            with atomic_write(config.out / name) as stream:
                stream.write(text)
        current.add(*(config.out / name for name in ("report.json", *written)))
        current.counts = {
            "models": len({row["name"] for row in report["models"]}),
            "answers": report["counts"]["answers"],
        }
        LOG.info("report: %s", config.out / "report.html")
