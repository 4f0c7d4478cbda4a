"""The generator of documents with a known truth, and what is measured of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nemo_kcpt.cleaning import STEPS, clean
from tests.readers.reading import records
from tools.bench.truth import markup, office
from tools.bench.truth.content import Block, Document, make, plain
from tools.bench.truth.measure import measure, normal, numbers, tau


def written(document: Document) -> str:
    """A document as a perfect reader would give it."""
    return "\n\n".join([*map(plain, document.blocks), *document.notes()])


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_truth_keeps_all_of_itself(language: str) -> None:
    document = make(language, 3)
    kept = measure(document, written(document))
    assert (kept.characters, kept.numbers, kept.order, kept.cells, kept.blocks) == (1, 1, 1, 1, 1)
    assert make(language, 3) == document != make(language, 4)


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (lambda text: text.replace(",", "", 1), "numbers"),
        (lambda text: text.replace("^", "", 1), "numbers"),
        (lambda text: text.replace("であ", "", 3), "characters"),
        (lambda text: "\n\n".join(reversed(text.split("\n\n"))), "order"),
        (lambda text: text.replace("再測定", "").replace("○", "").replace("×", ""), "cells"),
    ],
)
def test_what_is_lost_is_seen(change: Callable[[str], str], lost: str) -> None:
    document = make("ja", 3)
    kept = measure(document, change(written(document)))
    assert getattr(kept, lost) < 1


def test_how_formats_write_the_same_is_no_difference() -> None:
    same = ["10⁶ と H₂O", "10^6 と H2O", "10<sup>6</sup> と H<sub>2</sub>O", "$10^{6}$ と H$_{2}$O", "１０^(6) と Ｈ2O"]
    assert len({normal(text) for text in same[:3]}) == 1
    assert all(numbers(text)["10^6"] == 1 for text in same)
    assert numbers("値は-3.5、KX-12、１２件") == {"-3.5": 1, "12": 2}


@pytest.mark.parametrize(("places", "expected"), [([1, 2, 3], 1), ([3, 2, 1], -1), ([1, 3, 2], 1 / 3), ([1], None)])
def test_kendall(places: list[int], expected: float | None) -> None:
    assert tau(places) == (None if expected is None else pytest.approx(expected))


FORMATS = {
    ".docx": office.docx,
    ".pptx": office.pptx,
    ".xlsx": office.xlsx,
    ".tex": markup.tex,
    ".xml": markup.jats,
    ".html": markup.html,
}


def shown(suffix: str, document: Document) -> Sequence[Block]:
    return office.tables(document) if suffix == ".xlsx" else document.blocks


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_readers_keep_the_truth(tmp_path: Path, suffix: str, language: str) -> None:
    """The targets of every format that stores text; tools/bench/documents.py measures all formats and other tools."""
    document = make(language, 5)
    FORMATS[suffix](document, tmp_path / f"a{suffix}")
    (record,) = records(tmp_path)
    kept = measure(document, f"{record['title']}\n{clean(record['text'], tuple(STEPS)).text}", shown(suffix, document))
    assert kept.numbers >= 0.999
    assert kept.characters >= 0.995
    assert kept.order is None or kept.order >= 0.99  # None: two tables that begin in the same way
    assert kept.cells == 1
