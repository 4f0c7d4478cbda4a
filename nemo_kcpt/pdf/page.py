"""The text of a PDF's page as its readers would read it, from the characters that PDFium finds and where they stand."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nemo_kcpt.cleaning.scripts import JAPANESE, JAPANESE_PUNCTUATION
from nemo_kcpt.pdf.characters import readings, text_objects
from nemo_kcpt.pdf.columns import reading_order
from nemo_kcpt.pdf.notes import notes_behind
from nemo_kcpt.pdf.raised import pieces_of
from nemo_kcpt.pdf.stretches import stretches
from nemo_kcpt.pdf.unmapped import unknown
from nemo_kcpt.pdf.unseen import show_letters
from nemo_kcpt.pdf.vertical import lines_from_right_to_left

_BEFORE_SIGN = f"(?<=[{JAPANESE}{JAPANESE_PUNCTUATION}(\u0020\u3000])"
_SIGN = re.compile(f"{_BEFORE_SIGN}(?:([-\u2212])\\r?\\n|\x02(?:\\r?\\n)?)(?=[0-9])")
"""A sign at a line's end, which goes to its number on the next line; PDFium may take it for a hyphen, its U+0002."""
_ALONE = re.compile(f"{_BEFORE_SIGN}\x02(?:\\r?\\n)?")
"""The same where a note stands between it and its number; after a space or Japanese nothing is hyphenated."""


@dataclass
class PageText:
    """What a page says, what was done to it, and what may be wrong with it."""

    text: str
    changes: Counter[str] = field(default_factory=Counter)
    """`raised`: pieces of raised or lowered text; `sideways`: 1 if text stands so; `columns`: lines put in order;
    `notes`: notes put behind the text of their page."""
    doubts: list[str] = field(default_factory=list)
    """`mixed_pages`: lines may be those of two columns; `unmapped_pages`: a font does not say what its glyphs are."""
    unknown: int = 0
    """Characters that are not known."""


def read_page(page: Any) -> PageText:
    """The text of a page of pypdfium2, which is left turned: one block for each direction in which text stands."""
    objects = list(text_objects(page))
    if show_letters(page, [each.item for each in objects]):
        objects = list(text_objects(page))  # they have a width now
    page_text = PageText("")
    blocks: list[str] = []
    doubtful = 0
    for reading in readings(page, objects):
        pieces, raised = pieces_of(reading.words)
        ordered, notes = notes_behind(stretches(lines_from_right_to_left(pieces)))
        text, moved, unsure = reading_order(ordered)
        if text.strip():
            blocks.append(text if not blocks else text.lstrip("\n"))
        page_text.changes.update(raised=raised, columns=moved, notes=notes)
        doubtful += unsure
        if reading.turned and text.strip():
            page_text.changes["sideways"] = 1
    if doubtful:
        page_text.doubts.append("mixed_pages")
    text = _SIGN.sub(lambda match: "\n" + (match[1] or "-"), "\n\n".join(blocks))
    page_text.text = _ALONE.sub("-\n", text)
    page_text.unknown = unknown(page_text.text)
    if page_text.unknown:
        page_text.doubts.append("unmapped_pages")
    return page_text
