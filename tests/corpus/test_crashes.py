"""A run of `kcpt corpus` that dies at any of its writes ends like one that did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus import parts, stage
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.documents import streams
from nemo_kcpt.files import write_json, write_jsonl
from tests.corpus.test_parts import records
from tests.crash import KILL, crash_everywhere


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pieces of a few documents; and no data sheet is drawn, which takes longer than the run."""
    monkeypatch.setattr(streams, "PIECE", 13_000)

    def write_datasheet(out: Path, **about: Any) -> list[Path]:
        write_json(out / "datasheet.json", about["counts"])
        return [out / "datasheet.json"]

    monkeypatch.setattr(stage, "write_datasheet", write_datasheet)


@pytest.mark.parametrize("shards", [0, 2])
def test_pieces_and_what_is_made_of_them(tmp_path: Path, shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece that is whole is read again; with shards, the second one begins when the first is done."""
    file = write_lines(tmp_path)
    whole = parts.make_part

    def noted(job: parts.Job) -> int:
        with (tmp_path / "paid").open("a") as stream:
            stream.write(f"{job.index}\n")
        return whole(job)

    monkeypatch.setattr(parts, "make_part", noted)

    def work() -> None:
        config = {"input": str(file), "out": tmp_path / "out", "workers": 1, "heldout_count": 1}
        if not (tmp_path / "out/manifest.json").is_file():
            for shard in range(shards):
                run(Config(**config, shard=f"{shard}/{shards}"))
        run(Config(**config, merge=shards > 0))

    more = {} if not shards else {"ways": (KILL,), "at": " 00"}  # what comes after the pieces is the same
    crash_everywhere(tmp_path / "out", work, paid=tmp_path / "paid", under_way=1, least=50, **more)


def write_lines(folder: Path) -> Path:
    write_jsonl(folder / "in.jsonl", records(20))
    return folder / "in.jsonl"
