from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, write_json
from nemo_kcpt.runs import MANIFEST, exclusive, hash_input, later, read_manifest, shaping, stage


def make(out: Path, source: Path, number: int = 1, redo: bool = False) -> bool:
    """A stage that copies `source` `number` times; tells whether it had to."""
    with stage("copy", out, config={"number": number}, inputs={"source": source}, redo=redo) as current:
        if current.done:
            return False
        with atomic_write(out / "copy.txt") as stream:
            stream.write(source.read_text() * number)
        current.add(out / "copy.txt")
        current.counts = {"copies": number}
    return True


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text("text")
    return path


def test_finished_work_is_skipped(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    assert make(out, source)
    manifest = read_manifest(out)
    assert manifest["counts"] == {"copies": 1}
    assert manifest["outputs"]["copy.txt"]["bytes"] == 4
    assert not make(out, source)
    assert read_manifest(out) == manifest


def test_the_place_of_the_input_does_not_matter(tmp_path: Path, source: Path) -> None:
    make(tmp_path / "out", source)
    moved = source.rename(tmp_path / "moved.txt")
    assert not make(tmp_path / "out", moved)


def test_other_inputs_are_refused_with_what_changed(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    make(out, source)
    with pytest.raises(BadInput, match=r"another run of copy: number was 1, now 2\. Give --redo"):
        make(out, source, number=2)
    source.write_text("other")
    with pytest.raises(BadInput, match="input source has other content"):
        make(out, source)
    assert (out / "copy.txt").read_text() == "text"
    assert make(out, source, redo=True)
    assert (out / "copy.txt").read_text() == "other"


def test_redo_makes_the_same_again(tmp_path: Path, source: Path) -> None:
    make(tmp_path / "out", source)
    assert make(tmp_path / "out", source, redo=True)


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_a_lost_or_cut_output_is_made_again(tmp_path: Path, source: Path, damage: str) -> None:
    out = tmp_path / "out"
    make(out, source)
    if damage == "missing":
        (out / "copy.txt").unlink()
    else:
        (out / "copy.txt").write_text("te")
    assert make(out, source)
    assert (out / "copy.txt").read_text() == "text"


def test_an_error_in_the_stage_leaves_no_manifest(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError), stage("copy", out, config={}, inputs={"source": source}):
        raise RuntimeError
    assert not (out / MANIFEST).exists()
    assert make(out, source)


@pytest.mark.parametrize("content", ['{"format": 999}', '{"stage": "copy"}', "[]"])
def test_a_folder_of_another_version_is_refused(tmp_path: Path, source: Path, content: str) -> None:
    out = tmp_path / "out"
    make(out, source)
    (out / MANIFEST).write_text(content)
    with pytest.raises(BadInput, match="another version of nemo_kcpt"):
        make(out, source)


def test_a_damaged_manifest_is_named(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    make(out, source)
    (out / MANIFEST).write_text('{"format": 1, "stage": ')
    with pytest.raises(BadInput, match=r"manifest\.json, line 1"):
        make(out, source)
    write_json(out / MANIFEST, {"format": 1, "stage": "copy"})
    with pytest.raises(BadInput, match="field fingerprint is missing"):
        make(out, source)


def test_inputs_that_are_not_there(tmp_path: Path, source: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        make(tmp_path / "out", tmp_path / "nothing.txt")
    with pytest.raises(BadInput, match="the stage that makes it has not finished"):
        hash_input(tmp_path)


def test_a_stage_folder_as_input_stands_for_its_result(tmp_path: Path, source: Path) -> None:
    make(tmp_path / "one", source)
    make(tmp_path / "two", source)
    assert hash_input(tmp_path / "one") == hash_input(tmp_path / "two")
    make(tmp_path / "two", source, number=2, redo=True)
    assert hash_input(tmp_path / "one") != hash_input(tmp_path / "two")


WORKER = """
import sys, time
from pathlib import Path
from nemo_kcpt.files import atomic_write
from nemo_kcpt.runs import stage
out, source = map(Path, sys.argv[1:3])
with stage("copy", out, config={"number": 1}, inputs={"source": source}) as current:
    with atomic_write(out / "copy.txt") as stream:
        stream.write("half")
        stream.flush()
        print("working", flush=True)
        time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_lets_go(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", WORKER, str(out), str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None and worker.stdout.readline() == "working\n"
        with pytest.raises(BadInput, match=rf"in use by another kcpt process \(pid {worker.pid}\)"):
            make(out, source)
        worker.send_signal(signal.SIGKILL)
    assert not (out / MANIFEST).exists() and not (out / "copy.txt").exists()
    assert list(out.glob(".*.tmp")), "the killed process was in the middle of a file"
    assert make(out, source), "a killed stage is not taken for a finished one"
    assert (out / "copy.txt").read_text() == "text"
    assert not list(out.glob(".*.tmp"))


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with exclusive(tmp_path / "out"):
            pass


def test_paths_do_not_shape_a_result(tmp_path: Path) -> None:
    @dataclass
    class Config:
        out: Path = tmp_path
        number: int = 3
        left_out: str = "x"

    assert shaping(Config(), "left_out") == {"number": 3}
    assert json.dumps(shaping(Config()))


def test_a_key_added_later_leaves_finished_work_alone() -> None:
    @dataclass
    class Config:
        number: int = 3
        added: str = later("as before")

    assert shaping(Config()) == {"number": 3}
    assert shaping(Config(added="otherwise")) == {"number": 3, "added": "otherwise"}
