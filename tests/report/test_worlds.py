"""Several worlds in one report: numbers are over the papers of all, and only of models that every world has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.config import load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment import worlds
from nemo_kcpt.experiment.sections import words_of
from nemo_kcpt.experiment.study import read_study, whole
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.report.stage import Config, run
from tests.report.retained import study_with_retention

pytestmark = pytest.mark.usefixtures("fewer_resamples")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two worlds of equal numbers; the second has not finished one of the arms, `raw`."""
    found = {}
    for name in ("papers-1", "papers-2"):
        root = tmp_path_factory.mktemp(name)
        keys: dict[str, Any] = {
            key: [str(one) for one in value] if isinstance(value, list) else str(value)
            for key, value in study_with_retention(root).items()
        }
        if name == "papers-2":
            plan = read_json(Path(keys["cells"]))
            for cell in plan["cells"]:
                if cell["name"] == "raw":
                    cell |= {"state": "waiting", "reason": "not finished", "metrics": []}
            write_json(Path(keys["cells"]), plan)
            for key in ("answers", "scores", "retention_answers", "retention_scores", "perplexity", "divergence"):
                keys[key] = [one for one in keys[key] if Path(one).name != "raw"]
        write_json(root / "report-inputs" / worlds.KEYS, keys)
        found[name] = root
    return found


@pytest.fixture(scope="module")
def reports(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the first world, and of both together."""
    one = runs["papers-1"]
    keys = read_json(one / "report-inputs" / worlds.KEYS) | {"out": str(one / "report")}
    run(load_config(Config, overrides=words_of(keys)))
    together = tmp_path_factory.mktemp("together")
    worlds.run(runs, together)
    return read_json(one / "report/report.json"), read_json(together / "report/report.json")


def test_means_are_over_the_papers_of_all_worlds(reports: tuple[dict[str, Any], dict[str, Any]]) -> None:
    one, both = reports
    assert both["counts"]["questions"] == {split: 2 * n for split, n in one["counts"]["questions"].items()}
    before = {arm["name"]: arm for arm in one["frontier"]["arms"]}
    after = {arm["name"]: arm for arm in both["frontier"]["arms"]}
    assert set(before) - set(after) == {"raw"}
    for name, arm in after.items():
        same = before[name]
        assert arm["gain"] == pytest.approx(same["gain"]) and arm["retention"] == pytest.approx(same["retention"])
        assert (arm["kept"], arm["of"]) == (pytest.approx(2 * same["kept"]), 2 * same["of"])
        assert arm["perplexity_ratio"] == pytest.approx(same["perplexity_ratio"])
        assert arm["kl"] == pytest.approx(same["kl"])
        # Equal papers twice: the interval is narrower by about the root of two.
        widths = [arm["gain_ci95"][1] - arm["gain_ci95"][0], same["gain_ci95"][1] - same["gain_ci95"][0]]
        assert widths[0] < widths[1] or widths[1] == 0


def test_a_model_that_one_world_lacks_is_not_finished(reports: tuple[dict[str, Any], dict[str, Any]]) -> None:
    states = [{cell["name"]: cell["state"] for cell in report["cells"]} for report in reports]
    assert states[0]["raw"] == "done" and states[1]["raw"] == "waiting"
    assert "raw" not in {row["name"] for row in reports[1]["models"]}


def test_trainings_of_all_worlds_are_counted(reports: tuple[dict[str, Any], dict[str, Any]]) -> None:
    tokens = [{cell["name"]: cell["tokens"] for cell in report["cells"]} for report in reports]
    trained = [name for name, n in tokens[1].items() if n]
    assert trained and all(tokens[1][name] == 2 * tokens[0][name] for name in trained)


def test_choices_say_of_which_world_they_are(runs: dict[str, Path], tmp_path: Path) -> None:
    row = {"model": "x", "alpha": 1.0, "knowledge": 0.5, "ci95": [0, 1], "retention": 0.9, "retention_of": 40}
    write_json(tmp_path / "choices/x/choice.json", {"chosen": "x", "alpha": 1.0, "rows": [row]})
    keys = {name: read_json(root / "report-inputs" / worlds.KEYS) for name, root in runs.items()}
    keys["papers-2"]["choices"] = [str(tmp_path / "choices/x")]
    joined = worlds.join(keys, tmp_path / "joined")
    (file,) = joined["choices"]
    assert read_json(Path(file))["chosen"] == "x (papers-2)"


def test_worlds_of_a_study(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    head = "world: {seed: 11}\nstudy: {page: keep, study_minutes: 1, worlds: "
    file.write_text(f"{head}[11, 12]}}\n", encoding="utf-8")
    folders = read_study(file).folders(tmp_path / "run")
    assert folders == {"papers-11": tmp_path / "run", "papers-12": tmp_path / "run-papers-12"}
    assert list(whole(folders)) == ["papers-11"]
    for run_, state in ((folders["papers-11"], "done"), (folders["papers-12"], "waiting")):
        write_json(run_ / "report/report.json", {"cells": [{"state": state}]})
    assert list(whole(folders)) == ["papers-11"]
    write_json(folders["papers-12"] / "report/report.json", {"cells": [{"state": "done"}]})
    assert list(whole(folders)) == ["papers-11", "papers-12"]
    for wrong in ("[12, 11]", "[11, 11]"):
        file.write_text(f"{head}{wrong}}}\n", encoding="utf-8")
        with pytest.raises(BadInput, match="expected seeds that differ, the first that of world"):
            read_study(file)
