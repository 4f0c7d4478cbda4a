"""Damaged files of every format with markup: read as far as they go, or named, but never an exception."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from nemo_kcpt.readers import Place, readers
from tests.markup import test_xml
from tests.readers import test_confluence, test_epub, test_mail, test_mediawiki

TEX = (
    r"\documentclass{article}\newcommand{\x}[2][a]{#1#2}\def\y(#1){#1}\begin{document}\section{A}\label{a}\x"
    r"[5]{6}\y(7)\footnote{8}"
    r"\begin{tabular}{l@{.}r}1&2\\\multicolumn{2}{c}{3}\end{tabular}\begin{align}a&=b\label{c}\\d\end{align"
    r"}$\SI{5}{\km}$\ref{c}"
    r"\begin{enumerate}[(i)]\item x\end{enumerate}\ifx\a\b 1\else 2\fi\verb|x|\cite[p.~5]{z}\end{document}"
)
MAIL = test_mail.HEAD + (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
    b"Content-Type: text/html; charset=iso-2022-jp\r\n\r\n"
    b"<p>a<table><tr><td>5</table>\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--x--\r\n"
)
NOTEBOOK = {
    "cells": [
        {"cell_type": "code", "source": ["x"], "outputs": [{"output_type": "stream", "text": ["5"]}]},
        {"cell_type": "markdown", "source": "y"},
    ],
    "metadata": {"authors": [{"name": "A"}]},
}
WIKI = "{{val|5}}<ref>a</ref>\n== b ==\n* c\n{|\n! d\n|-\n| 5\n|}\n[[ファイル:a.png|thumb|e]]"


def samples(tmp_path: Path) -> dict[str, tuple[str, bytes]]:
    """Name of a file -> its format and its bytes."""
    book = test_epub.book(tmp_path / "x.epub", "<p>5<sup>6</sup></p>").read_bytes()
    dump = test_mediawiki.dump(tmp_path / "x.xml", test_mediawiki.page("A", WIKI)).read_bytes()
    return {
        "a.xml": ("jats", test_xml.jats("<sec><title>A</title><p>5<sup>6</sup><fn><p>x</p></fn></p></sec>").encode()),
        "b.xml": ("tei", test_xml.tei("<div><head>A</head><p>5<note>x</note></p></div>").encode()),
        "c.tex": ("tex", TEX.encode()),
        "d.eml": ("mail", MAIL),
        "e.msg": ("mail", test_mail.outlook()),
        "f.mbox": ("mbox", test_mail.mailbox(3)),
        "g.epub": ("epub", book),
        "h.ipynb": ("ipynb", json.dumps(NOTEBOOK).encode()),
        "i.xml": ("mediawiki", dump),
        "entities.xml": ("confluence", test_confluence.SPACE.encode()),
        "j.html": ("confluence", test_confluence.EXPORTED.encode()),
    }


def damaged(data: bytes, draw: random.Random) -> bytes:
    """The bytes cut off, with other bytes in places, or with a piece of them twice."""
    made = bytearray(data)
    way = draw.randrange(3)
    if way == 0:
        return data[: draw.randrange(len(data))]
    if way == 1:
        for _ in range(draw.randrange(1, 12)):
            made[draw.randrange(len(made))] = draw.choice(b"{}\\$&%#<>[]|=*\n\x00\xff\x1b 09aZ\"'/")
    else:
        start, place = draw.randrange(len(made)), draw.randrange(len(made))
        made[place:place] = made[start : start + draw.randrange(400)] * 2
    return bytes(made)


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_never_an_exception(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    for name, (format, data) in samples(tmp_path).items():
        reader = readers()[format]
        path = tmp_path / name
        place = Place(name=str(path))
        for _ in range(12):
            path.write_bytes(damaged(data, draw))
            items = [item for piece in reader.all_pieces(place) for item in reader.documents_of(place, piece)]
            assert all(item.problem or item.record["text"].strip() for item in items), path.read_bytes()
            assert reader.recognises is None or isinstance(reader.recognises(path), bool)
