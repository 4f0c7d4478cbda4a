"""Publishing and manifests: the order of flush and rename, and a stage that dies at any of its writes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_kcpt import files
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, write_json, write_jsonl
from nemo_kcpt.runs import exclusive, read_manifest, stage
from tests.crash import CUT, KILL, Probe, crash_everywhere, in_fork


def order(root: Path, work: Callable[[], None]) -> list[str]:
    """What `work` does to files below `root`, in order."""
    log = root.with_name("points")
    assert in_fork(work, Probe(root, log=log)) == 0
    return log.read_text().splitlines()


def test_bytes_are_flushed_then_renamed_then_the_folder_is_flushed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()

    def write() -> None:
        with atomic_write(root / "file") as stream:
            stream.write("text")

    said = order(root, write)
    assert [one.split()[0] for one in said] == ["open", "fsync", "os.rename", "fsync", "end"]
    assert said[1].endswith(".tmp") and said[2] == "os.rename file" and said[3] == "fsync root/"


def made(root: Path) -> Callable[[], None]:
    """A stage of four files, two of them such as another library writes: without flushing them."""

    def work() -> None:
        with stage("made", root, config={"a": 1}, inputs={}) as current:
            if current.done:
                return
            write_jsonl(root / "records.jsonl", ({"n": number} for number in range(300)))
            write_json(root / "told.json", {"n": 300})
            (root / "below").mkdir(exist_ok=True)
            for name in ("library.bin", "below/library.bin"):
                (root / name).write_bytes(b"x" * 5000)
            current.add(*(root / name for name in ("records.jsonl", "told.json", "library.bin", "below/library.bin")))
            current.counts["n"] = 300

    return work


def test_a_stage_dies_anywhere(tmp_path: Path) -> None:
    crash_everywhere(tmp_path / "out", made(tmp_path / "out"), least=15)


def test_a_stage_that_is_made_again_dies_anywhere(tmp_path: Path) -> None:
    """With --redo the old result is no result from the first moment on."""
    out = tmp_path / "out"

    def again() -> None:
        with stage("made", out, config={"a": 2}, inputs={}, redo=read_a(out) == 1) as current:
            if current.done:
                return
            write_jsonl(out / "records.jsonl", ({"n": number} for number in range(200)))
            current.add(out / "records.jsonl")

    crash_everywhere(out, again, prepare=lambda: again_from(out), least=7)


def again_from(out: Path) -> None:
    with stage("made", out, config={"a": 1}, inputs={}) as current:
        write_jsonl(out / "records.jsonl", ({"n": number} for number in range(300)))
        current.add(out / "records.jsonl")


def read_a(out: Path) -> int:
    return int(read_manifest(out)["config"]["a"]) if (out / "manifest.json").is_file() else 0


def forgetful(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault in how files are published."""

    def without_flush(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(files, "sync", lambda path: None)

    def half_flushed(patch: pytest.MonkeyPatch) -> None:
        whole = files.sync
        patch.setattr(files, "sync", lambda path: whole(path) if path.is_dir() else None)

    def folder_not_flushed(patch: pytest.MonkeyPatch) -> None:
        whole = files.sync
        patch.setattr(files, "sync", lambda path: None if path.is_dir() else whole(path))

    return {"nothing": without_flush, "folders only": half_flushed, "files only": folder_not_flushed}[name]


@pytest.mark.parametrize("flushed", ["nothing", "folders only", "files only"])
def test_a_flush_that_is_left_out_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: str) -> None:
    """The instrument itself: what it is to find it finds."""
    forgetful(flushed)(monkeypatch)
    with pytest.raises(AssertionError):
        crash_everywhere(tmp_path / "out", made(tmp_path / "out"), ways=(CUT,))


def test_a_manifest_that_comes_too_early_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def hasty() -> None:
        made(out)()
        write_jsonl(out / "records.jsonl", [{"n": 1}])

    with pytest.raises(AssertionError):
        crash_everywhere(out, hasty, ways=(KILL,))


def test_one_process_a_folder_and_the_next_after_a_kill(tmp_path: Path) -> None:
    def die() -> None:
        with exclusive(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)

    def try_it() -> None:
        with pytest.raises(BadInput, match=f"pid {os.getppid()}"), exclusive(tmp_path):
            pass

    with exclusive(tmp_path):
        assert in_fork(try_it) == 0
    assert in_fork(die) == -signal.SIGKILL
    with exclusive(tmp_path):
        pass
