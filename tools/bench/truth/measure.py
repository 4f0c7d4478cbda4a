"""How much of a document a reader's text has kept: characters in order, numbers, order of blocks, cells of tables."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from .content import Block, Document, plain

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₋₊", "0123456789-+")
_NUMBER = re.compile(r"(?<![A-Za-z0-9.^])-?\d[\d,]*(?:\.\d+)?(?:\^-?\d+)?|\d[\d,]*(?:\.\d+)?(?:\^-?\d+)?")
_NOTE = re.compile(r"\[\^[^\]\s]{1,6}\]:?|\[\[?\d+\]?\]\(#[^)]*\)")
"""The mark of a note, as Markdown writes it or as a link."""
ANCHOR = 16
"""Characters by which a block is found."""


@dataclass(frozen=True)
class Kept:
    """Shares from 0 to 1; None where a document has nothing of the kind."""

    characters: float
    """Characters of the truth that are in the text in the same order (longest common subsequence)."""
    numbers: float
    """Numbers that are there as often as in the truth, with their sign, separators, decimals and power."""
    order: float | None
    """Kendall's tau of the blocks found."""
    cells: float | None
    """Cells of tables that are on one line with those of their row, in the columns' order."""
    blocks: float
    """Blocks that were found."""


def normal(text: str) -> str:
    """Text without markup and white space, in one width, powers behind a caret: all that formats write differently."""
    text = re.sub("-{3,}", "", _NOTE.sub("", text))
    text = re.sub(r"<sup>(.*?)</sup>", r"^\1", text)
    text = re.sub(r"</?(?:sub|ruby|rb|rt|rp|[bipu]|br|em|strong)\b[^>]*>", "", text)
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda match: "^" + match[0].translate(_RAISED), text).translate(_LOWERED)
    text = re.sub(r"[\^_]\s*[({]\s*([^(){}]*?)\s*[)}]", lambda match: match[0][0] + match[1], text)
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("‐", "-")
    text = re.sub(r"\\(?:times)\b", "×", text)
    return re.sub(r"[\s#|*`\\{}$_~>()\[\]\"'“”]+", "", text)


def numbers(text: str) -> Counter[str]:
    """The numbers of a text, as often as they are there."""
    text = _NOTE.sub(" ", text)
    text = re.sub(r"<sup>\s*(.*?)\s*</sup>", r"^\1", text)
    text = re.sub(r"</?[a-z]+[^>]*>", "", text).replace("$", "")
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda match: "^" + match[0].translate(_RAISED), text)
    text = text.translate(_LOWERED)
    text = re.sub(r"\^\s*[({]\s*([-−\d]+)\s*[)}]", r"^\1", text)
    text = unicodedata.normalize("NFKC", text).replace("−", "-").replace("\\", "")
    return Counter(match[0].rstrip(",") for match in _NUMBER.finditer(text))


def common(first: str, second: str) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for position, letter in enumerate(first):
        places[letter] = places.get(letter, 0) | 1 << position
    row = everything = (1 << len(first)) - 1
    for letter in second:
        here = row & places.get(letter, 0)
        row = (row + here | row - here) & everything
    return len(first) - row.bit_count()


def measure(document: Document, text: str, visible: Sequence[Block] | None = None) -> Kept:
    """What a text has kept of a document.

    Args:
        document: the truth.
        text: what a reader gave.
        visible: the blocks that the format holds, in its order; all of them by default.
    """
    blocks = document.blocks if visible is None else visible
    notes = document.notes() if any(piece.style == "note" for block in blocks for piece in block.pieces) else []
    flat = normal(text)
    parts = [normal(plain(block)) for block in blocks]
    body = "".join(parts)
    kept = common(body, flat)
    flat_notes = [normal(note) for note in notes]
    kept += sum(_longest(note, flat) for note in flat_notes)
    total = len(body) + sum(map(len, flat_notes))
    wanted: Counter[str] = Counter()
    for block in blocks:
        wanted += numbers(plain(block))
    for note in notes:
        wanted += numbers(note)
    there = numbers(text)
    places = [flat.find(anchor) for part in parts if (anchor := _anchor(part, body))]
    known = [position for position in places if position >= 0]
    cells = [_cells(block, text) for block in blocks if block.rows]
    count = sum(len(row) for block in blocks for row in block.rows)
    return Kept(
        characters=kept / total,
        numbers=sum((wanted & there).values()) / max(1, sum(wanted.values())),
        order=tau(known),
        cells=sum(cells) / count if count else None,
        blocks=len(known) / len(places),
    )


def _anchor(part: str, body: str) -> str:
    """The first stretch of a block that is nowhere else; empty if there is none."""
    stretches = (part[start : start + ANCHOR] for start in range(max(1, len(part) - ANCHOR + 1)))
    return next((stretch for stretch in stretches if body.count(stretch) == 1), "")


def tau(places: Sequence[int]) -> float | None:
    """Kendall's tau of places that should rise; None for fewer than two."""
    pairs = list(combinations(places, 2))
    if not pairs:
        return None
    return sum((first < second) - (first > second) for first, second in pairs) / len(pairs)


def _longest(needle: str, text: str) -> int:
    """Length of the longest stretch of `needle` that is in `text`."""
    if needle in text:
        return len(needle)
    best = 0
    for start in range(len(needle)):
        while start + best < len(needle) and needle[start : start + best + 1] in text:
            best += 1
    return best


def _cells(block: Block, text: str) -> int:
    lines = [" ".join(_line(line).split()) for line in text.splitlines()]
    return sum(max((_row(row, line) for line in lines), default=0) for row in block.rows)


def _line(line: str) -> str:
    return unicodedata.normalize("NFKC", line.replace("|", " ").replace("\\", "").replace("−", "-"))


def _row(row: Sequence[str], line: str) -> int:
    """Cells of a row that are on a line, in order, each by itself."""
    count, start = 0, 0
    for cell in row:
        cell = unicodedata.normalize("NFKC", cell)
        match = re.compile(rf"(?<![\w.,-]){re.escape(cell)}(?![\w.,])").search(line, start)
        if match:
            count, start = count + 1, match.end()
    return count
