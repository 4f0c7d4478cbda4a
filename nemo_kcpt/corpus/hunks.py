"""What changed between two versions of a text, as a person wants to see it: unified hunks with what differs marked.

Lines are compared first. Where some were replaced by others, their text is compared by what stands between spaces and
punctuation, and only what differs in that by characters, so the work stays near the length of the text. A block is
divided wherever a line end is one in both versions: joined lines stand above the line that they became, not hundreds of
old lines above hundreds of new ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT = 2
"""Unchanged lines shown around a change."""
LONGEST = 240
"""Characters of a line that is shown whole; of a longer one only what is around the changes."""
AROUND = 40
"""Characters shown around a change in a long line."""
LONGEST_CHANGE = 160
"""Characters of a change that is shown whole in a long line; of a longer one both ends."""
COMPARED = 250_000
"""Product of the lengths up to which two texts are compared by characters: some milliseconds."""
ALIKE = 0.4
"""Ratio from which two texts are taken for versions of each other; others share letters by chance."""

_SEGMENT = re.compile(r"[^\s、。，．,.]+|.", re.DOTALL)

Span = tuple[int, int]
Match = tuple[int, int, int]
"""Start in the old text, start in the new one, length."""


class Line(NamedTuple):
    """A line of a hunk: `mark` is a blank, - or +; `spans` are what differs; `end`: so does its line end."""

    mark: str
    text: str
    spans: tuple[Span, ...] = ()
    end: bool = False


class Hunk(NamedTuple):
    """Neighbouring changes with the lines around them; `head` gives the line numbers as `diff -u` does."""

    head: str
    lines: list[Line]


def hunks(before: str, after: str) -> Iterator[Hunk]:
    """What differs between two texts, in their order."""
    old, new = before.split("\n"), after.split("\n")
    # Blank lines and spaces match anything: they are taken for the same only beside something that is.
    for group in SequenceMatcher(_blank, old, new).get_grouped_opcodes(CONTEXT):
        lines: list[Line] = []
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [Line(" ", text) for text in old[i1:i2]]
            elif tag == "replace":
                lines += _replaced(old[i1:i2], new[j1:j2])
            else:
                lines += [Line("-", text, _whole(text)) for text in old[i1:i2]]
                lines += [Line("+", text, _whole(text)) for text in new[j1:j2]]
        ranges = _range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4])
        yield Hunk("@@ -{} +{} @@".format(*ranges), lines)


def _blank(line: str) -> bool:
    return not line.strip()


def _separator(segment: str) -> bool:
    return len(segment) == 1 and not segment.isalnum()


def _range(start: int, stop: int) -> str:
    """First line and number of lines in the form of `diff -u`."""
    length = stop - start
    return f"{start + (length > 0)}" + (f",{length}" if length != 1 else "")


def _whole(text: str) -> tuple[Span, ...]:
    return ((0, len(text)),) if text else ()


def matches(old: str, new: str) -> list[Match]:
    """What two texts have in common, in order, none of it twice."""
    common: list[Match] = []
    left, right = _SEGMENT.findall(old), _SEGMENT.findall(new)
    i = j = 0
    for tag, i1, i2, j1, j2 in SequenceMatcher(_separator, left, right).get_opcodes():
        old_part, new_part = "".join(left[i1:i2]), "".join(right[j1:j2])
        if tag == "equal":
            common.append((i, j, len(old_part)))
        elif len(old_part) * len(new_part) <= COMPARED:
            characters = SequenceMatcher(None, old_part, new_part, autojunk=False)
            if characters.ratio() >= ALIKE:
                common += [(i + a, j + b, n) for a, b, n in characters.get_matching_blocks() if n]
        i, j = i + len(old_part), j + len(new_part)
    return common


def _replaced(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """The lines of a replaced block, those that correspond beside each other."""
    before, after = "\n".join(old), "\n".join(new)
    common = matches(before, after)
    gone = _between([(i, i + n) for i, _, n in common], len(before))
    come = _between([(j, j + n) for _, j, n in common], len(after))
    borders = [(i + k, j + k) for i, j, n in common for k in range(n) if before[i + k] == "\n"]
    i = j = 0
    for left, right in [*borders, (len(before), len(after))]:
        if before[i:left] == after[j:right]:
            yield from (Line(" ", text) for text in before[i:left].split("\n"))
        else:
            yield from _marked("-", before[i:left], gone, i)
            yield from _marked("+", after[j:right], come, j)
        i, j = left + 1, right + 1


def _between(taken: Sequence[Span], length: int) -> list[Span]:
    """What `taken` leaves of a text."""
    borders = [0, *(border for span in taken for border in span), length]
    return [(start, stop) for start, stop in zip(borders[::2], borders[1::2]) if start < stop]


def _marked(mark: str, text: str, spans: Sequence[Span], offset: int) -> Iterator[Line]:
    """The lines of `text`, which is at `offset` in the text that `spans` belong to."""
    for line in text.split("\n"):
        stop = offset + len(line)
        own = [(max(a, offset) - offset, min(b, stop) - offset) for a, b in spans if a < stop and b > offset]
        yield Line(mark, line, tuple(own), any(a <= stop < b for a, b in spans))
        offset = stop + 1


class Piece(NamedTuple):
    """Part of a line as it is shown."""

    text: str
    changed: bool


def pieces(line: Line) -> Iterator[Piece]:
    """A line cut at its spans, ready to print; of a long line windows around them, with … for what is left out."""
    if len(line.text) <= LONGEST:
        windows = [(0, len(line.text))]
    elif not line.spans:
        windows = [(0, 2 * AROUND)]
    else:
        windows = _windows(line.spans, len(line.text))
    position = 0
    for start, stop in windows:
        if start > position:
            yield Piece("…", False)
        position = start
        for a, b in line.spans:
            a, b = max(a, start), min(b, stop)
            if a < b:
                if a > position:
                    yield Piece(visible(line.text[position:a]), False)
                yield Piece(visible(line.text[a:b], marks=True), True)
                position = b
        if position < stop:
            yield Piece(visible(line.text[position:stop]), False)
        position = stop
    if position < len(line.text):
        yield Piece("…", False)


def _windows(spans: Sequence[Span], length: int) -> list[Span]:
    """What is shown of a long line, in order, without overlaps."""
    windows: list[Span] = []
    for a, b in spans:
        parts = [(a, b)] if b - a <= LONGEST_CHANGE else [(a, a + LONGEST_CHANGE // 2), (b - LONGEST_CHANGE // 2, b)]
        for start, stop in parts:
            start, stop = max(0, start - AROUND), min(length, stop + AROUND)
            if windows and start <= windows[-1][1]:
                windows[-1] = (windows[-1][0], max(stop, windows[-1][1]))
            else:
                windows.append((start, stop))
    return windows


def visible(text: str, *, marks: bool = False) -> str:
    """`text` with every character that a terminal would obey or hide shown by name: ␍, ⟨U+200B⟩.

    Args:
        text: to show.
        marks: combining marks too, which make two different texts look the same.
    """
    return "".join(
        character if character.isascii() and character.isprintable() else _visible(character, marks)
        for character in text
    )


def _visible(character: str, marks: bool) -> str:
    code, category = ord(character), unicodedata.category(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    hidden = category[0] == "C" or category in ("Zl", "Zp") or (category == "Zs" and code != 0x3000)
    return f"⟨U+{code:04X}⟩" if hidden or (marks and category[0] == "M") else character
