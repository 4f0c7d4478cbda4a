"""What the tests of readers share: a corpus read as the stage reads it, and one read under a watch on its memory."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from nemo_kcpt.readers import Found, Piece, Place, choose_readers, divide, readers
from tests.conftest import ROOT

JAPANESE = (
    "本研究では、低資源言語における語義曖昧性解消の手法を提案する。提案手法は、多言語の事前学習モデルから得られる表現を用いて、"
    "語義の定義文と用例とを対応づけるものである。実験の結果、従来手法を上回る性能が得られた。\n\n"
    "データセットはWikipediaの記事から作成し、人手で正解を付与した。評価には正解率とF値を用いる。"
    "パラメータの数は約3億であり、学習には4台のGPUで12時間を要した。\n"
)


def pieces_of(path: Path | str, format: str = "auto", **place: Any) -> tuple[Place, list[Piece]]:
    """The pieces of a corpus, as another process gets them."""
    where = Place(name=str(path), **place)
    pieces = list(divide(where, choose_readers(where, format)))
    where, pieces = pickle.loads(pickle.dumps((where, pieces)))
    return where, pieces


def found(path: Path | str, format: str = "auto", **place: Any) -> list[Found]:
    """All that is found in a corpus, problems too."""
    where, pieces = pieces_of(path, format, **place)
    return [found for piece in pieces for found in readers()[piece.reader].documents_of(where, piece)]


def records(path: Path | str, format: str = "auto", **place: Any) -> list[dict[str, Any]]:
    """The records of a corpus without problems."""
    everything = found(path, format, **place)
    assert [item.problem for item in everything if item.problem] == []
    return [dict(item.record) for item in everything]


def problem(path: Path | str, format: str = "auto", **place: Any) -> str:
    """Where and what the only problem of a corpus is; a problem comes without a record."""
    (bad,) = [item for item in found(path, format, **place) if item.problem]
    assert not bad.record
    return f"{bad.where}: {bad.problem}"


_READING = """
import sys
from nemo_kcpt.processes import peak_memory
from nemo_kcpt.readers import Place, choose_readers, divide, readers
def found(name, **place):
    place = Place(name=name, **place)
    for piece in divide(place, choose_readers(place)):
        yield from readers()[piece.reader].documents_of(place, piece)
def peak():
    return peak_memory() >> 20  # not getrusage, which counts what the parent had when it started this process
"""


def peak_of(program: str, *words: object) -> tuple[list[str], int]:
    """The lines a program prints in a process of its own, and the last of them as a number: memory in MiB."""
    program = f"{_READING}\n{program}\n"
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr
    *lines, peak = done.stdout.splitlines()
    return lines, int(peak)
