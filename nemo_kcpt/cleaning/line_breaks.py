"""Hard line breaks and hyphenation: the lines of a printed paragraph become one, where the text really is wrapped.

The evidence is the wrapping itself. In text that was broken to fit a column of width W, no line could have taken the
first word (or, in Japanese, the first character) of the next one: its width and that word's exceed W, or nearly, since
fonts are proportional. A run of lines that all do so in the middle of a sentence is wrapped; its W then also judges
the paragraphs around it that are too short to show it by themselves. Lists, headings, tables, quotes, code, formulas,
verse, dialogue and one sentence a line do not show it, or are left alone by their form. In doubt a line end stays: it
costs a token, a wrong join costs meaning.

Page marks become paragraph breaks here, or nothing where the sentence continues on the next page.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

from nemo_kcpt.cleaning.changed import Changed
from nemo_kcpt.cleaning.headings import known_name, markdown_heading, numbered_heading
from nemo_kcpt.cleaning.joining import HYPHENS, Joiner
from nemo_kcpt.cleaning.line_kinds import ends_sentence, is_fixed, is_item, is_markdown_item
from nemo_kcpt.cleaning.regions import lines_of
from nemo_kcpt.cleaning.scripts import JAPANESE, JAPANESE_PUNCTUATION, display_width

NARROWEST, WIDEST = 20, 160
"""Columns a wrapped text may have: from newspapers to a landscape page in a small font."""
SLACK = 0.12
"""Share of W by which a full line may fall short: fonts are proportional, and no Japanese line begins with 、 or 。."""
FULL = 0.8
"""Share of the unfinished lines of a run that must be full for the run to count as wrapped."""
COMMAS = 0.4
"""Share of them that may end with a comma; by chance it is one in twelve."""
REST = 0.6
"""Share of W that a line in the middle of a wrapped paragraph has at least."""
ALIKE = 4
"""Lines of the same number of letters at least that show a grid."""
LONG = 60
"""Columns of a line at a page's end that is a paragraph and not a label, where nothing is wrapped."""

_WORTH_A_LOOK = re.compile(r"[^\s。．.｡!?！？:：;；][ \t\u3000]*\n[ \t\u3000]*\S|\f")
_JAPANESE = re.compile(f"[{JAPANESE}{JAPANESE_PUNCTUATION}]")
_FIRST_JAPANESE = re.compile(
    f"[{JAPANESE}{JAPANESE_PUNCTUATION}][、。，．）」』】〉》ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ！？]*"
)
_FIRST_WORD = re.compile(f"[^\\s{JAPANESE}{JAPANESE_PUNCTUATION}]{{1,24}}")
_INNER_END = re.compile(r"[。．！？](?=[^」』）)\s])|[.!?] +(?=[A-Z\"“(])")
_PUNCTUATION = re.compile(r"[、。，．]|[,.;:] ")
_BROKEN_WORD = re.compile(rf"[^\W\d_]{{2}}[{HYPHENS}]$")
_LOWER = re.compile(r"[a-zà-öø-ÿ]")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)$")
_GOES_ON = re.compile(f"[{JAPANESE}、，,a-z]$")

_ABBREVIATION = re.compile(r"[A-Za-z]\.$")
_POINT = re.compile(f"[{JAPANESE}{JAPANESE_PUNCTUATION}][0-9\uff10-\uff19]+[.,\uff0e\uff0c]$")
_DIGIT_FIRST = re.compile(f"[0-9\uff10-\uff19]+[{JAPANESE}%％、。]")
_PARTICLE = re.compile("[がをはにでとのもや]")
_NOTE = re.compile(r"\[\^[^\]\s]{1,6}\]: ")
"""A note at the foot of a page, over which a sentence may continue."""
_QUOTES = '「『“"'


class _Kind(Enum):
    BLANK = auto()
    PAGE = auto()
    FIXED = auto()
    """Stays a line of its own."""
    ITEM = auto()
    """Begins a paragraph: an item of a list that is not Markdown's, a caption."""
    PROSE = auto()


@dataclass(slots=True)
class _Line:
    text: str
    kind: _Kind
    width: int = 0
    unfinished: bool = False
    """The sentence continues after the line's end."""


class _Wrap(NamedTuple):
    """A run of lines that was broken to fit a column."""

    first: int
    last: int
    width: int
    least: int
    """Columns that a line and the first word of the next must reach together."""


def line_breaks(text: str) -> Changed:
    """Join the lines of hard-wrapped paragraphs, hyphenated words and sentences that continue on the next page."""
    count = 0
    while _WORTH_A_LOOK.search(text):  # each round makes lines at least as wide as a column wider: a few will do
        changed = _join_once(text)
        if not changed.count:
            break
        text, count = changed.text, count + changed.count
    return Changed(text, count)


def _join_once(text: str) -> Changed:
    lines = _classified(text)
    runs = _runs(lines)
    wraps = [wrap for run in runs if (wrap := _wrap(lines[run.start : run.stop], run.start))]
    follows: dict[int, int] = {}
    """Line -> the line that continues it."""
    flows = _flows(lines, wraps)
    own = {wrap.first: wrap for wrap in wraps}
    for run in runs:
        _judge_run(lines, run, own.get(run.start), wraps, flows, follows)
    if not wraps:
        follows.update(_cut_alike(lines))
    pages = sum(line.kind is _Kind.PAGE for line in lines)
    if pages:
        _judge_pages(lines, wraps, follows)
    if not follows and not pages:
        return Changed(text, 0)
    return Changed(_assembled(lines, follows, Joiner(text)), len(follows) + pages)


def _classified(text: str) -> list[_Line]:
    """The lines with their kinds; a page mark is a line of its own."""
    lines: list[_Line] = []
    in_list = False
    for line in lines_of(text.replace("\f", "\n\f\n") if "\f" in text else text):
        bare = line.text.rstrip()
        before = lines[-1] if lines else None
        if not bare:
            kind = _Kind.PAGE if "\f" in line.text else _Kind.BLANK
            in_list = False
        elif line.protected or in_list or markdown_heading(bare) or known_name(bare):
            kind = _Kind.FIXED
        elif _UNDERLINE.match(bare) and len(bare) > 1 and before and before.kind is _Kind.PROSE:
            kind = before.kind = _Kind.FIXED
        elif is_fixed(bare) or (numbered_heading(bare) and not _is_inside_sentence(before)):
            kind = _Kind.FIXED
        elif is_markdown_item(bare):
            kind, in_list = _Kind.FIXED, True
        else:
            goes_on = before is not None and before.kind is not _Kind.FIXED and before.text.endswith(("、", "，", ","))
            kind = _Kind.ITEM if is_item(bare) and not goes_on else _Kind.PROSE
        if before and _ABBREVIATION.search(before.text) and _PARTICLE.match(bare):
            before.unfinished = True
        if before and _POINT.search(before.text) and _DIGIT_FIRST.match(bare):
            before.unfinished = True  # a number that is broken behind its point
        lines.append(_Line(bare, kind, display_width(bare), bool(bare) and not ends_sentence(bare)))
    return lines


def _is_inside_sentence(before: _Line | None) -> bool:
    """Whether a line after `before` that looks like a numbered heading may be the rest of a sentence."""
    return before is not None and before.kind in (_Kind.PROSE, _Kind.ITEM) and before.unfinished and before.width > 30


def _runs(lines: Sequence[_Line]) -> list[range]:
    """Runs of lines that may be one paragraph: no blank line, no fixed one, no new item and no indentation inside."""
    runs, start = [], None
    for number, line in enumerate(lines):
        begins = line.kind is _Kind.ITEM
        if line.kind is _Kind.PROSE and start is not None:
            before = lines[number - 1]
            indent = len(line.text) - len(line.text.lstrip(" \t"))
            indent_before = len(before.text) - len(before.text.lstrip(" \t"))
            begins = line.text[indent] == "\u3000" or (indent > indent_before + 1 and before.kind is _Kind.PROSE)
        if start is not None and (begins or line.kind not in (_Kind.PROSE, _Kind.ITEM)):
            runs.append(range(start, number))
            start = None
        if start is None and line.kind in (_Kind.PROSE, _Kind.ITEM):
            start = number
    if start is not None:
        runs.append(range(start, len(lines)))
    return [run for run in runs if len(run) > 1]


def _reach(line: _Line, following: _Line) -> int:
    """Columns the line would have had with the first word or character of the next one."""
    rest = following.text.lstrip()[:40]
    if match := _FIRST_JAPANESE.match(rest):
        return line.width + 2 * len(match[0])
    word = _FIRST_WORD.match(rest)
    return line.width + (len(word[0]) if word else 1) + (not _JAPANESE.match(line.text[-1]))


def _wrap(lines: Sequence[_Line], first: int) -> _Wrap | None:
    """The column that a run of lines was broken to fit, or None if it does not look broken."""
    pairs = [(line, following) for line, following in pairwise(lines) if line.unfinished]
    if len(lines) < 3 or len(pairs) < 2:
        return None
    widths = sorted(line.width for line, _ in pairs)
    width = widths[len(widths) * 4 // 5]
    full = [
        (line, following)
        for line, following in pairs
        if _reach(line, following) > (1 - SLACK) * width and line.width <= 1.25 * width
    ]
    if not NARROWEST <= width <= WIDEST or len(full) < max(2, FULL * len(pairs)):
        return None
    if not _reads_like_prose(lines, full):
        return None
    reaches = sorted(_reach(*pair) for pair in full)
    return _Wrap(first, first + len(lines) - 1, width, reaches[len(reaches) // 10])


def _reads_like_prose(lines: Sequence[_Line], full: Sequence[tuple[_Line, _Line]]) -> bool:
    """Whether a run of equally long lines is text and not verse, a list of titles, a log or the like.

    Prose has punctuation within, and its lines continue in the middle of a sentence: with a small letter, where the
    script has small letters. Its lines end anywhere, those of verse where a phrase does.
    """
    if sum(len(_PUNCTUATION.findall(line.text)) for line in lines) < len(lines) / 4:
        return False
    if sum(line.text[-1] in "、，," for line, _ in full) > COMMAS * len(full):
        return False
    starts = [following.text.lstrip()[:1] for _, following in full]
    latin = [start for start in starts if not _JAPANESE.match(start)]
    return 2 * len(latin) <= len(starts) or sum(bool(_LOWER.match(start)) for start in latin) >= 0.4 * len(latin)


def _flows(lines: Sequence[_Line], wraps: Sequence[_Wrap]) -> bool:
    """Whether sentences of the wrapped text end anywhere in a line, so that one that fills its line is no evidence
    for a paragraph's end; in text with one sentence a line it is."""
    wrapped = [lines[number] for wrap in wraps for number in range(wrap.first, wrap.last + 1)]
    inner = sum(len(_INNER_END.findall(line.text)) for line in wrapped)
    return inner > 0.5 * sum(not line.unfinished for line in wrapped)


def _judge_run(
    lines: Sequence[_Line], run: range, own: _Wrap | None, wraps: Sequence[_Wrap], flows: bool, follows: dict[int, int]
) -> None:
    """Enter the lines of a run that belong together into `follows`."""
    near = [own] if own else _neighbours(wraps, run.start)
    for number in run[:-1]:
        line, following = lines[number], lines[number + 1]
        if _is_dialogue(line, following):
            continue
        if _is_broken_word(line, following):
            joined = True
        elif any(_is_full(line, following, wrap, own is not None) for wrap in near):
            joined = line.unfinished or (own is not None and flows and _reach(line, following) >= own.least)
        else:
            inside = number - 1 in follows and lines[number - 1].unfinished
            joined = own is not None and line.unfinished and inside and line.width >= REST * own.width
        if joined:
            follows[number] = number + 1


def _cut_alike(lines: Sequence[_Line]) -> dict[int, int]:
    """The lines of a short Japanese text that continue on the next one, if all that do have the same number of letters:
    as many as fit a line of a grid, where headings between them hide that its paragraphs are wrapped."""
    pairs = [
        (number, line)
        for number, line in enumerate(lines[:-1])
        if line.kind is _Kind.PROSE and line.unfinished and lines[number + 1].kind is _Kind.PROSE
    ]
    longest = max((len(line.text) for line in lines if line.kind is _Kind.PROSE), default=0)
    cut = [(number, line) for number, line in pairs if len(line.text) == longest and _JAPANESE.search(line.text)]
    others = sum(len(line.text) > REST * longest for _, line in pairs) - len(cut)
    commas = sum(line.text[-1] in "、，" for _, line in cut)
    if len(cut) < ALIKE or longest < NARROWEST or others or commas > COMMAS * len(cut):
        return {}
    if sum(len(_PUNCTUATION.findall(line.text)) for _, line in cut) < len(cut) / 2:
        return {}
    return {number: number + 1 for number, _ in cut if lines[number + 1].text[0] != "\u3000"}


def _neighbours(wraps: Sequence[_Wrap], number: int) -> list[_Wrap]:
    """The last wrapped run that begins before a line (or with it) and the first that begins after it."""
    index = bisect(wraps, number, key=_first)
    return [*wraps[max(0, index - 1) : index], *wraps[index : index + 1]]


def _first(wrap: _Wrap) -> int:
    return wrap.first


def _is_full(line: _Line, following: _Line, wrap: _Wrap, own: bool) -> bool:
    most = 1.25 if own else 1.1
    return _reach(line, following) > (1 - SLACK) * wrap.width and line.width <= most * wrap.width


def _is_broken_word(line: _Line, following: _Line) -> bool:
    """A hyphen after a letter and a small letter on the next line: sure enough to need no column."""
    return bool(_BROKEN_WORD.search(line.text) and _LOWER.match(following.text.lstrip()))


def _is_dialogue(line: _Line, following: _Line) -> bool:
    """Whether each of the lines is what somebody says, and not a list of quoted words in a sentence."""
    mark = line.text.lstrip()[0]
    return (
        mark in _QUOTES
        and following.text.lstrip()[0] == mark
        and line.text[-1] in '」』”"'
        and line.text.count(mark) == (2 if mark == '"' else 1)
    )


def _judge_pages(lines: Sequence[_Line], wraps: Sequence[_Wrap], follows: dict[int, int]) -> None:
    """Enter the lines at pages' ends whose sentence continues on the next page into `follows`."""
    before: int | None = None
    crossed = False
    for number, line in enumerate(lines):
        if line.kind is _Kind.PAGE:
            crossed = True
        elif line.kind is not _Kind.BLANK and not _NOTE.match(line.text):
            if crossed and before is not None and _crosses(lines, before, number, wraps):
                follows[before] = number
            before, crossed = number, False


def _crosses(lines: Sequence[_Line], before: int, after: int, wraps: Sequence[_Wrap]) -> bool:
    line, following = lines[before], lines[after]
    if line.kind not in (_Kind.PROSE, _Kind.ITEM) or following.kind is not _Kind.PROSE or not line.unfinished:
        return False
    if following.text[0] == "\u3000" or _is_dialogue(line, following):
        return False
    if _is_broken_word(line, following):
        return True
    if wraps:
        return any(_is_full(line, following, wrap, False) for wrap in _neighbours(wraps, before))
    start = following.text.lstrip()[0]
    return (
        line.width >= LONG and bool(_GOES_ON.search(line.text)) and bool(_LOWER.match(start) or _JAPANESE.match(start))
    )


def _assembled(lines: Sequence[_Line], follows: dict[int, int], joiner: Joiner) -> str:
    """The text with lines joined, and a blank line for each page mark that is left."""
    written: list[list[str]] = []
    """A line each, in the pieces it is made of."""
    notes: list[list[str]] = []
    """Those within the paragraph that is being put together."""
    next_line = 0
    page = False
    for number, line in enumerate([*lines, _Line("", _Kind.BLANK)]):
        if number < next_line:
            notes += [[line.text]] * bool(_NOTE.match(line.text))
            continue
        if notes and number != next_line:
            written += [[""], *notes, *[[""]] * bool(line.text)]
            notes = []
        if number == len(lines):
            break
        if line.kind is _Kind.PAGE:
            page = True
            while written and written[-1] == [""]:
                written.pop()
        elif number == next_line and number:
            left, right = joiner.seam(written[-1][-1], line.text)
            written[-1][-1:] = [left, right]
        elif not page or line.text:
            if page and written:
                written.append([""])
            written.append([line.text])
        page = page and not line.text
        next_line = follows.get(number, 0)
    return "\n".join("".join(pieces) for pieces in written)
