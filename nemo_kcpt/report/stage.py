"""The report of a run: report.json with every number, and from it alone report.html (one page), report.md and
tables as LaTeX and CSV.

It compares the untrained model (base=NAME, "base" by default) with the others on held-out (test) and train questions,
with 95 % intervals (bootstrap over papers, for shares, means and paired differences), and shows loss curves, packs,
times and examples.

  kcpt report out=runs/a/report questions=runs/a/questions answers=runs/a/answers scores=runs/a/scores \\
      metrics=pretrain=runs/a/cpt/metrics.jsonl,tune=runs/a/sft/metrics.jsonl packs=concat=runs/a/packs/concat-512

metrics and packs are NAME=PATH, separated by commas, a list of those, or in --config FILE.yaml a mapping. answers,
scores, perplexity, verdicts, general_answers and general_scores take several folders, separated by commas or as a list.
cells is the cells.json of kcpt grid: models called NAME@SEED become groups, and the report tells their comparisons, the
goals, what each cell cost, and which cells failed. See docs/report.md.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.fact_values import values_by_fact
from nemo_kcpt.files import atomic_write, file_in, read_json, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import RATINGS
from nemo_kcpt.records.inputs import read_papers, read_questions
from nemo_kcpt.report import build, cells, environment, groups, part, ranks, retention, sheet
from nemo_kcpt.report import inputs as read
from nemo_kcpt.report.config import Config as Config
from nemo_kcpt.report.formats import all_metrics
from nemo_kcpt.report.render import render, render_markdown
from nemo_kcpt.report.sweeps import read_sweeps
from nemo_kcpt.report.tables import csv_tables, latex_tables
from nemo_kcpt.runs import MANIFEST, hash_input, read_manifest, shaping, stage
from nemo_kcpt.serving.models import parse_models
from nemo_kcpt.stats.agreement import read_ratings

_FILES = (
    "papers",
    "synthetic",
    "sft",
    "people",
    "agreement",
    "facts",
    "parity",
    "environment",
    "general",
    "retention",
    "cells",
)
_SEVERAL = (
    "answers",
    "scores",
    "perplexity",
    "verdicts",
    "general_answers",
    "general_scores",
    "retention_answers",
    "retention_scores",
    "divergence",
    "choices",
)
_NAMED = ("metrics", "packs")


def _named(given: Any) -> dict[str, Path]:
    return parse_models(given) if given else {}


def _inputs(config: Config) -> dict[str, Path]:
    inputs = {"questions": config.questions}
    for name in _SEVERAL:
        inputs |= read.names(name, getattr(config, name))
    for name in _FILES:
        path = getattr(config, name)
        if path is not None:
            inputs[name] = path
    for name in _NAMED:
        inputs |= {f"{name}/{label}": path for label, path in _named(getattr(config, name)).items()}
    return inputs | cells.inputs_of(config.cells, cells.read_plan(config.cells))


def _fingerprint(path: Path) -> str:
    """A stage's fingerprint where there is one, else the hash of the file."""
    folder = path if path.is_dir() else path.parent
    return str(read_manifest(folder)["fingerprint"]) if (folder / MANIFEST).is_file() else hash_input(path)


def _packs(given: Any) -> list[dict[str, Any]]:
    rows = []
    for name, folder in _named(given).items():
        manifest = read_manifest(folder if folder.is_dir() else folder.parent)
        rows.append({"name": name, "seq_length": manifest["config"].get("seq_length"), **manifest["counts"]})
    return rows


def _general(config: Config) -> dict[str, Any] | None:
    """General knowledge of each model, where all of its keys are given.

    Raises:
        BadInput: some of the three keys are given, and not all.
    """
    given = [config.general, config.general_answers, config.general_scores]
    if not any(given):
        return None
    if not all(given):
        raise BadInput("general=, general_answers= and general_scores= belong together; give all three")
    assert config.general is not None
    questions = read_questions(config.general)
    scores = read.join_scores(config.general_scores, read.join_answers(config.general_answers, questions))
    names = build.ordered_models(scores, config.base)
    rows = sheet.general_rows(names, questions, scores, config.base)
    return {"questions": len(questions), "base": config.base, "models": rows}


def _ratings(people: Path | None) -> dict[tuple[str, str], float]:
    """People's mean rating of each answer; none where only people.json is there, or nobody rated anything."""
    file = people / RATINGS.name if people is not None else None
    if file is None or not file.is_file():
        return {}
    rated = {
        (str(record["question_id"]), str(record["model"]))
        for record in RATINGS.read(file)
        if record["rating"] is not None
    }
    return read_ratings(file, dict.fromkeys(rated)) if rated else {}


def build_report(config: Config) -> dict[str, Any]:
    """Everything that the page shows, JSON-ready.

    Raises:
        BadInput: records that do not belong together, or an input of another form.
    """
    plan = cells.read_plan(config.cells)
    questions = read_questions(config.questions)
    answers = read.join_answers(config.answers, questions)
    scores = read.join_scores(config.scores, answers)
    names = build.ordered_models(scores, config.base)
    scorers = read.join_scorers(config.scores)
    metrics = all_metrics(scorers)
    rows = build.model_rows(names, questions, scores, metrics)
    differences = build.difference_rows(names, questions, scores, metrics)
    values = values_by_fact(questions, config.facts)
    drawn = build.draw_examples(questions, config.examples, config.seed)
    extra = read.read_object(config.environment) or {}
    agreement = ranks.score_agreement(questions, scores, _ratings(config.people), config.seed, list(scorers))
    grouped = groups.Groups(names, questions, scores, plan["cells"], metrics)
    inputs = _inputs(config)
    packages = read.added_by_packages(inputs) | plugins.used(part.chosen(config.parts)).get("plugins", {})
    pair = groups.chosen_pair(plan["goals"], plan["compare"], grouped, config.base)
    head = groups.headline(pair, grouped) if config.cells is not None else build.headline(rows, differences)
    cell_rows, trainings = cells.build_cells(config.cells, plan, names, "gpu" in str(sorted(extra)).lower())
    wanted = [config.base, *(name for words in (pair, *plan["compare"]) for name in words)]
    counts: Mapping[str, Any] = {
        "questions": {split: sum(record["split"] == split for record in questions.values()) for split in build.SPLITS},
        "papers": len(read_papers(config.papers)) if config.papers is not None else None,
        "answers": len(answers),
    }
    report = {
        "title": config.title,
        "summary": config.summary,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "base": config.base,
        "headline": head,
        "goals": [],
        "counts": counts,
        "models": rows,
        "differences": differences,
        "groups": grouped.rows(),
        "comparisons": grouped.comparisons(plan["compare"]),
        "cells": cell_rows,
        "trainings": trainings,
        "totals": cells.totals(trainings),
        "by_fact": build.grouped_rows(names, questions, scores, "fact"),
        "by_wording": build.grouped_rows(names, questions, scores, "wording"),
        "encoder": next((score["encoder"] for score in scores.values() if score.get("encoder")), None),
        "engines": sorted({str(answer["engine"]) for answer in answers.values() if answer.get("engine")}),
        "people": read.read_object(file_in(config.people, "people.json")) if config.people is not None else None,
        "agreement": read.read_object(config.agreement),
        "score_agreement": agreement,
        "perplexity": read.join_perplexity(config.perplexity, config.base),
        "general": _general(config),
        "retention": retention.section(
            {
                "retention": (config.retention, config.retention_answers, config.retention_scores),
                "general": (config.general, config.general_answers, config.general_scores),
            },
            config.base,
        ),
        "divergence": retention.join_divergence(config.divergence),
        "losses": [build.loss_curve(name, path) for name, path in _named(config.metrics).items()],
        "packs": _packs(config.packs),
        "data": sheet.data_sheet(
            config.papers, config.synthetic, config.sft, config.questions, read.paths(config.verdicts)
        ),
        "stages": read.read_stages(config.timings),
        "parity": read.read_object(config.parity),
        "chosen": build.chosen_models(names, [member for name in wanted for member in grouped.find(name)[:1]]),
        "examples": [build.example(questions[key], names, answers, scores, values) for key in drawn],
        "environment": environment.describe() | extra | ({"plugins": packages} if packages else {}),
        "fingerprints": {name: _fingerprint(path) for name, path in inputs.items()},
        "command": config.command,
        "commands": read.read_commands(config.commands),
        **({"scorers": scorers} if scorers else {}),
        **({"sweeps": read_sweeps(read.paths(config.choices))} if config.choices else {}),
        **({"parts": config.parts} if config.parts else {}),
    }
    edge = retention.frontier(report, grouped, head["metric"] if head else None)
    return report | {"frontier": edge, "goals": groups.goal_rows(plan["goals"], grouped, agreement, edge)}


def run(config: Config, redo: bool = False) -> None:
    """Write the report unless it is there."""
    paths = ("questions", "timings", "commands", *_FILES, *_SEVERAL)
    shape = shaping(config, *paths) | {name: list(_named(getattr(config, name))) for name in _NAMED}
    shape |= plugins.used(part.chosen(config.parts))
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
