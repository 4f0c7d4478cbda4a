"""The report of a grid: joined inputs, groups of seeds, comparisons, goals, cells, agreement, determinism, the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import kendalltau, spearmanr

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from nemo_kcpt.report import build, cells, groups, inputs, ranks, views
from nemo_kcpt.report.formats import clear
from nemo_kcpt.report.render import render, render_markdown
from nemo_kcpt.report.stage import Config, run
from nemo_kcpt.report.tables import csv_tables, latex_tables
from nemo_kcpt.stats.statistics import holm, least_p, paired_difference, paired_p, wilson_interval
from tests.html_tags import tags_of
from tests.report.grids import manifest, write_matrix, write_study

pytestmark = pytest.mark.usefixtures("fewer_resamples")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Keys of the study's report, which is there."""
    keys = write_study(tmp_path_factory.mktemp("study"))
    run(Config(**keys))
    return keys


@pytest.fixture(scope="module")
def report(study: dict[str, Any]) -> dict[str, Any]:
    return dict(read_json(study["out"] / "report.json"))


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    keys = write_matrix(tmp_path_factory.mktemp("matrix"))
    run(Config(**keys))
    return dict(read_json(keys["out"] / "report.json"))


def _scores(study: dict[str, Any], name: str) -> dict[str, dict[str, Any]]:
    (folder,) = [one for one in study["scores"] if one.endswith(f"/{name}")]
    return {record["question_id"]: record for record in read_jsonl(Path(folder) / "scores.jsonl")}


def _held_out(study: dict[str, Any]) -> dict[str, str]:
    found = read_jsonl(study["questions"] / "questions.jsonl")
    return {one["question_id"]: one["paper_id"] for one in found if one["split"] == "test" and one["kept"]}


def _row(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def test_groups_are_means_over_seeds(study: dict[str, Any], report: dict[str, Any]) -> None:
    assert [row["name"] for row in report["groups"] if row["split"] == "test"] == [
        "base",
        "raw",
        "paraphrase",
        "concat-1024",
        "anchored-256",
        "anchored-512",
        "anchored-1024",
        "anchored-1024-block",
    ]
    row = _row(report["groups"], name="anchored-256", split="test")
    assert row["seeds"] == [1, 2, 3] and row["models"] == [f"anchored-256@{seed}" for seed in (1, 2, 3)]
    asked = _held_out(study)
    means = [sum(_scores(study, name)[key]["exact_match"] for key in asked) / len(asked) for name in row["models"]]
    assert row["each"]["exact_match"] == pytest.approx(means)
    assert row["exact_match"] == pytest.approx(sum(means) / 3) and row["n"] == len(asked)
    assert row["ci95"]["exact_match"][0] < row["exact_match"] < row["ci95"]["exact_match"][1]
    middle = sum(means) / 3
    assert row["spread"]["exact_match"] == pytest.approx((sum((one - middle) ** 2 for one in means) / 2) ** 0.5)
    single = _row(report["groups"], name="raw", split="test")
    assert single["ci95"] == _row(report["models"], name="raw", split="test")["ci95"]
    assert single["spread"]["exact_match"] is None


def test_comparisons_are_paired_question_by_question(study: dict[str, Any], report: dict[str, Any]) -> None:
    row = _row(report["comparisons"], name="anchored-256", than="raw", split="test", metric="exact_match")
    asked = _held_out(study)
    seeds = [_scores(study, f"anchored-256@{seed}") for seed in (1, 2, 3)]
    after = [sum(one[key]["exact_match"] for one in seeds) / 3 for key in asked]
    before = [_scores(study, "raw")[key]["exact_match"] for key in asked]
    found = paired_difference(before, after, list(asked.values()))
    assert row["mean"] == pytest.approx(found.mean) and row["ci95"] == pytest.approx([found.low, found.high])
    assert row["p"] == pytest.approx(paired_p(before, after, list(asked.values()))) and row["models"] == [3, 1]
    family = [one for one in report["comparisons"] if (one["split"], one["metric"]) == ("test", "exact_match")]
    assert len(family) == 3 and [one["p_holm"] for one in family] == holm([one["p"] for one in family])
    assert [one["p_holm_least"] for one in family] == holm([least_p(one["papers"]) for one in family])
    assert {one["split"] for one in report["comparisons"]} == {"train", "test"}
    assert all(one["metric"] != "judge" for one in report["comparisons"])  # no judge was asked


def test_goals_are_met_missed_or_not_measured(study: dict[str, Any], report: dict[str, Any], tmp_path: Path) -> None:
    states = [goal["state"] for goal in report["goals"]]
    assert states == ["met", "met", "met", "not measured", "met"]
    assert report["goals"][0]["value"] == report["headline"]["mean"]
    assert report["goals"][3]["why"] == "no answers of anchored-2048" and report["goals"][3]["certain"] is None
    assert report["goals"][4]["value"] == _row(report["score_agreement"], score="combined")["spearman"]["value"]
    plan = read_json(study["cells"])
    plan["goals"] = [
        {"better": "raw", "than": "base", "metric": "exact_match", "at_least": 0.5},
        {"better": "raw", "than": "base", "metric": "judge", "at_least": 0.5},
        {"spearman": "judge", "at_least": 0.5},
        {"better": "anchored-256@2", "than": "paraphrase", "metric": "exact_match", "at_least": 0.99},
    ]
    questions = {one["question_id"]: one for one in read_jsonl(study["questions"] / "questions.jsonl") if one["kept"]}
    scores = inputs.join_scores(study["scores"], inputs.join_answers(study["answers"], questions))
    found = groups.Groups(build.ordered_models(scores, "base"), questions, scores, plan["cells"])
    rows = groups.goal_rows(plan["goals"], found, report["score_agreement"])
    assert [row["state"] for row in rows] == ["missed", "not measured", "not measured", "missed"]
    assert rows[0]["certain"] is True and "no judge of both" in rows[1]["why"]
    assert found.find("anchored-512") == ["anchored-512"] and found.find("nothing") == []
    for goal, message in (({"better": "raw"}, "expected text, better"), ({"spearman": "luck", "at_least": 1}, "luck")):
        with pytest.raises(BadInput, match=message):
            groups.goal_rows([goal], found, [])


def test_a_trainings_name_stands_for_its_cells(matrix: dict[str, Any]) -> None:
    plan = [{"name": f"t-{one}", "training": "t", "state": "done"} for one in "ab"]
    scores = {("q", f"t-{one}"): {"exact_match": place} for place, one in enumerate("ab")}
    found = groups.Groups(["t-a", "t-b"], {"q": {"question_id": "q", "split": "test"}}, scores, plan)
    assert found.find("t") == ["t-a", "t-b"] and found.values(found.find("t"), "test", "exact_match") == {"q": 0.5}
    assert matrix["headline"]["name"] == "concat-16384-zero_shot"  # nothing was planned: the last that has answers


def test_scores_are_ranked_against_the_truth(study: dict[str, Any], report: dict[str, Any]) -> None:
    row = _row(report["score_agreement"], score="bertscore_sent", truth="exact_match")
    values, truths = zip(*((point["value"], point["truth"]) for point in row["points"]))
    assert row["models"] == 12 and row["papers"] == 15
    assert row["spearman"]["value"] == pytest.approx(spearmanr(values, truths).statistic)
    assert row["kendall"]["value"] == pytest.approx(kendalltau(values, truths).statistic)
    assert row["spearman"]["low"] <= row["spearman"]["value"] <= row["spearman"]["high"]
    questions = {"q": {"question_id": "q", "split": "test", "paper_id": "p"}}
    scores = {("q", name): {"combined": place / 4, "exact_match": None} for place, name in enumerate("abc")}
    (few,) = ranks.score_agreement(questions, scores, {("q", "a"): 0.0, ("q", "b"): 1.0})
    assert few["truth"] == "people" and few["models"] == 2 and few["spearman"]["value"] is None


def test_cells_tell_what_they_took(report: dict[str, Any], matrix: dict[str, Any]) -> None:
    cell = _row(report["cells"], name="anchored-256@1")
    assert cell["tokens"] == 160 * 2048 and cell["co_location"] == 0.93 and cell["device"] == "CPU"
    # Both trainings were killed once, after half of their steps: the seconds of both processes count.
    assert cell["seconds"] == pytest.approx(160 * 2048 / (700 + 256 / 4), abs=0.01)
    assert cell["device_hours"] == pytest.approx(cell["seconds"] / 3600)
    lost = _row(report["cells"], name="anchored-2048")
    assert lost["state"] == "failed" and "code 1" in lost["reason"] and lost["tokens"] is None and not lost["measured"]
    assert _row(report["cells"], name="base")["seconds"] is None
    shared = [one for one in matrix["trainings"] if one["stage"] == "pretrain"]
    assert len(shared) == 5 and len(shared[0]["cells"]) == 4 and shared[0]["device"] == "GPU"
    one = _row(matrix["cells"], name="concat-1024-ichikara")
    assert one["device_hours"] == pytest.approx(8 * one["seconds"] / 3600)
    assert matrix["totals"]["tokens"] == 5 * 100 * 524_288 + 19 * 40 * 65_536


def test_seconds_of_a_training_that_was_resumed() -> None:
    assert build.trained_seconds([{"seconds": 1.0}, {"seconds": 2.5}, {"seconds": 0.5}, {"seconds": 4}]) == 6.5
    assert build.trained_seconds([{"loss": 1}]) is None


def test_the_plan_is_checked(tmp_path: Path) -> None:
    cell = {"name": "a", "state": "done"}
    for plan, message in (
        ({"cells": {}, "compare": [["a"]]}, "not a pair"),
        ({"cells": [{"name": "a", "state": "lost"}]}, "cell 'a': state is 'lost', expected one of done"),
        ({"cells": [{"state": "done"}]}, "cell 1: name is None"),
        ({"cells": [cell, cell]}, "'a' appears twice"),
        ({"cells": ["a"]}, "cells: expected a list of objects"),
        ([], "expected a JSON object"),
    ):
        write_json(tmp_path / "cells.json", plan)
        with pytest.raises(BadInput, match=message):
            cells.read_plan(tmp_path / "cells.json")
    write_json(tmp_path / "cells.json", {"cells": [cell | {"metrics": None, "pack": "nowhere"}]})
    plan = cells.read_plan(tmp_path / "cells.json")
    (row,), trainings = cells.build_cells(tmp_path / "cells.json", plan, [], on_gpu=False)
    assert row["tokens"] is None and row["set"] is None and row["co_location"] is None and trainings == []


def test_folders_are_joined_and_nothing_stands_in_two(study: dict[str, Any], tmp_path: Path) -> None:
    assert inputs.paths("a, b") == inputs.paths(["a", "b"]) == [Path("a"), Path("b")] and inputs.paths(None) == []
    assert list(inputs.names("answers", "x/a,y/a")) == ["answers/x/a", "answers/y/a"]
    assert list(inputs.names("answers", Path("x/a"))) == ["answers"]
    questions = {one["question_id"]: one for one in read_jsonl(study["questions"] / "questions.jsonl") if one["kept"]}
    twice = [*study["answers"], study["answers"][0]]
    with pytest.raises(BadInput, match="'base' and question 'p000:dataset_size' are in .*answers/base, too"):
        inputs.join_answers(twice, questions)
    answers = inputs.join_answers(",".join(study["answers"]), questions)
    assert len(answers) == 12 * len(questions)
    with pytest.raises(BadInput, match=r"are in .*scores/base/scores.jsonl, too"):
        inputs.join_scores([*study["scores"], study["scores"][0]], answers)
    with pytest.raises(BadInput, match="no score of 'anchored-1024-block'"):
        inputs.join_scores(study["scores"][:-1], answers)


def test_perplexity_of_several_folders_is_measured_anew(study: dict[str, Any], tmp_path: Path) -> None:
    found = inputs.join_perplexity(study["perplexity"][::-1], "base")
    assert found is not None and found["base"] == "base" and found["models"][0]["model"] == "base"
    assert len(found["models"]) == 12 and found["models"][1]["difference"] is not None
    with pytest.raises(BadInput, match="too"):
        inputs.join_perplexity([*study["perplexity"], study["perplexity"][1]], "base")
    write_jsonl(
        tmp_path / "perplexity.jsonl", [{"question_id": "other", "model": "m", "tokens": 1, "bytes": 1, "nats": 1.0}]
    )
    with pytest.raises(BadInput, match="text 'other' was read by 'm' and not by 'base'"):
        inputs.join_perplexity([study["perplexity"][0], tmp_path], "base")


def test_general_knowledge_before_and_after(study: dict[str, Any], report: dict[str, Any]) -> None:
    rows = report["general"]["models"]
    assert rows[0]["name"] == "base" and rows[0]["n"] == 40 and rows[0]["difference"] is None
    assert rows[0]["wilson95"] == [*wilson_interval(rows[0]["right"], 40)]
    assert rows[1]["difference"] == pytest.approx(rows[1]["exact_match"] - rows[0]["exact_match"])
    with pytest.raises(BadInput, match="give all three"):
        run(Config(**study | {"general_scores": None, "out": study["out"].parent / "other"}))


def test_equal_inputs_give_an_equal_report_times_aside(study: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    other = write_study(root)
    for file in root.glob("train/**/metrics.jsonl"):  # twice as fast, and not killed
        lines = list(read_jsonl(file))
        for place, line in enumerate(lines):
            line |= {"seconds": place * 0.5, "tokens_per_second": 9.0, "memory_gib": 1.0}
        write_jsonl(file, lines)
    run(Config(**other))
    first, second = (read_json(keys["out"] / "report.json") for keys in (study, other))
    assert first != second
    assert build.without_times(first) == build.without_times(second)
    left = json.dumps(build.without_times(first))
    assert not re.search(r'"(created|seconds|device_hours|median_tokens_per_second|stages|commands)":', left)
    assert str(root) not in json.dumps(build.without_times(second))


@pytest.mark.parametrize("which", ["report", "matrix"])
def test_page_and_tables_come_from_report_json_alone(which: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(which)
    page = render(found)
    tags = tags_of(page)
    ids = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert len(ids) == len(set(ids)) and page.count("<svg") >= 8
    assert not [tag for tag, _ in tags if tag in ("script", "iframe", "object", "img", "link")]
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    markdown = render_markdown(found)
    for heading in ("Data sheet", "What the training cost", "Do the scores rank models as the truth does?", "Training"):
        assert f"<h2>{heading}</h2>" in page and f"## {heading}\n" in markdown


def test_the_study_on_the_page(study: dict[str, Any], report: dict[str, Any]) -> None:
    page, markdown = render(report), render_markdown(report)
    assert page == (study["out"] / "report.html").read_text(encoding="utf-8")
    assert page.index("+66.7 points") < page.index('<h2 class="first">Goals') < page.index("Models compared")
    for text in (page, markdown):
        assert "ended with code 1 &lt;out of memory&gt;" in text and "not measured" in text
        assert "Qwen/Qwen2.5-72B-Instruct" in text and "1,200 requests" in text
    assert "kcpt pack mode=anchored &#39;out=runs/my packs/a-256&#39;" in page
    assert "CPU-hours" in page and "GPU-hours" not in page
    for name in ("groups", "comparisons", "goals", "cells", "score_agreement", "general", "perplexity"):
        assert (study["out"] / f"{name}.csv").read_text(encoding="utf-8") == csv_tables(report)[name]
    assert r"\label{tab:comparisons}" in latex_tables(report)


def test_the_matrix_is_the_methods_table_1(matrix: dict[str, Any]) -> None:
    (found,) = views.matrices(matrix)
    assert found.lengths == (1024, 2048, 4096, 8192, 16384) and len(found.sets) == 4 and len(found.names) == 19
    assert found.states == {(16384, "all_included"): "waiting"}
    page, markdown = render(matrix), render_markdown(matrix)
    assert page.count('<table class="matrix">') == 5  # exact match, combined, judge, Sent, Doc
    assert "GPU-hours" in page and "concat-16384-all_included: waiting" in page
    row = _row(matrix["models"], name="concat-2048-one_shot", split="test")
    assert f"{100 * row['judge']:.1f} %" in re.findall(r"### Judge.*?\n\n(.*?)\n\n", markdown, re.DOTALL)[0]
    assert set(views.over_length(matrix)) == {"concat"}
    assert r"\label{tab:matrix-1-judge}" in latex_tables(matrix)


def test_texts_are_data_everywhere(report: dict[str, Any], tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>$x$ \\ %"
    hostile = json.loads(json.dumps(report).replace("anchored-512", json.dumps(attack)[1:-1]))
    hostile["goals"][0]["text"] = hostile["cells"][-1]["reason"] = hostile["data"]["synthetic"]["teacher"] = attack
    hostile["commands"] = [{"name": attack, "command": ["kcpt", attack]}]
    hostile["data"]["corpus"]["licences"][0]["value"] = hostile["data"]["judges"][0]["judge"] = attack
    page, markdown = render(hostile), render_markdown(hostile)
    assert "<script" not in page and "<script" not in markdown and page.count("&lt;script&gt;") > 10
    latex = shutil.which("lualatex") or shutil.which("pdflatex")
    if latex is None:
        pytest.skip("no LaTeX here")
    body = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + latex_tables(hostile) + r"\end{document}"
    (tmp_path / "t.tex").write_text(body, encoding="utf-8")
    done = subprocess.run([latex, "-interaction=nonstopmode", "t.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_commands_have_a_form(tmp_path: Path) -> None:
    write_json(tmp_path / "commands.json", [{"name": "x", "command": "kcpt pack"}])
    with pytest.raises(BadInput, match="a list of words"):
        inputs.read_commands(tmp_path / "commands.json")


@pytest.mark.parametrize(
    ("excludes_zero", "p", "least", "words"),
    [(True, 0.01, 0.01, "yes"), (True, 0.2, 0.2, "interval only"), (True, 0.2, 0.01, "no"), (False, 0.01, 0.01, "no")],
)
def test_a_difference_is_clear_if_interval_and_p_say_so(
    excludes_zero: bool, p: float, least: float, words: str
) -> None:
    assert clear({"excludes_zero": excludes_zero, "p_holm": p, "p_holm_least": least}) == words


def test_mixtures_are_shown_with_the_one_that_was_chosen(study: dict[str, Any], tmp_path: Path) -> None:
    """As lines and a table; one that keeps too little says so, and a report without any says nothing of them."""
    rows = [
        {"model": f"raw~{alpha}", "alpha": alpha, "knowledge": alpha / 2, "ci95": [0.0, 0.9], "retention": 1 - alpha}
        | {"retention_of": 40}
        for alpha in (0.25, 0.5, 1.0)
    ]
    choice = {
        "rule": "best <exact_match>",
        "metric": "exact_match",
        "least_retention": 0.9,
        "questions": 20,
        "papers": 3,
    }
    choice |= {"chosen": "raw~0.25", "alpha": 0.25, "met": False, "base": "base", "rows": rows}
    write_json(tmp_path / "choices/raw/choice.json", choice)
    manifest(tmp_path / "choices/raw", "choose", {})
    run(Config(**study | {"out": tmp_path / "out", "choices": str(tmp_path / "choices/raw")}))
    found = read_json(tmp_path / "out/report.json")
    assert found["sweeps"] == [{"name": "raw~1.0", **choice}]
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert 'aria-label="mixtures of raw~1.0"' in page and "best &lt;exact_match&gt;" in page
    assert "None kept as much as 90.0 %" in page
    assert "| 0.25 | 12.5 % | 0.0 to 90.0 | 75.0 % | 40 | chosen |" in (tmp_path / "out/report.md").read_text()
    assert "Mixtures with" not in (study["out"] / "report.html").read_text(encoding="utf-8")
