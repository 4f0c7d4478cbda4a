"""Finished arms in small files: an experiment goes on from them in an empty folder, and makes only what is missing."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment import archive
from nemo_kcpt.experiment.experiment import Training
from nemo_kcpt.experiment.nodes import Cell, Node, idle_steps
from nemo_kcpt.experiment.runner import run_graph, without_idle
from nemo_kcpt.experiment.states import States
from nemo_kcpt.runs import read_manifest
from tests.conversion.hf_models import save_model
from tests.grid.small import node, states_of, times
from tests.tiny_tokenizer import make_tokenizer

WRITES = "(p.parent / 'answers.jsonl').write_text('{}'); (p.parent / 'model.safetensors').write_text('weights')"


def arm(run: Path, name: str, seed: int | None = None, code: str = WRITES) -> tuple[list[Node], Cell]:
    key = name if seed is None else f"{name}@{seed}"
    journal = f"{code}; (p.parent / 'journal-1.jsonl').write_text('long')"
    own: dict[str, Any] = {"cells": [key]}
    nodes = [node(run, f"pretrain-{key}", ["import", "pack"], **own)]
    answers = node(run, f"answers-{key}", [f"pretrain-{key}"], journal, **own)
    nodes.append(Node(**{**answers.__dict__, "kind": "answers"}))
    cell = Cell(
        name=key,
        tested=key,
        training=Training(name=name),
        seed=seed,
        set=None,
        model=run / "hf",
        pack=None,
        trainings=[],
        nodes=["pack", *(one.name for one in nodes)],
    )
    return nodes, cell


def experiment(run: Path, *names: str, code: str = WRITES, model: Path | None = None) -> States:
    """`import` and `pack` serve a training each for the names, of which NAME@1 is one with a seed."""
    start = node(run, "import", reads={} if model is None else {"model": model})
    nodes, cells = [Node(**{**start.__dict__, "kind": "import"}), node(run, "pack")], []
    for name in names:
        stem, _, seed = name.partition("@")
        own, cell = arm(run, stem, int(seed) if seed else None, code)
        nodes, cells = [*nodes, *own], [*cells, cell]
    states = states_of(run, nodes)
    graph: Any = states.graph
    graph.cells, graph.config = cells, SimpleNamespace(model=Path("model"))
    return states


def made(states: States) -> list[str]:
    """Run what is missing; the steps that ran."""
    said: list[tuple[str, str]] = []
    names = without_idle(states, list(states.graph.nodes))
    assert not run_graph(states, names, 1, lambda *what: said.append(what), lambda: None)
    return [name for name, word in said if word == "running"]


def test_an_empty_folder_goes_on_where_another_ended(tmp_path: Path) -> None:
    first, kept = experiment(tmp_path / "first", "x", "y@1"), tmp_path / "arms"
    made(first)
    assert archive.save(first, kept) == ["x", "y@1"]
    assert {path.name for path in kept.iterdir()} == {"x.zip", "y@1.zip"}
    held = zipfile.ZipFile(kept / "x.zip").namelist()
    assert "answers-x/answers.jsonl" in held and "answers-x/made.txt" in held and "pretrain-x/made.txt" in held
    assert not [name for name in held if "safetensors" in name or "journal" in name]

    second = experiment(tmp_path / "second", "x", "y@1", "z")
    assert archive.restore(second, kept) == ["x", "y@1"]
    assert (tmp_path / "second/answers-x/answers.jsonl").read_text() == "{}"
    assert made(second) == ["import", "pack", "pretrain-z", "answers-z"]
    assert times(tmp_path / "second", "pretrain-x") == 1, "that of the archive"


def test_the_start_is_not_imported_where_all_trainings_are_done(tmp_path: Path) -> None:
    first = experiment(tmp_path / "first", "x")
    made(first)
    archive.save(first, tmp_path / "arms")
    second = experiment(tmp_path / "second", "x")
    archive.restore(second, tmp_path / "arms")
    assert made(second) == ["pack"]


def test_an_arm_is_done_without_the_steps_that_served_its_training(tmp_path: Path) -> None:
    nodes = {
        name: node(tmp_path, name, after)
        for name, after in (("distill", ()), ("train", ("distill",)), ("score", ("train",)))
    }
    nodes["distill"] = replace(nodes["distill"], kind="distill")
    assert idle_steps(nodes, [*nodes], {"train", "score"}) == {"distill"}
    assert idle_steps(nodes, [*nodes], {"score"}) == set()
    assert idle_steps(nodes, ["distill"], set()) == set()


def test_archives_are_the_same_whenever_they_are_written_and_kept(tmp_path: Path) -> None:
    states, kept = experiment(tmp_path / "run", "x"), tmp_path / "arms"
    made(states)
    archive.save(states, kept)
    content, time = (kept / "x.zip").read_bytes(), (kept / "x.zip").stat().st_mtime_ns
    archive.save(states, kept)
    assert (kept / "x.zip").stat().st_mtime_ns == time
    (kept / "x.zip").unlink()
    archive.save(states, kept)
    assert (kept / "x.zip").read_bytes() == content


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, last written in 2001."""
    folder = make_tokenizer(save_model(tmp_path_factory.mktemp("models") / "hf"))
    for path in folder.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder


def test_the_model_may_lie_elsewhere_and_be_newer(hf: Path, tmp_path: Path) -> None:
    first, kept = experiment(tmp_path / "first", "x", model=hf), tmp_path / "arms"
    made(first)
    archive.save(first, kept)
    content = (kept / "x.zip").read_bytes()
    copied = Path(shutil.copytree(hf, tmp_path / "copied", copy_function=shutil.copyfile))
    second = experiment(tmp_path / "second", "x", "z", model=copied)
    assert first.stages["pretrain-x"].fingerprint != second.stages["pretrain-x"].fingerprint
    assert archive.restore(second, kept) == ["x"]
    assert read_manifest(second.folder("pretrain-x"))["inputs"] == second.stages["pretrain-x"].inputs
    assert made(second) == ["import", "pack", "pretrain-z", "answers-z"]
    assert archive.save(second, kept) == ["x", "z"]
    assert (kept / "x.zip").read_bytes() == content, "the same arm is not written again"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_another_model_of_the_same_size_is_noticed(
    name: str, hf: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, kept = experiment(tmp_path / "first", "x", model=hf), tmp_path / "arms"
    made(first)
    archive.save(first, kept)
    other = Path(shutil.copytree(hf, tmp_path / "other", copy_function=shutil.copyfile))
    content = bytearray((other / name).read_bytes())
    content[-10] ^= 1
    (other / name).write_bytes(content)
    with caplog.at_level("WARNING"):
        assert archive.restore(experiment(tmp_path / "second", "x", model=other), kept) == []
    assert "made from something else (step pretrain-x)" in caplog.text


def test_an_arm_that_is_not_finished_is_not_kept(tmp_path: Path) -> None:
    states = experiment(tmp_path / "run", "x", "y")
    run_graph(states, ["import", "pack", "pretrain-x", "answers-x", "pretrain-y"], 1, lambda *_: None, lambda: None)
    assert archive.save(states, tmp_path / "arms") == ["x"]


def test_arms_of_another_experiment_are_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = experiment(tmp_path / "first", "x")
    made(first)
    archive.save(first, tmp_path / "arms")
    second = experiment(tmp_path / "second", "x", code=f"{WRITES}; 'another'")
    with caplog.at_level("WARNING"):
        assert archive.restore(second, tmp_path / "arms") == []
    assert "made from something else (step answers-x)" in caplog.text


def test_what_a_run_has_is_left_alone(tmp_path: Path) -> None:
    states, kept = experiment(tmp_path / "run", "x"), tmp_path / "arms"
    made(states)
    archive.save(states, kept)
    (tmp_path / "run/answers-x/answers.jsonl").write_text("newer")
    assert archive.restore(states, kept) == []
    assert (tmp_path / "run/answers-x/answers.jsonl").read_text() == "newer"


@pytest.mark.parametrize("member", ["../../outside.txt", "pack/made.txt", "answers-x/more/deep.json"])
def test_files_that_no_step_of_the_arm_writes_are_refused(tmp_path: Path, member: str) -> None:
    first, kept = experiment(tmp_path / "first", "x"), tmp_path / "arms"
    made(first)
    archive.save(first, kept)
    with zipfile.ZipFile(kept / "x.zip", "a") as zipped:
        zipped.writestr(member, "x")
    with pytest.raises(BadInput, match=r"x\.zip: holds .*, which no step of x writes"):
        archive.restore(experiment(tmp_path / "second", "x"), kept)
    assert not (tmp_path / "second/answers-x").exists()


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "arms").mkdir()
    (tmp_path / "arms/x.zip").write_bytes(b"PK nothing")
    with pytest.raises(BadInput, match=r"x\.zip: no readable archive of a finished arm"):
        archive.restore(experiment(tmp_path / "run", "x"), tmp_path / "arms")
