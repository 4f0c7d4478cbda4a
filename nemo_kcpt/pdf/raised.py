"""What is raised or lowered on a PDF's page: smaller letters beside larger ones, above or below their baseline.

PDFium reads them as any other text (10⁶ becomes 106), and often breaks the line before and after them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nemo_kcpt.cleaning.marks import NEAR, write_lowered, write_raised
from nemo_kcpt.pdf.characters import Word
from nemo_kcpt.text.raised import lowered, raised

SMALLER = 0.88
"""Share of its neighbour's size that raised text has at most."""
RAISED = (0.14, 0.8)
"""Shares of the neighbour's size by which a raised baseline is above the neighbour's; readings of kanji are higher."""
LOWERED = (-0.5, -0.06)
SAME_SIZE = (0.28, 0.6)
"""As `RAISED`, for digits that are raised without being smaller."""
APART = 0.35
"""Share of the neighbour's size that may be between."""
LONGEST = 20
"""Characters of raised text at most."""
HALF_EMPTY = "。、．，」』）〕】］｝〉》"
"""Signs whose right half is empty, into which what follows may be moved."""
SMALL, LITTLE = 0.7, -0.03
"""Digits of this share of the size at most are lowered from that share on: LibreOffice lowers them by a twentieth."""
_WRITTEN = re.compile(r"[\w+\-−–‐=()（）\[\]［］.,，、/:;*∗＊†‡§¶‖#′″'°◦∘®™※±×·]+")
_JAPANESE = re.compile(r"[ぁ-ゖァ-ヺ一-鿿]")
_JAPANESE_MARK = re.compile(r"[(（\[]?(?:注|註|脚注|補注|訳注|文献)\s*\d*[)）\]]?")


@dataclass
class Piece:
    """A run of letters of one size on one baseline, with what is raised or lowered beside it written out."""

    text: str
    space: str
    left: float
    right: float
    base: float
    size: float
    number: int
    """Number of its first word."""
    kind: str = ""
    """`raised`, `lowered` or nothing."""
    beside: Piece | None = field(default=None, repr=False)
    """What it is raised or lowered from."""
    foot: float = 0.0
    """Height of its last letter's baseline."""

    @property
    def is_vertical(self) -> bool:
        """Whether its letters stand below each other."""
        broken = "\x02" in self.text  # a word with a hyphen, on two lines
        return len(self.text) > 1 and not broken and self.base - self.foot > 0.5 * self.size


def pieces_of(words: Sequence[Word]) -> tuple[list[Piece], int]:
    """The words as pieces in the same order, raised and lowered ones as characters; and how many of these there are."""
    runs = _runs(words)
    for number, run in enumerate(runs):
        _judge(runs, number, run)
    return _written(runs)


def _runs(words: Sequence[Word]) -> list[Piece]:
    runs: list[Piece] = []
    for word in words:
        last = runs[-1] if runs else None
        if (
            last
            and "\n" not in word.space
            and not last.is_vertical
            and word.base - word.foot < 0.5 * word.size
            and abs(word.size - last.size) <= 0.04 * last.size
            and abs(word.base - last.base) <= 0.05 * last.size
            and -0.5 * last.size < word.left - last.right < last.size
        ):
            last.text += word.space + word.text
            last.right = max(last.right, word.right)
        else:
            runs.append(
                Piece(
                    *(word.text, word.space, word.left, word.right, word.base, word.size, word.number), foot=word.foot
                )
            )
    return runs


def _judge(runs: Sequence[Piece], number: int, run: Piece) -> None:
    """Find out whether a run is raised or lowered beside the one before it, or at a line's beginning the next one."""
    if run.is_vertical or len(run.text) > LONGEST or not _WRITTEN.fullmatch(run.text.replace(" ", "")):
        return
    if _JAPANESE.search(run.text) and not _JAPANESE_MARK.fullmatch(run.text):
        return
    for before in reversed(runs[max(0, number - 4) : number]):
        gap = run.left - before.right
        if before.text[-1] in HALF_EMPTY:
            gap = max(gap, min(0.0, gap + 0.5 * before.size))
        if abs(gap) > APART * max(before.size, run.size) and not before.kind:
            break
        reach = before.beside if before.kind and not _smaller(run, before) else before
        if (
            reach is not None
            and run.left - max(reach.right, before.right) < APART * reach.size
            and run.left > reach.left
        ):
            run.kind, run.beside = _kind(run, reach), reach
        if run.kind or not before.kind:
            break
    if run.kind or number + 1 == len(runs):
        return
    after = runs[number + 1]
    starts = number == 0 or "\n" in run.space or run.left - runs[number - 1].right > after.size
    near = -0.3 * after.size < after.left - run.right < APART * after.size
    if starts and near and _smaller(run, after) and _kind(run, after) == "raised":
        run.kind, run.beside = "raised", after


def _smaller(run: Piece, other: Piece) -> bool:
    return run.size <= SMALLER * other.size


def _kind(run: Piece, beside: Piece) -> str:
    height = (run.base - beside.base) / beside.size if beside.size else 0.0
    if _smaller(run, beside):
        if RAISED[0] <= height <= RAISED[1]:
            return "raised"
        little = run.text.isdigit() and run.size <= SMALL * beside.size and beside.text[-1].isalpha()
        return "lowered" if LOWERED[0] <= height <= (LITTLE if little else LOWERED[1]) else ""
    same = abs(run.size - beside.size) < 0.05 * beside.size and re.fullmatch(r"[-−]?\d{1,3}", run.text)
    return "raised" if same and SAME_SIZE[0] <= height <= SAME_SIZE[1] and "\n" not in run.space else ""


def _written(runs: Sequence[Piece]) -> tuple[list[Piece], int]:
    """The runs, each raised or lowered group as one piece of text that follows its neighbour without a break."""
    pieces: list[Piece] = []
    noted = {run.text for run in runs if run.beside is not None and run.beside.number > run.number}
    count = number = 0
    while number < len(runs):
        run = runs[number]
        if not run.kind:
            pieces.append(_after_raised(pieces, run))
            number += 1
            continue
        end = number + 1
        text = run.text
        while end < len(runs) and runs[end].kind == run.kind and runs[end].beside in (run.beside, runs[end - 1]):
            text += _inner(runs[end]) if runs[end].beside is runs[end - 1] else runs[end].text
            end += 1
        at_start = run.beside is not None and run.beside.number > run.number
        before = "" if at_start or not pieces else _line_so_far(pieces)
        after = runs[end].text[:NEAR] if end < len(runs) and "\n" not in runs[end].space else ""
        if end < len(runs) and runs[end] is run.beside:
            after = runs[end].text[:NEAR]
        torn = at_start and bool(pieces) and pieces[-1].kind == run.kind == "raised" and pieces[-1].text[-1] in "⁻⁺"
        if torn:  # a power whose sign is on the line above
            text = raised(text)
        else:
            text = write_raised(text, before, after, noted=noted) if run.kind == "raised" else write_lowered(text)
        run.text = text
        if not at_start or torn:
            run.space = ""
        run.right = max(part.right for part in runs[number:end])
        pieces.append(run)
        count += 1
        number = end
    return pieces, count


def _inner(run: Piece) -> str:
    """What is raised or lowered beside something that is itself."""
    return raised(run.text) if run.kind == "raised" else lowered(run.text)


def _line_so_far(pieces: Sequence[Piece]) -> str:
    text = ""
    for piece in reversed(pieces):
        text = piece.text + text
        if "\n" in piece.space or len(text) >= NEAR:
            break
        text = piece.space + text
    return text[-NEAR:]


def _after_raised(pieces: Sequence[Piece], run: Piece) -> Piece:
    """The run without the line's end that PDFium puts between it and what is raised before it."""
    if not pieces or not pieces[-1].kind or "\n" not in run.space:
        return run
    raised, beside = pieces[-1], pieces[-1].beside
    if beside is not None and abs(run.base - beside.base) < 0.1 * beside.size and run.left > raised.left:
        gap = run.left - raised.right
        if gap < 2 * beside.size:
            run.space = " " if gap > 0.15 * beside.size else ""
    return run
