"""Notes at the foot of a PDF's column, where they part a sentence: they follow the page's text, as `[^3]: …`.

A page is read in the order in which it was drawn, so a note stands between the last line of a column and the first of
the next one; a number that the columns part would be two numbers. So does the rest of a note, or a caption in small
letters. A note is told by its mark, which the text has raised; by its place, set off below all else in the column; and
by the sentence above it, which is not at its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import replace
from itertools import pairwise, takewhile
from statistics import median

from nemo_kcpt.cleaning.headings import known_name, numbered_heading
from nemo_kcpt.cleaning.joining import Joiner
from nemo_kcpt.cleaning.line_kinds import ends_sentence
from nemo_kcpt.pdf.stretches import Stretch

SMALL = 0.92
"""Share of the text's size that the letters of a note have at most, where they are smaller."""
SET_OFF = 1.25
"""Times the usual distance of lines that the first note is below the text."""
APART = 2.2
"""Times the size that the lines of notes are apart at most."""
HIGHER = 5
"""Times the size that the next column begins above the end of one at least."""
FOOTERS = 2
"""Lines below a column at most: a footer and a page's number."""
_MARKS = re.compile(r"\[\^([^\]\s]+)\]")
_SENTENCE = re.compile(r"[。．]|[.!?] ")
_START = re.compile(
    r"(?:\[\^([^\]\s]{1,6})\]|([*＊∗※†‡§¶]{1,4}\d{0,3}|\d{1,3})[)）]?)[.．:：]?[ \u3000]*(?=[^\s\d.,．，%％])"
)


def notes_behind(stretches: Sequence[Stretch]) -> tuple[list[Stretch], int]:
    """The stretches of a page with the notes that part a sentence behind its text; and how many of these there are."""
    if not any(_MARKS.search(stretch.text) for stretch in stretches):
        return list(stretches), 0
    marks: set[str] = set()
    """Those above, in the order in which the page is read."""
    size = median(stretch.size for stretch in stretches)
    down = [above.base - below.base for above, below in pairwise(stretches) if "\n" in below.space]
    pitch = median([each for each in down if 0.5 * size < each < 3 * size] or [1.5 * size])
    joiner = Joiner("\n".join(stretch.text for stretch in stretches))
    kept: list[Stretch] = []
    notes: list[Stretch] = []
    start = 0
    while start < len(stretches):
        stretch, above = stretches[start], kept[-1] if kept else None
        end = _end(stretches, start, size) if above and _is_set_off(above, stretch, size, pitch) else start
        match = _START.match(stretch.text)
        is_rest = stretch.size <= SMALL * size and not _MARKS.search(stretch.text)
        if end == start or not (is_rest or (match and (match[1] or match[2]) in marks)):
            marks |= {mark for group in _MARKS.findall(stretch.text) for mark in re.split("[,，、;]", group)}
            kept.append(stretch)
            start += 1
            continue
        _add(notes, stretches[start:end], marks, joiner)
        start = end
    if not notes:
        return list(stretches), 0
    lowest = min(note.base for note in notes) - 1.5 * size
    index = next((number for number in range(len(kept), 0, -1) if kept[number - 1].base >= lowest), 0)
    return [*kept[:index], *notes, *kept[index:]], len(notes)


def _is_set_off(above: Stretch, stretch: Stretch, size: float, pitch: float) -> bool:
    """Whether a line may be the first note below a column whose last sentence is not at its end."""
    text = _MARKS.sub("", above.text)
    return (
        ("\n" in stretch.space or above.text.endswith("\x02"))
        and above.base - stretch.base > (pitch if stretch.size <= SMALL * size else SET_OFF * pitch)
        and stretch.left < above.right
        and above.left < stretch.right
        and not ends_sentence(text)
        and not known_name(text)
        and (stretch.size <= SMALL * size or (stretch.size < 1.02 * size and not _is_heading(stretch, above)))
    )


def _is_heading(stretch: Stretch, above: Stretch) -> bool:
    """Whether a line is a section's heading: short, and no sentence."""
    short = stretch.right < above.right - 2 * stretch.size
    return short and numbered_heading(stretch.text) is not None and not _SENTENCE.search(stretch.text)


def _end(stretches: Sequence[Stretch], start: int, size: float) -> int:
    """The end of the lines that begin at `start`, if they are the last ones of a column; else `start`."""
    small = stretches[start].size <= SMALL * size
    for number in range(start + 1, len(stretches)):
        above, below = stretches[number - 1], stretches[number]
        apart = above.base - below.base
        if abs(apart) < 0.5 * above.size:
            continue
        if apart < 0:
            return number if -apart > HIGHER * size else start
        if apart > APART * above.size:
            return number if _are_furniture(stretches[number:], above.base) else start
        if below.size > (SMALL if small else 1.02) * size or _MARKS.search(_START.sub("", below.text, count=1)):
            return start
    return len(stretches)


def _are_furniture(rest: Sequence[Stretch], base: float) -> bool:
    """Whether below a height, before the next column begins, there is no more than a footer and a page's number."""
    return sum(1 for _ in takewhile(lambda stretch: stretch.base < base, rest)) <= FOOTERS


def _add(notes: list[Stretch], lines: Sequence[Stretch], marks: Set[str], joiner: Joiner) -> None:
    """Add the notes of a column. What begins without a mark is the rest of the note before; where that has ended, or is
    on the page before, it stays as it is."""
    for line in lines:
        match = _START.match(line.text) if "\n" in line.space or line is lines[0] else None
        mark = (match[1] or match[2]) if match else ""
        if match and mark in marks:
            notes.append(replace(line, text=f"[^{mark}]: {line.text[match.end() :]}", space="\n"))
            continue
        last = notes[-1] if notes else None
        if last is None or not last.text.startswith("[^") or ("\n" in line.space and ends_sentence(last.text)):
            notes.append(replace(line, space="\n" if line is lines[0] else line.space))
            continue
        broken = "\n" in line.space or last.text.endswith("\x02")
        text = joiner.join(re.sub("\x02$", "-", last.text), line.text) if broken else last.text + line.space + line.text
        notes[-1] = replace(last, text=text, base=min(last.base, line.base))
