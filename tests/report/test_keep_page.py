"""The page about what models keep: the arm that it recommends, and that its numbers are those of the report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.experiment.study import read_study
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.report.stage import Config, run
from nemo_kcpt.report.study import page
from nemo_kcpt.report.study.record import frontier_best, published
from tests.report.retained import study_with_retention

pytestmark = pytest.mark.usefixtures("fewer_resamples")

ROOT = Path(__file__).resolve().parents[2]
TRAININGS = [
    {"name": "raw", "mode": "raw", "seq_length": 256},
    {"name": "anchored-256", "mode": "anchored", "seq_length": 256, "distill": {"k": 64}, "mix": [0.5]},
]
EXPERIMENT = {"trainings": TRAININGS, "study": {"page": "keep", "least_retention": 0.5, "most_perplexity": 100.0}}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    keys = study_with_retention(tmp_path_factory.mktemp("keep"))
    run(Config(**keys))
    root = keys["out"].parent
    return published(read_json(keys["out"] / "report.json"), EXPERIMENT, ["abc1234"], root, "runs/keep", ROOT)


def _report(*arms: tuple[str, float, float, float | None]) -> dict[str, Any]:
    names = ("name", "gain", "retention", "perplexity_ratio")
    return {"frontier": {"arms": [dict(zip(names, arm)) | {"enough": True} for arm in arms]}}


def test_the_best_arm_gains_most_of_those_that_keep_enough() -> None:
    report = _report(("plain", 0.7, 0.1, 40.0), ("a", 0.5, 0.92, 1.4), ("b", 0.6, 0.95, 1.6), ("c", 0.4, 0.99, None))
    best = frontier_best(report, 0.9, 1.5)
    assert best == {"name": "a", "gain": 0.5, "retention": 0.92, "perplexity_ratio": 1.4, "meets": True}
    best = frontier_best(report, 0.995, 1.5)
    assert best is not None and best["name"] == "a" and not best["meets"], "0.5 times 0.92, of those within 1.5"
    best = frontier_best(report, 0.995, 0.5)
    assert best is not None and best["name"] == "c", "its perplexity was not measured"
    best = frontier_best(_report(("plain", 0.7, 0.1, 40.0), ("b", 0.6, 0.95, 1.6)), 0.9, 1.5)
    assert best is not None and best["name"] == "b" and not best["meets"], "0.6 times 0.95 is largest of all"


def test_nothing_is_recommended_where_nothing_was_measured() -> None:
    report = _report(("a", 0.5, 0.9, 1.0))
    report["frontier"]["arms"][0]["enough"] = False
    assert frontier_best(report, 0.5, 2.0) is None and frontier_best({"frontier": None}, 0.5, 2.0) is None


def test_the_page_is_made_of_the_report_alone(record: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    write_json(tmp_path / "keep/report.json", record)
    page.write_page(tmp_path, "keep")
    text = (tmp_path / "keep.md").read_text(encoding="utf-8")
    assert text == page.render_page(tmp_path, "keep")
    best, arms = record["frontier_best"], record["frontier"]["arms"]
    assert text.count(f"{best['name']} gains") == 1
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for arm in (arm for arm in arms if arm["enough"]):
        (row,) = [row for row in rows if row.startswith(f"| {arm['name']} | ") and "(" in row and "%" in row]
        assert f"{100 * arm['retention']:.1f} %" in row and ("yes" in row) == arm["best"]
    assert "| raw | nothing: plain training |" in text
    assert "its own distributions, with the passage before each pair; mixed back with the base (`" in text
    assert (tmp_path / "keep/frontier.svg").is_file() and "](keep/frontier.svg)" in text


def test_arms_that_are_not_finished_are_named(record: dict[str, Any]) -> None:
    done = [cell for cell in record["cells"] if cell["state"] == "done"]
    assert "Not finished" not in page.page({**record, "cells": done}, None, [], "keep")
    waiting = {**done[-1], "name": "context", "state": "waiting", "reason": "not finished"}
    part = page.page({**record, "cells": [*done, waiting]}, None, [], "keep")
    assert "**Not finished: context.**" in part and "\n## How to go on\n" in part


def test_where_settings_come_from_is_said_where_there_is_something_to_read(record: dict[str, Any]) -> None:
    told = {**record["study"], "tried": True, "validation": {"world_seed": 7}}
    told["experiment"] = {**told["experiment"], "epochs": 2, "overrides": ["optim.config.lr=5e-4"]}
    said = page.page({**record, "study": told}, None, [], "keep")
    assert "`optim.config.lr=5e-4`, 2 passes. None was chosen on these papers" in said
    assert "](keep/tried.md)" in said and "tried.md" not in page.page(record, None, [], "keep")


def test_a_report_without_retention_says_so(record: dict[str, Any]) -> None:
    bare = {key: value for key, value in record.items() if key != "frontier_best"} | {"frontier": None}
    assert "What the arms kept was not measured" in page.page(bare, None, [], "keep")


def test_every_template_can_be_named_by_an_experiment(tmp_path: Path) -> None:
    for name in page.templates():
        file = tmp_path / "own.yaml"
        file.write_text(f"study: {{page: {name}, study_minutes: 1}}\n", encoding="utf-8")
        assert read_study(file).page == name and name in page.PLOTS


@pytest.mark.parametrize("page_", ["README.md", "README.ja.md"])
def test_the_readmes_tell_the_committed_study(page_: str) -> None:
    text = (ROOT / page_).read_text(encoding="utf-8")
    told = text.split("<!-- keep:start -->")[1].split("<!-- keep:end -->")[0]
    report = read_json(ROOT / "docs/keep/report.json")
    arms = {arm["name"]: arm for arm in report["frontier"]["arms"]}
    names = [name for name in re.findall(r"`([\w~-]+)`", told) if name in arms]
    assert names[0] == report["frontier_best"]["name"]
    found: list[str] = []
    for arm in map(arms.__getitem__, names):
        found += [f"{100 * arm['gain']:+.0f}", f"{100 * arm['retention']:.0f} %", f"{arm['perplexity_ratio']:.2f}"]
    assert re.findall(r"[+-]\d+(?= (?:points|ポイント))|\d+ %|\d+\.\d\d", told) == found
