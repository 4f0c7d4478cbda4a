"""Knowledge beside retention: the numbers, the frontier, and that no headline shows one without the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.answers import stage as generate
from nemo_kcpt.evaluation.questions import stage as questions
from nemo_kcpt.evaluation.scoring import divergence_stage as divergence
from nemo_kcpt.evaluation.scoring import stage as score
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from nemo_kcpt.report.formats import instructions_kept
from nemo_kcpt.report.render import render, render_markdown, summary_table
from nemo_kcpt.report.retention import LATER_FIELDS, beside, headline_arm, join_divergence
from nemo_kcpt.report.stage import Config, build_report, run
from nemo_kcpt.report.tables import csv_tables, latex_tables
from nemo_kcpt.stats.retention import LEAST
from nemo_kcpt.stats.statistics import wilson_interval
from tests.evaluation.small import make_model
from tests.evaluation.small import questions as small_questions
from tests.report.grids import write_study
from tests.report.retained import study_with_retention, write_retention

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("fewer_resamples")
OLD = ("docs/study/report.json", "tests/fixtures/stale/report/report.json")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return study_with_retention(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def report(keys: dict[str, Any]) -> dict[str, Any]:
    run(Config(**keys))
    return dict(read_json(keys["out"] / "report.json"))


def _arm(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(arm for arm in report["frontier"]["arms"] if arm["name"] == name)


def _right(keys: dict[str, Any], name: str, field: str = "exact_match") -> dict[str, int]:
    folder = keys["retention"].parent / "kept/scores" / name / "scores.jsonl"
    return {one["question_id"]: one[field] for one in read_jsonl(folder) if one[field] is not None}


def test_too_few_instructions_are_counted() -> None:
    few = {"instructions": None, "instructions_kept": 7, "instructions_of": 21}
    assert instructions_kept(few) == "7 of 21"
    assert instructions_kept({**few, "instructions": 0.5}) == "50.0 %"
    assert instructions_kept({"instructions": None, "instructions_kept": None, "instructions_of": None}) == "–"


def _terminal(report: dict[str, Any]) -> str:
    console = Console(width=200, record=True)
    console.print(summary_table(report))
    return console.export_text()


def test_an_arms_retention_is_counted_on_what_the_base_has_right(keys: dict[str, Any], report: dict[str, Any]) -> None:
    base, raw = (_right(keys, name) for name in ("base", "raw"))
    known = [key for key, right in base.items() if right]
    kept = sum(raw[key] for key in known)
    arm = _arm(report, "raw")
    assert (arm["kept"], arm["of"], arm["enough"]) == (kept, len(known), True)
    assert arm["retention"] == kept / len(known) and arm["retention_ci95"] == [*wilson_interval(kept, len(known))]
    followed = [key for key, right in _right(keys, "base", "instruction").items() if right]
    now = _right(keys, "raw", "instruction")
    assert arm["instructions"] == sum(now[key] for key in followed) / len(followed)
    assert (arm["instructions_kept"], arm["instructions_of"]) == (sum(now[key] for key in followed), len(followed))
    seeds = [_right(keys, f"anchored-256@{seed}") for seed in (1, 2, 3)]
    mean = sum(one[key] for one in seeds for key in known) / 3 / len(known)
    assert _arm(report, "anchored-256")["retention"] == pytest.approx(mean)
    found = report["retention"]
    assert (found["source"], found["questions"], found["instructions"]) == ("retention", 200, 60)
    assert set(found["models"][1]["knowledge"]["languages"]) == {"en", "ja"}
    model = next(row for row in report["divergence"]["models"] if row["model"] == "raw")
    assert arm["kl"] == model["kl"] and report["divergence"]["base"] == "base"
    perplexity = {row["model"]: row["perplexity"] for row in report["perplexity"]["models"]}
    assert arm["perplexity_ratio"] == pytest.approx(perplexity["raw"] / perplexity["base"])
    gain = next(row for row in report["differences"] if (row["name"], row["split"]) == ("raw", "test"))
    assert arm["gain"] == pytest.approx(gain["mean"]) and arm["gain_ci95"] == pytest.approx(gain["ci95"])


def test_the_frontier_has_who_is_beaten_by_nobody(report: dict[str, Any]) -> None:
    arms = report["frontier"]["arms"]
    assert [arm["name"] for arm in arms] == list(dict.fromkeys(row["name"] for row in report["groups"]))[1:]
    for arm in arms:
        others = [one for one in arms if one["name"] != arm["name"]]
        better = [
            one
            for one in others
            if one["gain"] >= arm["gain"]
            and one["retention"] >= arm["retention"]
            and (one["gain"], one["retention"]) != (arm["gain"], arm["retention"])
        ]
        assert arm["best"] == (not better), arm["name"]
    assert any(arm["best"] for arm in arms)
    page = render(report)
    plot = re.search(r'<svg role="img" aria-label="gain against retention".*?</svg>', page, re.DOTALL)
    assert plot and all(f">{name}<" in plot[0] for name in ("base", *(arm["name"] for arm in arms)))


def test_knowledge_and_retention_stand_side_by_side(report: dict[str, Any]) -> None:
    head = report["headline"]
    arm = headline_arm(report)
    assert arm is not None and arm["name"] == head["name"]
    number = f"{100 * arm['retention']:.1f} %"
    page, markdown, terminal = render(report), render_markdown(report), _terminal(report)
    block = page[page.index('<div class="headline">') : page.index("Exact match on held-out questions")]
    assert "+66.7 points" in block and f"<b>{number}</b>" in block
    line = next(line for line in markdown.splitlines() if line.startswith("**Exact match on held-out"))
    assert "+66.7 points" in line and number in line
    assert "+66.7 points" in terminal and f"retention: {number}" in terminal
    assert page.index("Knowledge gained, knowledge kept") < page.index("Models compared")
    for row in report["frontier"]["arms"]:
        found = next(
            line for line in markdown.splitlines() if line.startswith(f"| {row['name']} | ") and " of " in line
        )
        assert f"{100 * row['retention']:.1f} %" in found and f"{row['kl']:.3f}" in found
    assert csv_tables(report)["frontier"].count("\n") == 1 + len(report["frontier"]["arms"])
    assert r"\label{tab:frontier}" in latex_tables(report)


@pytest.mark.parametrize("name", OLD)
def test_reports_of_earlier_versions_still_show(name: str) -> None:
    old = read_json(ROOT / name)
    for key in LATER_FIELDS:
        old.pop(key, None)
    page, markdown, terminal = render(old), render_markdown(old), _terminal(old)
    assert "Knowledge gained, knowledge kept" not in page
    if old["headline"]:
        for text in (page, markdown, terminal):
            assert "not measured" in text and "docs/retention.md" in text
    assert csv_tables(old) and latex_tables(old)
    if name == OLD[0]:
        assert "of the general questions 75.0 % right before, 2.5 % after" in page


def test_general_questions_stand_in_and_few_say_nothing(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    without = build_report(Config(**{key: value for key, value in study.items() if "general" not in key}))
    assert without["retention"] is None and beside(without, "raw")[0] == "not measured"
    few = build_report(Config(**study))
    assert few["retention"]["source"] == "general" and few["frontier"]["arms"][0]["of"] < LEAST
    value, note = beside(few, few["headline"]["name"])
    assert value == "not measured" and "too few for a share" in note
    assert headline_arm(few) is None and "gain against retention" not in render(json.loads(json.dumps(few)))
    nothing = build_report(Config(**study | write_retention(tmp_path, ["base", "raw"], known=1)))
    assert nothing["retention"]["source"] == "retention" and "too few" not in beside(nothing, "paraphrase")[1]


def test_what_does_not_belong_together_is_refused(keys: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="retention=, retention_answers= and retention_scores= belong together"):
        build_report(Config(**keys | {"retention_scores": None}))
    one = keys["divergence"][0]
    with pytest.raises(BadInput, match="'raw' and answer 'r0' are in another folder, too"):
        join_divergence([one, one])
    write_json(Path(one) / "divergence.json", {"base": "other", "models": []})
    with pytest.raises(BadInput, match="two starting models, "):
        join_divergence(keys["divergence"])
    write_json(Path(one) / "divergence.json", {"base": "base", "models": []})
    assert join_divergence(None) is None


def test_goals_about_what_is_kept(keys: dict[str, Any], tmp_path: Path) -> None:
    goals: list[dict[str, Any]] = [
        {"retention": "raw", "at_least": 0.8},
        {"retention": "anchored-256", "at_least": 0.9},
        {"perplexity": "raw", "at_most": 1.5},
        {"perplexity": "raw", "at_most": 1.01},
        {"retention": "anchored-2048", "at_least": 0.9},
    ]
    plan = read_json(keys["cells"]) | {"goals": goals}
    write_json(keys["cells"].with_name("goals.json"), plan)
    found = build_report(Config(**keys | {"cells": keys["cells"].with_name("goals.json")}))
    rows = found["goals"]
    assert [row["state"] for row in rows] == ["met", "missed", "met", "missed", "not measured"]
    arm = _arm(found, "raw")
    assert (
        rows[0]["value"] == arm["retention"] and rows[0]["n"] == arm["of"] and rows[0]["ci95"] == arm["retention_ci95"]
    )
    assert rows[2]["value"] == arm["perplexity_ratio"] and rows[2]["at_most"] == 1.5
    assert rows[4]["why"] == "no gain and retention of anchored-2048"
    for text in (render(found), render_markdown(found)):
        assert "raw keeps at least 0.8 of what the base knows" in text and "at most 1.50" in text
        assert f"{100 * arm['retention']:.1f} % (" in text and f"{arm['perplexity_ratio']:.2f} times" in text
    assert "anchored-2048" in csv_tables(found)["goals"]


@pytest.mark.slow
def test_from_the_questions_to_the_page(tmp_path: Path) -> None:
    """The stages one after another, with models that know nothing: what they say then."""
    models = {name: str(make_model(tmp_path / name, seed)) for seed, name in enumerate(("base", "trained"))}
    write_jsonl(tmp_path / "own.jsonl", small_questions())
    questions.run(questions.Config(out=tmp_path / "asked", retention="ja"))
    few = [one for place, one in enumerate(read_jsonl(tmp_path / "asked/questions.jsonl")) if place % 12 == 0]
    write_jsonl(tmp_path / "few.jsonl", few)
    told: dict[str, Any] = {"base": "base", "out": tmp_path / "report"}
    for name, key in (("own", ""), ("few", "retention")):
        asked, out = tmp_path / f"{name}.jsonl", tmp_path / name
        told[key or "questions"] = asked
        answers, scores = (f"{key}_{kind}".strip("_") for kind in ("answers", "scores"))
        told |= {answers: str(out / "answers"), scores: str(out / "scores")}
        given = {"models": models, "engine": "transformers", "max_new_tokens": 3}
        generate.run(generate.Config(out=out / "answers", questions=asked, **given))
        score.run(score.Config(out=out / "scores", questions=asked, answers=out / "answers", encoder="none"))
    moved = {"models": models, "questions": tmp_path / "few.jsonl", "answers": tmp_path / "few/answers", "n": 3}
    divergence.run(divergence.Config(out=tmp_path / "moved", **moved))
    run(Config(**told, divergence=str(tmp_path / "moved")))
    found = read_json(tmp_path / "report/report.json")
    assert found["retention"]["instructions"] == sum("checks" in one for one in few) > 0
    (arm,) = found["frontier"]["arms"]
    assert arm["name"] == "trained" and arm["kl"] > 0 and not arm["enough"]
    page = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "not measured" in page and f"{arm['kl']:.3f}" in page
