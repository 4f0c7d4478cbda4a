"""A graph of jobs of both kinds: its order, its scripts, what is submitted with which dependency, what is refused."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt import environments
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.slurm import Job, Resources, Site, command_job, launch_graph, site_from, stage_jobs, train_job
from nemo_kcpt.experiment.slurm.launch import check_mounted, executors, in_order
from nemo_kcpt.experiment.slurm.train_job import bridge_on_nodes
from nemo_kcpt.logs import LOG, kept, set_up
from tests.slurm.places import STUBS, make_place, normalised, stub

WANTED = Resources(nodes=2, gpus=4, cpus=8, time="01:00:00")
CPU = Resources(cpus=2)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_place(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # nemo-run's shell looks at it, which pytest's forbids
    monkeypatch.setenv("NEMORUN_HOME", str(tmp_path / "home"))
    return tmp_path


def node(folder: Path, name: str, *after: str) -> Job:
    """A step of a grid."""
    return command_job(name, ["kcpt", "grid", "--node", name], CPU, folder, after=after)


def cell(folder: Path) -> list[Job]:
    """A grid with one failing cell and one that goes on, not in order."""
    train = "kcpt_llmjp3_13b_4k(pack='runs/pack',dir='runs/a',restore='runs/13b/base')"
    return [
        node(folder, "report", "score-b"),
        node(folder, "score-a", "pretrain-a"),
        train_job("pretrain-a", train, ["a.b=c d"], WANTED, folder, made=[folder / "runs/pack"], after=["pack"]),
        node(folder, "pack"),
        command_job("train-b", ["nemo", "llm", "x y"], WANTED, folder, after=["pack"], torchrun=True),
        node(folder, "score-b", "train-b"),
    ]


def site(place: Path) -> Site:
    return site_from({"venv": "../venv", "jobs": "../jobs", "account": "mine"}, place / "my project")[0]


def test_both_kinds_of_jobs_stand_in_one_graph(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = place / "my project"
    assert launch_graph("paper", cell(project), site(place), submit=False) == {}
    shown = capsys.readouterr().out
    names = re.findall(r"^# =+ \d of 6: (.*)$", shown, re.MULTILINE)
    assert names == ["pack", "pretrain-a", "score-a", "train-b", "score-b", "report"]
    script = dict(zip(names, re.split(r"^# ========.*$", shown, flags=re.MULTILINE)[1:]))
    for name in ("pretrain-a", "train-b"):
        assert "--nnodes 2 --nproc-per-node 4" in script[name] and "--nodes=2" in script[name]
    assert "exec nemo llm 'x y'" in script["train-b"] and "'a.b=c d'" in script["pretrain-a"]
    for name in ("pack", "score-a", "score-b", "report"):
        assert "torchrun" not in script[name] and "--nodes=1" in script[name] and "gpus-per-node" not in script[name]
        assert f"cd '{project}'\nexec kcpt grid --node {name}\n" in script[name]
    assert "--dependency=afterok:$train_b " in script["score-b"]
    assert "kill-on-invalid-dep=yes" in script["score-b"] and "kill-on-invalid-dep" not in script["pack"]
    for one in shown.split("#!")[1:]:
        assert subprocess.run(["bash", "-n"], input="#!" + one, text=True).returncode == 0
    assert not (place / "jobs").exists()


def test_what_is_logged_afterwards_is_heard_and_kept(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """nemo-run's Experiment closes the root logger's handlers and raises its level."""
    with kept():
        set_up(place / "kcpt.log")
        launch_graph("paper", [node(place / "my project", "a")], site(place), submit=False)
        LOG.warning("said after it")
    assert "said after it" in capsys.readouterr().out
    assert "said after it" in (place / "kcpt.log").read_text(encoding="utf-8")


def test_submitted_ids_come_back_by_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in STUBS.items():
        stub(place / "venv/bin" / name, text)
    for name, value in {"CALLS": str(place / "calls"), "LOG": str(place / "log")}.items():
        monkeypatch.setenv(name, value)
    (place / "calls").write_text("")
    monkeypatch.setenv("PATH", f"{place / 'venv/bin'}:{os.environ['PATH']}")
    ids = launch_graph("paper", cell(place / "my project"), site(place), submit=True)
    calls = normalised((place / "calls").read_text(), place).splitlines()
    waits = {}
    for line in calls:
        if line.startswith("sbatch"):
            name = line.rsplit("/", 1)[1].removesuffix("_sbatch.sh")
            assert line.startswith(f"sbatch {ids[name]}: --requeue --parsable")
            waits[name] = re.findall(r"--dependency=(\S+)", line)
    assert waits == {
        "pack": [],
        "pretrain-a": [f"afterok:{ids['pack']}"],
        "score-a": [f"afterok:{ids['pretrain-a']}"],
        "train-b": [f"afterok:{ids['pack']}"],
        "score-b": [f"afterok:{ids['train-b']}"],
        "report": [f"afterok:{ids['score-b']}"],
    }
    assert any(line.startswith("<nemo><llm><x y>") for line in calls)


GRAPHS: dict[str, tuple[list[tuple[str, ...]], str]] = {
    "none": ([], "there is no job"),
    "unknown": ([("a", "b")], "job a: after: no job 'b'; leave out those that are finished"),
    "twice": ([("a",), ("a",)], "job a: appears twice"),
    "circle": ([("c",), ("a", "b"), ("b", "a")], "jobs a, b: each waits for another"),
    "name": ([("a@1",)], "job 'a@1': its scripts are called so"),
    "folder": ([("../a",)], "job '../a': its scripts are called so"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    jobs, message = GRAPHS[name]
    with pytest.raises(BadInput, match=re.escape(message)):
        in_order([node(tmp_path, *words) for words in jobs])


def test_submitting_needs_slurm(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(BadInput, match="submit from a login node"):
        launch_graph("x", [node(place, "a")], site(place), submit=True)


def test_commands_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="job a: no command"):
        command_job("a", [], WANTED, tmp_path)
    with pytest.raises(BadInput, match="job a: torchrun needs nodes and gpus"):
        command_job("a", ["nemo"], CPU, tmp_path, torchrun=True)


def test_a_container_must_see_what_a_command_reads(place: Path) -> None:
    project = place / "my project"
    inside, _ = site_from({"container": "image", "jobs": "../jobs"}, project)
    check_mounted([command_job("a", ["x"], CPU, project, reads=[Path("models")], makes=[Path("runs/y")])], inside)
    with pytest.raises(BadInput, match="a: the container would not see /else/x; add --mounts /else"):
        check_mounted([command_job("a", ["x"], CPU, project, makes=[Path("/else/x")])], inside)


def test_shards_wait_for_what_comes_before_them(tmp_path: Path) -> None:
    words = ["input=x", "out=y"]
    (tmp_path / "x").mkdir()
    array, unite = stage_jobs("corpus", "corpus", words, CPU, tmp_path, shards=2, after=("world",))
    assert array.after == ("world",) and unite.after == ("corpus",)


def test_megatron_bridge_trains_on_the_nodes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the same torchrun, with the recipe's arguments as JSON and the package in reach of its Python."""
    project, call = place / "my project", "kcpt_llmjp3_13b_4k(pack='packs/anchored 4096',dir='runs/a',restore='base')"
    made = [project / "base"]
    job = train_job("t", call, ["optimizer.lr=1e-4"], WANTED, project, made=made, bridge="/b c/python")
    launch_graph("paper", [job], site(place), submit=False)
    shown = capsys.readouterr().out
    assert "torchrun" in shown and "--nnodes" in shown and "nemo llm" not in shown
    words = shlex.split(job.script.splitlines()[-1])
    root = Path(environments.__file__).parents[1]
    assert words[:2] == ["exec", "env"] and words[2].startswith(f"PYTHONPATH={root}")
    assert words[3:8] == ["PYTHONSAFEPATH=1", "/b c/python", "-m", "nemo_kcpt.bridge.train", "--arguments"]
    places = {"pack": project / "packs/anchored 4096", "dir": project / "runs/a", "restore": project / "base"}
    assert json.loads(words[8]) == {**{key: str(path) for key, path in places.items()}, "nodes": 2, "gpus": 4}
    assert words[9:] == ["kcpt_llmjp3_13b_4k", "optimizer.lr=1e-4"] and (job.torchrun, job.resources.nodes) == (True, 2)
    inside = train_job("t", call, [], WANTED, project, made=made, bridge=bridge_on_nodes("bridge", "image.sqsh"))
    assert shlex.split(inside.script.splitlines()[-1])[:3] == ["exec", "python", "-m"]
    assert bridge_on_nodes("nemo", None) == ""
    with pytest.raises(BadInput, match="'backend=bridge': is no override; give --backend bridge"):
        train_job("t", call, ["backend=bridge"], WANTED, project, made=made)
    with pytest.raises(BadInput, match="my_own: is not of the catalogue"):
        train_job("t", "my_own()", [], WANTED, project, task="pretrain", bridge="python")


def test_nemos_own_command_line_builds_the_executor() -> None:
    import fiddle
    from nemo_run.cli.api import RunContext
    from nemo_run.core.serialization.zlib_json import ZlibJSONSerializer

    kcpt_slurm = executors().kcpt_slurm
    context = RunContext(name="pretrain")
    config = context.parse_executor("kcpt_slurm", "account=mine", "partition=gpu", "nodes=2")
    assert config == context.parse_executor("kcpt_slurm(account='mine',partition='gpu',nodes=2)")
    assert config == kcpt_slurm(account="mine", partition="gpu", nodes=2)
    assert ZlibJSONSerializer().deserialize(ZlibJSONSerializer().serialize(config)) == config
    executor = fiddle.build(config)
    assert executor.clone() == executor
    executor.get_launcher()
    assert (executor.nnodes(), executor.nproc_per_node(), executor.ntasks_per_node) == (2, 8, 1)
    assert str(Path(sys.executable).parent) in executor.setup_lines
    assert fiddle.build(kcpt_slurm(container_image="image")).setup_lines is None
