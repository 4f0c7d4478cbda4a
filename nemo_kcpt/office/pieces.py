"""Lines made of runs, as Office stores them: what of them is raised, lowered or struck through, written as text.

A line is often cut into runs in the middle of a number, and each run says by itself that it is raised. So neighbours
that are set alike are joined first, and what is raised is decided with the text around it (cleaning/marks.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import NamedTuple

from nemo_kcpt.cleaning.marks import NEAR, mark, write_lowered, write_raised
from nemo_kcpt.text.raised import fractions

_BETWEEN_NUMBERS = re.compile(r"(?<=\d)\s*\n\s*(?=\d)")
_SPACE = re.compile(r"[ \t\r\n\f\v]+")
LONGEST = 200
"""Characters of raised text at most; more is a paragraph in small print."""


class Written(NamedTuple):
    """A line as text, and how many pieces of it were raised or lowered."""

    text: str
    raised: int


class Piece(NamedTuple):
    """A stretch of a line."""

    text: str
    way: str = ""
    """super, sub; note: a mark that is written as one; done: text that is ready, as a formula is; empty: plain."""
    struck: bool = False
    marked: bool = False
    """Whether the markup says that it is a note's mark."""


def written(pieces: Sequence[Piece], noted: Collection[str] = ()) -> Written:
    """The text of a line of pieces.

    Args:
        pieces: of the line, in order.
        noted: marks with which a note of the document begins.
    """
    joined = [
        Piece("".join(piece.text for piece in group), *like)
        for like, group in groupby((piece for piece in pieces if piece.text), key=lambda piece: piece[1:])
    ]
    text, count = "", 0
    for number, piece in enumerate(joined):
        after = "".join(other.text for other in joined[number + 1 : number + 8])[:NEAR]
        before = text.rsplit("\n", 1)[-1][-NEAR:]
        rendered = _render(piece, before, after, noted)
        count += piece.way in ("super", "sub", "note") and bool(piece.text.strip())
        text += f"~~{rendered.strip()}~~" if piece.struck and rendered.strip() else rendered
    return Written(fractions(text) if count else text, count)


def on_one_line(text: str) -> str:
    """Lines as one, for a cell or a heading: parted by a space, but numbers by a semicolon, since 12 400 may be one."""
    return _SPACE.sub(" ", _BETWEEN_NUMBERS.sub("; ", text) if "\n" in text else text).strip()


def _render(piece: Piece, before: str, after: str, noted: Collection[str]) -> str:
    text = piece.text
    if piece.way == "note":
        return mark(text)
    if piece.way not in ("super", "sub") or not text.strip() or len(text) > LONGEST:
        return text
    raised = piece.way == "super"
    rendered = write_raised(text, before, after, piece.marked, noted) if raised else write_lowered(text)
    begin = " " if text[0].isspace() and before[-1:].isalnum() else ""
    return f"{begin}{rendered}{' ' if text[-1].isspace() and after[:1].isalnum() else ''}"
