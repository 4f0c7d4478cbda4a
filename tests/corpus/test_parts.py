"""Many processes, many machines, killed runs: always the same corpus."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.documents import streams
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_jsonl
from nemo_kcpt.readers import Place, readers
from nemo_kcpt.runs import read_manifest
from tests.waiting import wait_for

Write = Callable[[Path, Iterable[Mapping[str, Any]]], Path]
RESULTS = ("papers.jsonl", "split.json", "dropped.jsonl")


def records(count: int) -> list[dict[str, Any]]:
    generator = random.Random(5)
    texts = ["".join(chr(generator.randrange(0x3042, 0x3092)) for _ in range(400)) for _ in range(count)]
    return [
        {"id": f"p{number}", "text": texts[number % (count - 3)], "title": f"題{number}"} for number in range(count)
    ]


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PIECE", 20_000)


def results(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in RESULTS}


def test_pieces_of_lines_cover_the_file_and_know_their_lines(
    tmp_path: Path, write_lines: Write, small_pieces: None
) -> None:
    file = write_lines(tmp_path / "in.jsonl", records(300))
    place = Place(name=str(file))
    (reader,) = (readers()["jsonl"],)
    pieces = list(reader.all_pieces(place))
    assert len(pieces) > 10
    assert [piece.start for piece in pieces[1:]] == [piece.stop for piece in pieces[:-1]]
    assert pieces[-1].stop == file.stat().st_size
    found = [one for piece in pieces for one in reader.documents_of(place, piece)]
    assert [one.where for one in found] == [f"{file}, line {number}" for number in range(1, 301)]
    assert [one.record["id"] for one in found] == [f"p{number}" for number in range(300)]


def test_processes_and_shards_give_the_same_corpus(tmp_path: Path, write_lines: Write, small_pieces: None) -> None:
    file = write_lines(tmp_path / "in.jsonl", records(300))

    def config(name: str, **keys: Any) -> Config:
        return Config(input=str(file), out=tmp_path / name, **keys)

    run(config("one", workers=1))
    run(config("two", workers=2))
    with pytest.raises(BadInput, match="pieces are missing.*every shard"):
        run(config("shards", merge=True))
    for index in (2, 0):
        run(config("shards", shard=f"{index}/3", workers=1))
    with pytest.raises(BadInput, match=r"\d+ of \d+ pieces are missing \(the first is number 1\)"):
        run(config("shards", merge=True))
    assert not (tmp_path / "shards" / "papers.jsonl").exists()
    run(config("shards", shard="1/3", workers=1))
    run(config("shards", merge=True))
    assert results(tmp_path / "one") == results(tmp_path / "two") == results(tmp_path / "shards")
    manifests = [read_manifest(tmp_path / name) for name in ("one", "two", "shards")]
    assert len({manifest["fingerprint"] for manifest in manifests}) == 1
    assert manifests[0]["counts"]["dropped_duplicates"] == 3
    assert not (tmp_path / "shards" / "parts").exists()


def test_finished_pieces_are_not_read_again(tmp_path: Path, write_lines: Write, small_pieces: None) -> None:
    file = write_lines(tmp_path / "in.jsonl", [*records(300), {"id": "bad", "text": ""}])
    config = Config(input=str(file), out=tmp_path / "out", workers=1)
    with pytest.raises(BadInput, match="1 without text"):
        run(config)
    assert not (tmp_path / "out" / "papers.jsonl").exists()
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("parts/*/*.parquet")}
    assert len(parts) > 10
    next(iter(parts)).unlink()
    with pytest.raises(BadInput, match="1 without text"):
        run(config)
    again = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("parts/*/*.parquet")}
    assert sum(again[path] != parts[path] for path in parts) == 1
    run(Config(input=str(file), out=tmp_path / "out", workers=1, max_bad=1))
    assert not (tmp_path / "out" / "parts").exists()


def test_other_settings_make_other_parts(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(tmp_path / "in.jsonl", [{"id": "a", "text": "x  "}, {"id": "b", "text": ""}])
    for keys in ({}, {"without": ["line_ends"]}, {"license": "MIT"}):
        with pytest.raises(BadInput):
            run(Config(input=str(file), out=tmp_path / "out", **keys))
    assert len(list((tmp_path / "out" / "parts").iterdir())) == 3


SMALL_PIECES = """
import sys
from nemo_kcpt.cli import main
from nemo_kcpt.documents import streams
if __name__ == "__main__":
    streams.PIECE = 20_000
    sys.exit(main())
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_leaves_no_reader_and_gives_the_same(
    tmp_path: Path, write_lines: Write, kill: int, root: Path, small_pieces: None
) -> None:
    """Killed while its pool reads; what a death at any single write does is in test_crashes.py."""
    file = write_lines(tmp_path / "in.jsonl", records(1500))
    (tmp_path / "kcpt.py").write_text(SMALL_PIECES)
    words = [sys.executable, str(tmp_path / "kcpt.py"), "corpus", f"input={file}", f"out={tmp_path / 'killed'}"]
    process = subprocess.Popen(
        [*words, "workers=2"],
        cwd=root,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(lambda: list((tmp_path / "killed").glob("parts/*/*.parquet")) or process.poll() is not None, 60)
    os.killpg(process.pid, kill) if kill == signal.SIGINT else process.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (130 if kill == signal.SIGINT else -kill) and b"Traceback" not in errors
    wait_for(lambda: not _running(f"{tmp_path}/killed"), 5)
    assert list((tmp_path / "killed").glob("parts/*/*.parquet"))
    run(Config(input=str(file), out=tmp_path / "killed", workers=1))
    run(Config(input=str(file), out=tmp_path / "whole", workers=1))
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".*.tmp"))


def _running(word: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                found.append(int(process.name))
        except OSError:
            continue
    return found


DEADLY = """
import os, pathlib, signal
original = pathlib.Path.read_bytes
def read_bytes(self):
    if "deadly" in self.name:
        os.kill(os.getpid(), signal.SIGSEGV)
    return original(self)
pathlib.Path.read_bytes = read_bytes
"""
"""Stands for a format's library that crashes on one file: read by every Python that a test starts (sitecustomize)."""


def test_a_file_that_kills_its_reader_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(DEADLY)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    (tmp_path / "in").mkdir()
    for number in range(20):
        (tmp_path / "in" / f"{number:02d}.txt").write_text(f"本文 {number}")
    (tmp_path / "in" / "07-deadly.txt").write_text("本文")
    config = Config(input=str(tmp_path / "in"), out=tmp_path / "out", workers=2)
    with pytest.raises(BadInput, match=r"1 unreadable \(.*07-deadly\.txt: reading it ended the process"):
        run(config)
    run(Config(input=str(tmp_path / "in"), out=tmp_path / "out", workers=2, max_bad=1))
    assert len(list(read_jsonl(tmp_path / "out" / "papers.jsonl"))) == 20
