"""Tables as CSV and LaTeX: every number of report.json, names as data, people's ratings."""

from __future__ import annotations

import csv
import io
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.evaluation.people import collect_stage, sheet_stage
from nemo_kcpt.evaluation.scoring import stage as score_stage
from nemo_kcpt.evaluation.scoring.perplexity_stage import measure
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.report.render import render, render_markdown
from nemo_kcpt.report.stage import Config, run
from nemo_kcpt.report.tables import csv_tables, escape_latex, latex_tables
from tests.evaluation.human import sheets
from tests.evaluation.small import write_inputs

TEXTS = {
    "base": ["3,000件です", "2019年です", "", "2019年"],
    "=cmd|x": ["12,400件です", "2021年です", "3,000件", "2019年です"],
    r"a_b & 50% \\x": ["12,400件です", "2021年です", "3,000件", "2020年です"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_inputs(tmp_path, TEXTS)
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("questions", "answers", "papers")}
    score_stage.run(score_stage.Config(out=tmp_path / "scores", encoder="none", **paths))
    made = sheet_stage.Config(out=tmp_path / "sheet", questions=paths["questions"], answers=paths["answers"])
    sheet_stage.run(made)
    key = sheets.read_key(tmp_path / "sheet")
    for rater in ("佐藤", "Tanaka"):
        said = [sheets.line(key, one["item"], rater, int("base" not in one["models"])) for one in key["items"]]
        sheets.write_ratings(tmp_path / "ratings" / f"{rater}.jsonl", said)
    collect = collect_stage.Config(
        out=tmp_path / "people", sheet=tmp_path / "sheet", ratings=[str(tmp_path / "ratings")]
    )
    collect_stage.run(collect)
    score_stage.run(score_stage.Config(out=tmp_path / "scores", encoder="none", agreement="oracle", **paths))
    measured = [
        {"question_id": str(n), "model": model, "tokens": 90, "bytes": 100, "nats": nats}
        for model, nats in (("base", 100 * math.log(2)), ("=cmd|x", 150 * math.log(2)))
        for n in range(3)
    ]
    write_json(tmp_path / "perplexity.json", {"base": "base", "models": measure(measured, "base")})
    more = {"people": tmp_path / "people", "perplexity": tmp_path / "perplexity.json"}
    more["agreement"] = tmp_path / "scores" / "agreement.json"
    run(Config(out=tmp_path / "report", scores=tmp_path / "scores", **more, **paths))
    return tmp_path / "report"


@pytest.fixture
def report(folder: Path) -> dict[str, Any]:
    return dict(read_json(folder / "report.json"))


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_files_are_made_from_report_json_alone(folder: Path, report: dict[str, Any]) -> None:
    for name, text in csv_tables(report).items():
        assert (folder / f"{name}.csv").read_text(encoding="utf-8") == text
    assert (folder / "report.tex").read_text(encoding="utf-8") == latex_tables(report)


def test_csv_has_every_number(report: dict[str, Any]) -> None:
    tables = csv_tables(report)
    models = _rows(tables["models"])
    for row in report["models"]:
        for metric, bounds in row["ci95"].items():
            name = row["name"] if row["name"] != "=cmd|x" else "'=cmd|x"
            (found,) = [
                one for one in models if (one["model"], one["split"], one["metric"]) == (name, row["split"], metric)
            ]
            assert [float(found[key]) for key in ("value", "low", "high")] == [row[metric], *bounds]
    differences = _rows(tables["differences"])
    assert [float(row["p_holm"]) for row in differences] == [row["p_holm"] for row in report["differences"]]
    assert len(_rows(tables["people"])) == 3


def test_p_values_are_corrected_for_the_models(report: dict[str, Any]) -> None:
    assert all(0 < row["p"] <= row["p_holm"] <= 1 for row in report["differences"])
    pair = [row for row in report["differences"] if (row["split"], row["metric"]) == ("test", "combined")]
    assert len(pair) == 2 and min(row["p_holm"] for row in pair) == min(1.0, 2 * min(row["p"] for row in pair))


def test_names_are_data_in_latex(report: dict[str, Any]) -> None:
    assert escape_latex("a_b & 50% $x$ {y} ~ ^ # \\\\ −") == (
        r"a\_b \& 50\% \$x\$ \{y\} \textasciitilde{} \textasciicircum{} \# \textbackslash{}\textbackslash{} $-$"
    )
    text = latex_tables(report)
    assert text.count(r"\begin{table}") == 4 and r"a\_b \& 50\%" in text
    assert text.count("{") == text.count("}")


def test_latex_is_accepted_by_latex(report: dict[str, Any], tmp_path: Path) -> None:
    latex = shutil.which("lualatex") or shutil.which("xelatex") or shutil.which("pdflatex")
    if latex is None:
        pytest.skip("no LaTeX here")
    body = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + latex_tables(report) + r"\end{document}"
    (tmp_path / "t.tex").write_text(body, encoding="utf-8")
    done = subprocess.run([latex, "-interaction=nonstopmode", "t.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_people_stand_on_the_page(report: dict[str, Any]) -> None:
    page, markdown = render(report), render_markdown(report)
    for text in (page, markdown):
        assert "What people say" in text and "100.0 %" in text and "alpha 1.000" in text and "2 raters" in text
        assert "What the training cost" in text and "1.500" in text and "+0.500" in text and "0.500 to 0.500" in text
        assert "Do the scores agree with people?" in text and "12 rated answers of 3 models about 2 papers" in text
    assert "Holm" in page and "Holm" in markdown
