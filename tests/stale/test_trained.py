"""Checkpoints and half-made conversions of an earlier commit, which need NeMo, are continued by today's code."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.runs import read_manifest
from tests import forks
from tests.stale import commands
from tests.stale.conftest import MADE


def run(folder: Path, words: Sequence[str]) -> None:
    """`kcpt …` or `nemo …` in a folder, in a process that has imported NeMo."""
    forks.call(_run_in, str(folder), list(words), log=folder / "log")


def _run_in(folder: str, words: list[str]) -> None:
    os.chdir(folder)
    forks.console(words)


@pytest.mark.parametrize("name", list(commands.DIES_AT))
def test_a_killed_conversion_resumes(made: Path, name: str) -> None:
    """No file that was whole is written again, and the end is that of one which was not killed."""
    out, partial = made / f"{name}-half", made / f".{name}-half.partial"
    whole = [path for path in partial.rglob("*") if path.suffix in (".distcp", ".safetensors")]
    before = {path.relative_to(partial): path.stat().st_mtime_ns for path in whole}
    assert before and not out.exists()
    run(made, ["kcpt", *commands.command(name, out.name)])
    assert not partial.exists()
    assert {path: (out / path).stat().st_mtime_ns for path in before} == before
    assert read_manifest(out)["fingerprint"] == read_manifest(made / name)["fingerprint"]


@pytest.mark.parametrize("name", list(commands.RECIPES))
def test_a_training_resumes_at_the_next_step(made: Path, name: str) -> None:
    """With the losses that it had when the earlier commit did all steps."""
    metrics = made / name / "metrics.jsonl"
    before = metrics.read_bytes()
    run(made, ["nemo", *commands.training(name, name, commands.STEPS)])
    assert metrics.read_bytes() == before, "it was finished"
    run(made, ["nemo", *commands.training(name, name, commands.MORE_STEPS)])
    assert metrics.read_bytes().startswith(before)
    losses = [line["loss"] for line in read_jsonl(metrics)]
    assert losses == pytest.approx(read_json(made / "losses.json")[name], rel=1e-5)


def test_a_checkpoint_is_exported_and_trained_from(made: Path) -> None:
    run(made, ["kcpt", "convert", "export", "training", "tokenizer=tokenizer", "--to", "trained"])
    assert read_json(made / "trained/parity.json")["max_abs_diff"] < 1e-4
    for name, folder in (("imported", "base"), ("trained", "training")):
        words = commands.training("training", f"from-{name}", 1)
        theirs = ("num_layers=2", "num_query_groups=1", "layernorm_epsilon=1e-6") if folder == "base" else ()
        factory = words[3].replace(")", f",restore='{folder}')")
        run(made, ["nemo", *words[:3], factory, *words[4:], *(f"model.config.{one}" for one in theirs)])
        assert len(list(read_jsonl(made / f"from-{name}/metrics.jsonl"))) == 1


@pytest.mark.parametrize("folder", ["base", "training", "tuning"])
def test_names_of_ours_in_a_checkpoint_are_found(tmp_path: Path, folder: str) -> None:
    context = find_checkpoint(MADE / folder) / "context"
    text = "".join(path.read_text() for path in context.iterdir())
    names = set(re.findall(r"nemo_kcpt\w*(?:\.\w+)+", text))
    names |= {".".join(pair) for pair in re.findall(r'"module": "(nemo_kcpt[\w.]*)", "name": "(\w+)"', text)}
    assert any(name.startswith("nemo_kcpt.models.llama.Kcpt") for name in names)
    forks.call(_find, sorted(names), log=tmp_path / "log")


def _find(names: Sequence[str]) -> None:
    for name in names:
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            getattr(importlib.import_module(module), attribute)


def test_recipes_have_the_arguments_that_they_had(tmp_path: Path) -> None:
    now = forks.call(commands.recipe_arguments, log=tmp_path / "log")
    for recipe, names in read_json(MADE / "recipes.json").items():
        assert now[recipe][: len(names)] == names, recipe
