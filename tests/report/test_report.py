"""The report: numbers against hand-made records, the page rebuilt from report.json alone, answers as data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring import stage as score_stage
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from nemo_kcpt.pages import escape_markdown
from nemo_kcpt.report import build
from nemo_kcpt.report.formats import pieces
from nemo_kcpt.report.render import render, render_markdown, summary_table
from nemo_kcpt.report.stage import Config, run
from nemo_kcpt.stats.statistics import wilson_interval
from tests.evaluation.small import write_inputs
from tests.html_tags import tags_of

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)> | **x** \n# h $x$ 2021年"
TEXTS = {
    "trained": ["12,400件です", "2021年です", "3,000件", ATTACK],
    "base": ["3,000件です", "2019年です", "", "2019年"],
    "raw$_1": ["3,000件です", "2021年です", "12,400件", "2019年"],
}

PACK = {
    "windows": 1234,
    "tokens": 5678,
    "fill_rate": 0.987,
    "pairs": 4321,
    "cut_pairs": 7,
    "co_location": 0.964,
    "repeated_share": 0.875,
    "replay_share": 0.0,
    "fill_histogram": [0, 0, 34, 1200],
    "pair_length_histogram": [[23, 4000], [32, 321]],
    "kinds": {"qa_easy": {"pairs": 4321, "tokens": 5000, "cut": 7, "beside": 4165}},
}


@pytest.fixture
def finished(tmp_path: Path) -> dict[str, Any]:
    """Everything that a report is made from."""
    write_inputs(tmp_path, TEXTS)
    for folder in ("questions", "answers"):
        assert (tmp_path / f"{folder}.jsonl").is_file()
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("questions", "answers", "papers")}
    score_stage.run(score_stage.Config(out=tmp_path / "scores", encoder="none", **paths))
    metrics = [
        {
            "step": step + 1,
            "max_steps": 1000,
            "loss": 5 / (step + 1),
            "lr": 0.1,
            "tokens_per_second": 100 + step,
            "seconds": step,
        }
        for step in range(1000)
    ]
    write_jsonl(tmp_path / "metrics.jsonl", metrics)
    pack = {
        "format": 1,
        "stage": "pack",
        "fingerprint": "f",
        "config": {"seq_length": 512},
        "inputs": {},
        "outputs": {},
    }
    write_json(tmp_path / "pack" / "manifest.json", {**pack, "counts": PACK})
    write_json(tmp_path / "bare" / "manifest.json", {**pack, "counts": {"windows": 9, "tokens": 99}})
    write_json(
        tmp_path / "timings.json", [{"name": "pack", "seconds": 1.5, "cached": True}, {"name": "train", "seconds": 90}]
    )
    write_json(tmp_path / "parity.json", {"max_abs_diff": 1e-6, "limit": 1e-4})
    return {
        **paths,
        "scores": tmp_path / "scores",
        "metrics": {"pretrain": str(tmp_path / "metrics.jsonl")},
        "packs": {"anchored": str(tmp_path / "pack"), "bare": str(tmp_path / "bare")},
        "timings": tmp_path / "timings.json",
        "parity": tmp_path / "parity.json",
        "out": tmp_path / "report",
        "command": "make demo",
        "summary": "Two papers.",
    }


@pytest.fixture
def report(finished: dict[str, Any]) -> dict[str, Any]:
    """report.json of those."""
    run(Config(**finished))
    return dict(read_json(finished["out"] / "report.json"))


def test_numbers(report: dict[str, Any]) -> None:
    rows = {(row["name"], row["split"]): row for row in report["models"]}
    assert list(dict.fromkeys(row["name"] for row in report["models"])) == ["base", "trained", "raw$_1"]
    assert rows["base", "train"]["exact_match"] == 0
    assert rows["base", "test"]["exact_match"] == 0.5
    assert rows["trained", "train"]["exact_match"] == 1
    assert rows["trained", "test"]["n"] == 2 and rows["trained", "test"]["papers"] == 1
    assert rows["base", "test"]["bertscore_sent"] is None
    low, high = rows["base", "test"]["ci95"]["exact_match"]
    assert low < 0.5 < high
    differences = {(row["name"], row["split"], row["metric"]): row for row in report["differences"]}
    assert differences["trained", "train", "exact_match"]["mean"] == 1
    assert differences["trained", "test", "exact_match"]["mean"] == 0
    assert differences["trained", "test", "exact_match"]["papers"] == 1
    assert report["headline"]["name"] == "raw$_1" and report["headline"]["split"] == "test"
    assert {row["fact"] for row in report["by_fact"]} == {"dataset_size", "year"}
    assert report["packs"] == [
        {"name": "anchored", "seq_length": 512, **PACK},
        {"name": "bare", "seq_length": 512, "windows": 9, "tokens": 99},
    ]
    assert report["stages"][0] == {"name": "pack", "seconds": 1.5, "cached": True}
    curve = report["losses"][0]
    assert len(curve["points"]) < 400 and curve["points"][0] == [1, 5.0] and curve["points"][-1][0] == 1000
    assert set(report["fingerprints"]) >= {"questions", "answers", "scores", "metrics/pretrain", "packs/anchored"}


def test_intervals_are_over_papers() -> None:
    questions = {
        f"p{paper}:{index}": {"question_id": f"p{paper}:{index}", "split": "test", "paper_id": f"p{paper}"}
        for paper in range(12)
        for index in range(6)
    }
    scores = {
        (key, model): {"exact_match": int(model == "trained" and int(record["paper_id"][1:]) % 2), "judge": None}
        for key, record in questions.items()
        for model in ("base", "trained")
    }
    rows = {row["name"]: row for row in build.model_rows(("base", "trained"), questions, scores)}
    assert rows["base"]["ci95"]["exact_match"] == [*wilson_interval(0, 12)]
    low, high = rows["trained"]["ci95"]["exact_match"]
    assert rows["trained"]["papers"] == 12 and rows["trained"]["n"] == 72
    assert high - low > 2 * (wilson_interval(36, 72)[1] - 0.5) * 1.8  # as of 12 trials, not of 72
    (difference,) = build.difference_rows(("base", "trained"), questions, scores)
    assert difference["ci95"] == [low, high]
    nameless = {key: {**record, "paper_id": None} for key, record in questions.items()}
    (row,) = build.model_rows(("trained",), nameless, scores)
    assert row["papers"] == 72 and row["ci95"]["exact_match"] == [*wilson_interval(36, 72)]


def test_the_page_is_rebuilt_from_report_json_alone(finished: dict[str, Any], report: dict[str, Any]) -> None:
    page = (finished["out"] / "report.html").read_text(encoding="utf-8")
    markdown = (finished["out"] / "report.md").read_text(encoding="utf-8")
    for path in [*finished["out"].iterdir(), finished["answers"], finished["questions"]]:
        path.unlink()
    assert render(report) == page
    assert render_markdown(report) == markdown


def test_answers_are_data_in_the_page(report: dict[str, Any]) -> None:
    hostile = json.loads(json.dumps(report).replace("raw$_1", "</text><script>alert(3)</script>"))
    hostile["title"] = hostile["command"] = hostile["stages"][0]["name"] = hostile["losses"][0]["name"] = ATTACK
    for contents in (report, hostile):
        page = render(contents)
        tags = tags_of(page)
        assert not [tag for tag, _ in tags if tag in ("script", "iframe", "object", "img", "link")]
        assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
        assert "&lt;script&gt;alert(1)" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_the_page_needs_nothing_else(report: dict[str, Any]) -> None:
    page = render(report)
    tags = tags_of(page)
    links = [attributes.get(name) or "" for _, attributes in tags for name in ("href", "src", "xlink:href")]
    assert all(link == "" or link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"url\((?!#)", page)
    ids = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert page.count("<svg") == 7 and len(ids) > 5
    assert len(set(ids)) == len(ids)


def test_every_section_stands_in_page_and_markdown(report: dict[str, Any]) -> None:
    page, markdown = render(report), render_markdown(report)
    for heading in (
        "Models compared",
        "Differences to base",
        "Examples",
        "Training",
        "Packs",
        "Time",
        "Export checked",
        "Reproduce",
    ):
        assert re.search(f"<h[23]>{heading}</h", page), heading
        assert f"## {heading}\n" in markdown, heading
    for text in (page, markdown):
        for shown in ("50.0 %", "98.7 %", "make demo", "Two papers.", "questions on 1 paper", "bootstrap over papers"):
            assert shown in text


def test_packs_are_shown_with_what_their_manifests_count(report: dict[str, Any]) -> None:
    page, markdown = render(report), render_markdown(report)
    cells = ["512", "1,234", "5,678", "98.7 %", "4,321", "7", "96.4 %", "87.5 %", "0 %"]
    assert "".join(f'<td class="n">{cell}</td>' for cell in cells) in page
    rows = [f"| anchored | {' | '.join(cells)} |", f"| bare | 512 | 9 | 99 |{' – |' * 6}"]
    assert "\n".join(rows) in markdown
    (plots,) = re.findall(r"<details><summary>anchored.*?</details>", page, re.DOTALL)
    assert plots.count("<svg") == 2 and "qa_easy" in plots


def test_a_bare_report_renders_without_the_optional_sections(finished: dict[str, Any]) -> None:
    for name in ("metrics", "packs", "timings", "parity", "papers"):
        finished[name] = None
    run(Config(**finished))
    page = (finished["out"] / "report.html").read_text(encoding="utf-8")
    assert "Models compared" in page
    assert not re.search(r"<h2>(Training|Packs|Time|Export checked)</h2>", page)


def test_questions_without_known_facts_are_reported_by_the_combined_score(finished: dict[str, Any]) -> None:
    folder = finished["out"].parent
    known = list(read_jsonl(folder / "questions.jsonl"))
    plain = [{key: value for key, value in record.items() if key not in ("accepted", "fact")} for record in known]
    write_jsonl(folder / "questions.jsonl", plain)
    inputs = {name: folder / f"{name}.jsonl" for name in ("questions", "answers", "papers")}
    score_stage.run(score_stage.Config(out=folder / "plain", encoder="none", **inputs))
    paths = {name: folder / f"{name}.jsonl" for name in ("questions", "answers")}
    run(Config(out=folder / "plain-report", scores=folder / "plain", **paths))
    found = read_json(folder / "plain-report" / "report.json")
    assert found["headline"]["metric"] == "combined" and found["by_fact"] == []
    assert any(mark for item in found["examples"] for answer in item["answers"] for mark in answer["marks"])
    page = render(found)
    assert "Combined" in page and "how likely people would call the answer right" in page
    assert '<mark class="wrong">' in page and "how likely people" in render_markdown(found)


def test_marks_cut_an_answer_without_losing_a_character(report: dict[str, Any]) -> None:
    for item in report["examples"]:
        for shown in item["answers"]:
            assert "".join(text for text, _ in pieces(shown)) == shown["answer"]
    page = render(report)
    assert '<mark class="right">3,000件</mark>' in page
    assert '<mark class="wrong">12,400件</mark>' in page
    assert "(empty)" in page


def test_markdown_cells_stay_cells(report: dict[str, Any]) -> None:
    assert escape_markdown("a|b\n<i>*c*</i>") == r"a\|b &lt;i&gt;\*c\*&lt;/i&gt;"
    tables = [line for line in render_markdown(report).splitlines() if line.startswith("| ")]
    width = None
    for line in tables:
        cells = len(re.findall(r"(?<!\\)\|", line))
        if re.match(r"\| (questions|fact|wording|question|training|pack|stage|score|kind of question|kind) \|", line):
            width = cells
        assert cells == width, line


def test_a_placeholder_encoder_is_named(report: dict[str, Any]) -> None:
    from rich.console import Console

    assert "placeholder" not in render(report)
    marked = {**report, "encoder": "placeholder-bert-2x64"}
    assert "says nothing about meaning" in render(marked) and "says nothing about meaning" in render_markdown(marked)
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary_table(marked))
    text = console.export_text()
    assert "random weights" in text and "raw$_1 against base" in text and "50.0 %" in text


def test_a_second_call_does_nothing_whatever_the_timings(finished: dict[str, Any], report: dict[str, Any]) -> None:
    before = (finished["out"] / "report.json").stat().st_mtime_ns
    write_json(finished["timings"], [{"name": "pack", "seconds": 0, "cached": True}])
    run(Config(**finished))
    assert (finished["out"] / "report.json").stat().st_mtime_ns == before


def test_records_that_do_not_belong(finished: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no answers of a model called 'start' .found: trained, base"):
        run(Config(**finished | {"base": "start"}))
    scores = list(read_jsonl(finished["scores"] / "scores.jsonl"))
    for changed, message in (
        (scores[:-1], "no score of 'raw\\$_1' for question 'b:year'; run `kcpt score`"),
        ([*scores, scores[0]], "line 13: second record of model 'trained'"),
        ([*scores, {**scores[0], "model": "m"}], "line 13: no answer of 'm' to question"),
    ):
        write_jsonl(tmp_path / "changed.jsonl", changed)
        with pytest.raises(BadInput, match=message):
            run(Config(**finished | {"scores": tmp_path / "changed.jsonl"}))
    write_json(tmp_path / "timings.json", {"pack": 1})
    with pytest.raises(BadInput, match="timings.json: expected a list of objects"):
        run(Config(**finished))
