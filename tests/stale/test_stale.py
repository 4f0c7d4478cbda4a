"""What an earlier commit has made, finished or not, today's code continues; `make.py` says how it was made."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml

from nemo_kcpt.cli import main
from nemo_kcpt.config import load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment import demo_stage
from nemo_kcpt.experiment.experiment import Config as Experiment
from nemo_kcpt.experiment.experiment import Training
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.states import DONE, WAITING, States
from nemo_kcpt.files import read_json
from nemo_kcpt.llm.journal import Journal
from nemo_kcpt.runs import read_manifest
from tests.stale import commands
from tests.synthesis.fake_server import FakeServer

ROOMS = {
    "experiment": "nemo_kcpt.experiment.experiment",
    "graph": "nemo_kcpt.experiment.graph",
    "states": "nemo_kcpt.experiment.states",
}


def files(folder: Path) -> dict[str, tuple[int, str]]:
    """When each file was written, and its bytes' hash; locks aside."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def run(words: list[str]) -> None:
    assert main(words) == 0


@pytest.mark.parametrize("name", [*commands.COMMANDS, *commands.CONVERTED])
def test_what_was_finished_is_finished(made: Path, server: FakeServer, name: str) -> None:
    before = files(made)
    assert f"{name}/manifest.json" in before
    run(commands.command(name, name, server.url))
    assert files(made) == before and not server.bodies


@pytest.mark.parametrize("name", list(commands.HALF))
def test_only_what_is_missing_is_asked(made: Path, server: FakeServer, name: str) -> None:
    """And what comes out is what came out of a run that nobody stopped."""
    out = made / f"{name}-half"
    assert not (out / "manifest.json").exists()
    run(commands.command(name, out.name, server.url))
    assert len(server.bodies) == read_json(made / "requests.json")[name] - commands.HALF[name] > 0
    manifest, whole = read_manifest(out), read_manifest(made / name)
    assert manifest["fingerprint"] == whole["fingerprint"]
    records = [file for file in whole["outputs"] if file.endswith(".jsonl")]
    assert records and all((out / file).read_bytes() == (made / name / file).read_bytes() for file in records)


@pytest.mark.parametrize("name", commands.SHARDED)
def test_a_shard_that_was_done_is_merged_with_those_of_today(made: Path, server: FakeServer, name: str) -> None:
    words = commands.command(name, f"{name}-shards", server.url)
    run([*words, "shard=0/2"])
    assert not server.bodies, "this one was done"
    run([*words, "shard=1/2"])
    run([*words, "--merge"])
    requests = read_json(made / "requests.json")
    assert len(server.bodies) == requests.get(name, 0) - requests[f"{name}-shards"]
    for file in [file for file in read_manifest(made / name)["outputs"] if file.endswith(".jsonl")]:
        assert (made / f"{name}-shards" / file).read_bytes() == (made / name / file).read_bytes()


@pytest.mark.parametrize("name", ["synthetic", "questions-llm", "verdicts"])
def test_requests_have_the_hashes_that_they_had(made: Path, server: FakeServer, name: str) -> None:
    """Once their answers are gone from the journal, all are asked again, as they were."""
    path = made / name / "journal.sqlite"
    before = rows(path)
    assert len(before) == read_json(made / "requests.json")[name]
    (made / name / "manifest.json").unlink()
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM requests")
    run(commands.command(name, name, server.url))
    assert len(server.bodies) == len(before) and rows(path) == before


def rows(path: Path) -> set[tuple[str, str, str]]:
    """Key, reply and status of each row of a journal, which is whole."""
    with Journal(path, read_only=True) as journal:
        assert not journal.damaged()
        return {(row.key, row.reply, row.status) for row in journal.rows()}


def test_every_key_is_still_there(made: Path) -> None:
    now = commands.keys()
    for stage, names in read_json(made / "keys.json").items():
        assert stage in now, f"kcpt {stage} is gone"
        assert not set(names) - set(now[stage]), f"kcpt {stage}: keys are gone"


def test_every_option_of_slurm_is_still_there(made: Path) -> None:
    now = commands.slurm_options([sys.executable, "-m", "nemo_kcpt.cli", "slurm"])
    for name, options in read_json(made / "slurm.json").items():
        assert not set(options) - set(now[name]), name


def test_steps_of_experiments_are_what_they_were(made: Path) -> None:
    """A grid that stands half made while the package is updated has no stale step."""
    then, now = read_json(made / "identities.json"), commands.experiments(ROOMS)
    assert {name: list(steps) for name, steps in then.items()} == {name: list(one.stages) for name, one in now.items()}
    stale = [
        (name, step) for name, steps in then.items() for step, one in steps.items() if not now[name].made_by(step, one)
    ]
    assert not stale


def test_a_demo_of_other_steps_is_told_why_it_cannot_be_continued(made: Path) -> None:
    """Its steps were joined in other processes, over other folders, before it became an experiment."""
    before = files(made / "demo")
    (made / "demo/steps").mkdir()  # empty, so not in the fixture
    with pytest.raises(BadInput, match="an earlier version of nemo_kcpt made this demo"):
        demo_stage._open_run(demo_stage.Config(out=made / "demo"), redo=False)
    assert files(made / "demo") == before


def test_a_grid_resumes(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph(load_config(Experiment, file=made / "grid/experiment.yaml", overrides=[]))
    words = {name: state.word for name, state in States(graph).all().items()}
    light = graph.needed(commands.LIGHT)
    assert {name for name, word in words.items() if word == DONE} == set(light)
    assert set(words.values()) == {DONE, WAITING}, "a step is stale"
    assert (made / "grid/nodes/base-pretraining/begun.json").is_file(), "nothing says what it was begun with"
    before, saved = files(made / "grid"), (made / "grid/experiment.yaml").read_text()
    run(["grid", "--config", "grid/experiment.yaml", "--status"])
    assert files(made / "grid") == before
    run(["grid", "--config", "grid/experiment.yaml", f"only=[{','.join(commands.LIGHT)}]"])
    now, then = (yaml.safe_load(text) for text in ((made / "grid/experiment.yaml").read_text(), saved))
    added = {key: value for key, value in now.items() if key not in then}
    for one, earlier in zip(now["trainings"], then["trainings"], strict=True):
        new = {key: one.pop(key) for key in set(one) - set(earlier)}
        assert all(value == getattr(Training(**earlier), key) for key, value in new.items())
    assert {key: now[key] for key in then} == then
    assert all(value == getattr(Experiment(**then), key) for key, value in added.items()), "a new key changes nothing"
    after = files(made / "grid") | {"experiment.yaml": before["experiment.yaml"]}
    assert after == before
    assert capsys.readouterr().out.count("finished before") == len(light)
