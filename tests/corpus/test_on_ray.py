"""A Ray cluster of two machines, here two nodes on one: the same corpus as without, whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nemo_kcpt.corpus.on_ray import on_ray
from nemo_kcpt.corpus.parts import Job
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.readers import Piece, Place
from nemo_kcpt.runs import read_manifest
from tests.corpus.test_parts import SMALL_PIECES, records, results
from tests.office.files import p, write_docx
from tests.waiting import survivors, wait_for


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes with a CPU each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster

        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", nodes.address)
        yield nodes.address
        nodes.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Mixed documents, and as `whole` the corpus that one machine makes of them."""
    base = tmp_path_factory.mktemp("ray")
    for number, record in enumerate(records(200)):
        name = base / "in" / f"{number % 7}" / f"p{number}"
        name.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            name.with_suffix(".md").write_text(f"# {record['title']}\n\n{record['text']}\n")
        else:
            name.with_suffix(".html").write_text(f"<title>{record['title']}</title><p>{record['text']}</p>")
    write_docx(base / "in" / "word.docx", p("霞式推定器の平均誤差は1,234件であった。"))
    (base / "in" / "bad.docx").write_bytes(b"PK\x03\x04")
    (base / "in" / "page.md").write_text("A page of its own.\n")
    run(Config(input=str(base / "in"), out=base / "whole", max_bad=1))
    return base


def start(folder: Path, out: str, *words: str) -> subprocess.Popen[bytes]:
    """`kcpt corpus launcher=ray` over small pieces."""
    script = folder / "kcpt.py"
    script.write_text(
        SMALL_PIECES.replace("streams.PIECE", "base.FILES = 16; streams.PIECE").replace(
            "import streams", "import base, streams"
        )
    )
    command = [sys.executable, str(script), "corpus", "input=in", f"out={out}", "max_bad=1", "launcher=ray", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(process: subprocess.Popen[bytes]) -> str:
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told.decode()
    return told.decode()


def tasks(folder: Path) -> list[psutil.Process]:
    """The processes that run a task, and those that these have started to read."""
    found = [one for one in psutil.process_iter() if one.name().startswith("ray::_make")]
    return found + [child for one in found for child in one.children(recursive=True)]


@pytest.mark.slow
def test_the_same_bytes_as_on_one_machine_although_a_worker_is_killed(folder: Path, cluster: str) -> None:
    process = start(folder, "worker")
    wait_for(lambda: list((folder / "worker").glob("parts/*/*.parquet")) or process.poll() is not None, 120)
    wait_for(lambda: tasks(folder), 60)[0].kill()
    assert "for 2 CPUs on 2 machines of Ray" in finished(process)
    assert results(folder / "worker") == results(folder / "whole")
    there, whole = (read_manifest(folder / name) for name in ("worker", "whole"))
    assert there["fingerprint"] == whole["fingerprint"] and there["counts"] == whole["counts"]
    assert there["counts"]["bad"] == 1


@pytest.mark.slow
def test_a_killed_command_leaves_no_task_and_resumes(folder: Path, cluster: str) -> None:
    process = start(folder, "command")
    wait_for(lambda: len(list((folder / "command").glob("parts/*/*.parquet"))) > 1 or process.poll() is not None, 120)
    running = tasks(folder)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert running and not survivors(running)
    parts = {path: path.stat().st_mtime_ns for path in (folder / "command").glob("parts/*/*.parquet")}
    assert parts
    told = finished(start(folder, "command"))
    assert f"corpus: {len(parts)} of " in told and "pieces are there from an earlier run" in told
    assert results(folder / "command") == results(folder / "whole")


@pytest.mark.slow
def test_what_goes_wrong_there_is_said_as_here(
    folder: Path, cluster: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings: Any = Config(input="in").settings()
    job = Job(0, Place(name="in"), Piece("text", ("in/page.md",)), settings, Path("gone"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"does not see .*/gone; give input= and out= on a file system that all"):
        list(on_ray([job], 0))


def test_a_cluster_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(KcptError, match=r"no cluster at RAY_ADDRESS=127.0.0.1:1.*`ray start`"):
        list(on_ray([], 0))


def test_without_ray_the_error_says_how_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "in.md").write_text("One document.\n")
    with pytest.raises(BadInput, match=r"launcher=ray needs Ray, .*-m pip install ray`, or omit launcher="):
        run(Config(input=str(tmp_path / "in.md"), out=tmp_path / "out", launcher="ray"))


def test_keys_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="launcher: 'dask' is not ray"):
        Config(launcher="dask")
    with pytest.raises(ValueError, match="Ray shares the work by itself"):
        Config(launcher="ray", shard="0/2")
