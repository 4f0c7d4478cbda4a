"""Mixtures in an experiment: which steps there are, and that only the chosen one is asked the test questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.config import conf_folder, load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.experiment import Config
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.sections import check_sections
from nemo_kcpt.files import read_json
from tests.grid.test_grid_run import ENVIRONMENT, TINY

ARM = "{name: x, mode: anchored, seq_length: 64, mix: [0.25, 0.5]}"


def graph(name: str, *words: str) -> Graph:
    config = load_config(Config, file=conf_folder() / f"experiment/{name}.yaml", overrides=["out=/x", *words])
    check_sections(config)
    return Graph(config)


def commands(found: Graph, node: str) -> list[list[str]]:
    return list(json.loads(found.nodes[node].command[-1]))


def test_steps_of_a_sweep() -> None:
    found = graph("tiny", f"trainings=[{ARM}]", "validation=0.4", "choose={retention: 0.8}", "compare=[]", "goals=[]")
    assert [cell.name for cell in found.cells] == ["base", "concat-64", "x", "x~mix"]
    (words,) = commands(found, "mix-x~0.25")
    assert words[:6] == ["convert", "mix", "/x/hf/base", "/x/hf/x", "alpha=0.25", "--to"]
    assert {"export-base", "export-x"} == set(found.nodes["mix-x~0.25"].after)
    (words,) = commands(found, "choose-x")
    assert 'candidates={"x": 1.0, "x~0.25": 0.25, "x~0.5": 0.5}' in words and "retention=0.8" in words
    assert set(found.nodes["choose-x"].after) == {
        "validation-x",
        "validation-x~0.25",
        "validation-x~0.5",
        "scores-base",
        "scores-x",
    }
    (words,) = commands(found, "mix-x~mix")
    assert "choice=/x/choices/x" in words
    # The mixtures are asked validation and general questions, the chosen one the test questions.
    asked = [word for name in ("x~0.25", "x~0.5") for line in commands(found, f"validation-{name}") for word in line]
    assert "questions=/x/validation" in asked and "questions=/x/general" in asked
    assert "questions=/x/questions" not in asked
    assert "questions=/x/questions" in commands(found, "answers-x~mix")[0]
    for name, part in (("questions", []), ("validation", ["part=validation"])):
        (words,) = commands(found, name)
        assert "validation=0.4" in words and [word for word in words if word.startswith("part=")] == part


def test_retention_is_measured_on_its_own_set_where_there_is_one() -> None:
    found = graph("tiny", f"trainings=[{ARM}]", "retention=en", "compare=[]", "goals=[]")
    (words,) = commands(found, "choose-x")
    assert any(word.startswith("general_scores=") and "/x/retention-scores/x~0.25" in word for word in words)
    asked = [line for line in commands(found, "validation-x~0.25") if "questions=/x/retention" in line]
    assert [line[0] for line in asked] == ["generate", "score"] and "max_new_tokens=128" in asked[0]


def test_without_mix_nothing_changes() -> None:
    """A grid that somebody has finished is not made again."""
    found = graph("tiny")
    assert not [name for name in found.nodes if "validation" in name or "~" in name or "choose" in name]
    assert not [word for word in commands(found, "questions")[0] if "validation" in word]


def test_seeds_choose_for_themselves() -> None:
    found = graph(
        "tiny", "trainings=[{name: y, mode: raw, seq_length: 64, seeds: [1, 2], mix: [0.5]}]", "compare=[]", "goals=[]"
    )
    groups = [(cell.name, cell.group) for cell in found.cells if cell.name.endswith("~mix")]
    assert groups == [("y@1~mix", "y~mix"), ("y@2~mix", "y~mix")]


@pytest.mark.parametrize(
    ("mix", "message"), [("[0, 0.5]", "mix: 0 is not between"), ("[1.5]", "mix: 1.5"), ("[0.5, 0.5]", "appears twice")]
)
def test_shares_that_are_none(mix: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        graph("tiny", f"trainings=[{{name: x, seq_length: 64, mix: {mix}}}]", "compare=[]", "goals=[]")


@pytest.mark.parametrize("key", ["questions.validation=0.5", "questions.part=validation", "choose.scores=x"])
def test_keys_that_the_grid_gives(key: str) -> None:
    with pytest.raises(BadInput, match="the grid gives this key itself"):
        graph("tiny", key)


@pytest.mark.slow
def test_a_small_sweep(tmp_path: Path) -> None:
    """Through every step: the report shows the sweep, and the chosen mixture is what its alpha says, bit for bit."""
    import subprocess
    import sys

    run, arm = tmp_path / "run", "{name: x, mode: anchored, seq_length: 64, mix: [0.5]}"
    words = ["lengths=[]", f"trainings=[{arm}]", "steps_like=", "compare=[]", "goals=[]", "base_epochs=0.2"]
    words += ["epochs=0.3", "sft_data.samples=30", "generate.engine=transformers", "generate.max_new_tokens=4"]
    words += ["validation=0.5", f"out={run}"]
    command = [sys.executable, "-m", "nemo_kcpt.cli", "grid", "--config", str(TINY), *words]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = read_json(run / "report/report.json")
    (sweep,) = report["sweeps"]
    assert [row["alpha"] for row in sweep["rows"]] == [0.5, 1.0] and sweep["name"] == "x"
    assert {row["name"] for row in report["models"]} == {"base", "x", "x~mix"}
    chosen = "x" if sweep["alpha"] == 1 else "x~0.5"
    weights = [(run / "hf" / name / "model.safetensors").read_bytes() for name in (chosen, "x~mix")]
    assert weights[0] == weights[1]
    page = (run / "report/report.html").read_text(encoding="utf-8")
    assert "mixtures of x" in page and "Mixtures with base" in page
    assert "## Mixtures with base" in (run / "report/report.md").read_text(encoding="utf-8")
    asked = [
        {json.loads(line)["paper_id"] for line in (run / name / "questions.jsonl").open() if '"split": "test"' in line}
        for name in ("questions", "validation")
    ]
    assert all(asked) and not asked[0] & asked[1]


def test_overrides_of_one_arm_come_after_those_of_all() -> None:
    """An arm may have a learning rate of its own; the small base's training has that of all."""
    arms = "[{name: x, seq_length: 64, mode: anchored, overrides: [optim.config.lr=1e-5]}, {name: y, seq_length: 64}]"
    words = ["sets=[]", "compare=[]", "goals=[]", "lengths=[]", "steps_like=", "overrides=[optim.config.lr=1e-3]"]
    found = graph("tiny", f"trainings={arms}", *words)
    given = {name: list(node.launch.overrides) for name, node in found.nodes.items() if node.launch is not None}
    assert given["pretrain-x"] == ["optim.config.lr=1e-3", "optim.config.lr=1e-5"]
    assert given["pretrain-y"] == given["base-pretraining"] == ["optim.config.lr=1e-3"]


def test_adapters_are_arguments_of_the_arms_own_recipe() -> None:
    """Not of the small base's trainings, and of no other arm."""
    arm = "{name: x, mode: anchored, seq_length: 64, lora: {rank: 8, alpha: 4.0, targets: [linear_qkv, linear_fc1]}}"
    found = graph("tiny", f"trainings=[{arm}]", "sets=[]", "compare=[]", "goals=[]")
    recipes = {name: node.launch.recipe for name, node in found.nodes.items() if node.launch is not None}
    assert "lora=8,lora_alpha=4.0,lora_targets='linear_qkv+linear_fc1'" in recipes["pretrain-x"]
    assert not [name for name, recipe in recipes.items() if "lora" in recipe and name != "pretrain-x"]


@pytest.mark.parametrize(
    ("lora", "sets", "said"),
    [
        ("{rang: 8}", "[]", "unknown key 'rang'; did you mean 'rank'"),
        ("{alpha: 8}", "[]", "rank is None"),
        ("{rank: 0}", "[]", "rank is 0"),
        ("{rank: 8}", "[zero_shot]", "cannot start from adapters alone"),
    ],
)
def test_adapters_that_cannot_be_trained(lora: str, sets: str, said: str) -> None:
    arm = f"{{name: x, seq_length: 64, lora: {lora}}}"
    with pytest.raises(BadInput, match=said):
        graph("tiny", f"trainings=[{arm}]", f"sets={sets}", "compare=[]", "goals=[]")
