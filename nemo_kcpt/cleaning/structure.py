"""Titles and sections, found by their form alone: no font sizes are left in a text.

Markdown headings are certain and, where there are two or more, the only ones. In other text a numbered line counts as
a heading only together with others that go up with it and have text between them, and the way of numbering that makes
the best sequence wins over the lists that look like it; names that everybody uses ("はじめに", "References") count
alone. What is found is meant for statistics and for choosing passages; a section missed is merged with the one before
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from nemo_kcpt.cleaning.generic_titles import is_generic
from nemo_kcpt.cleaning.headings import Numbered, known_name, markdown_heading, numbered_heading
from nemo_kcpt.cleaning.line_kinds import ends_sentence, is_fixed, is_item
from nemo_kcpt.cleaning.regions import Line, lines_of
from nemo_kcpt.cleaning.scripts import SENTENCE_END, display_width
from nemo_kcpt.text.front_matter import split

WIDEST_TITLE = 100
"""Columns of a title in a text without Markdown."""
TITLE_LINES = 8
"""Lines at the beginning among which it is looked for."""
BEGINNING = 5000
"""Characters in which a title without Markdown must begin."""

_MAYBE_MARKDOWN = re.compile(r"(?:^|\n) {0,3}(?:#|=|-{3})")
_STYLES = ("第章", "Ⅰ", "Ⅰ.", "1", "1.", "第部", "第編")
_UNDERLINE = re.compile(r" {0,3}(=+|-{3,})[ \t]*$")
_FURNITURE = re.compile(
    r"\W*\d*\W*$|\W*(?:page|p\.|第?\s*\d+\s*(?:ページ|頁))|https?://|www\.|doi[: ]|\d{4}\s*[年/.-]\s*\d{1,2}"
    r"|(?:copyright|©|\(c\))|.*(?:発表論文集|all rights reserved|proceedings of|研究報告|vol\.\s*\d|\S@\S)",
    re.I,
)
_LETTER = re.compile(r"[^\W\d_]")


class _Found(NamedTuple):
    line: int
    level: int
    title: str


def find_title(text: str) -> str:
    """The front matter's title, else the first Markdown heading outside code, else the first line that reads like a
    title, else "".

    A heading below the first level that everybody uses ("## Overview") is a section's: such a text has no title.
    """
    front = split(text)
    if front.title:
        return front.title
    if _MAYBE_MARKDOWN.search(text):
        for heading in _markdown(lines_of(text), front.lines):
            return heading.title if heading.level == 1 or not is_generic(heading.title) else ""
    lines = lines_of(text[:BEGINNING])
    start = min(front.lines, len(lines))
    filled = [number for number in range(start, len(lines)) if lines[number].text.strip()][: TITLE_LINES + 1]
    for number, following in pairwise(filled):
        line = lines[number].text.strip()
        if not _FURNITURE.match(line):
            alone = following > number + 1
            good = not lines[number].protected and _reads_like_title(line, "" if alone else lines[following].text)
            return line if good else ""
    return ""


def find_sections(text: str) -> list[dict[str, Any]]:
    """The headings of a text in order: `title`, `level` from 1, and `start`, the offset of the heading's line."""
    lines = lines_of(text)
    headings = list(_markdown(lines, split(text).lines))
    if len(headings) < 2:
        taken = {heading.line for heading in headings}
        others = (heading for heading in _plain(lines, bool(headings)) if heading.line not in taken)
        headings = sorted([*headings, *others])
    return [
        {"title": heading.title, "level": heading.level, "start": lines[heading.line].start} for heading in headings
    ]


def _markdown(lines: Sequence[Line], start: int) -> Iterator[_Found]:
    """Headings with number signs or underlined, from the line numbered `start` on."""
    for number in range(start, len(lines)):
        line = lines[number]
        if line.protected:
            continue
        if heading := markdown_heading(line.text):
            yield _Found(number, *heading)
        elif (rule := _UNDERLINE.match(line.text)) and number > start and _can_be_underlined(lines, number - 1, start):
            yield _Found(number - 1, 1 if rule[1][0] == "=" else 2, lines[number - 1].text.strip())


def _can_be_underlined(lines: Sequence[Line], number: int, start: int) -> bool:
    """Whether a rule after the line makes it a heading: a paragraph of one line, short and unfinished."""
    line = lines[number]
    alone = number == start or not lines[number - 1].text.strip()
    text = line.text
    return (
        alone
        and not line.protected
        and bool(_LETTER.search(text))
        and display_width(text) <= WIDEST_TITLE
        and not (ends_sentence(text) or is_fixed(text) or is_item(text) or markdown_heading(text))
    )


def _reads_like_title(line: str, following: str) -> bool:
    """Whether the first line of a text is its title, and no sentence or the first line of a wrapped paragraph.

    `following` is the next line, if no blank one is between. The lines of a paragraph are about as wide as its first;
    the authors that follow a title are shorter, a paragraph on one line is longer.
    """
    width = display_width(line)
    if not 2 <= width <= WIDEST_TITLE or not _LETTER.search(line) or known_name(line) or is_fixed(line):
        return False
    if is_item(line) or numbered_heading(line) or line[-1] in f"{SENTENCE_END}、，,；;：:":
        return False
    return not following or not 0.8 * width <= display_width(following) <= 1.25 * width


def _plain(lines: Sequence[Line], markdown: bool) -> Iterator[_Found]:
    """Numbered headings and those with a well-known name, for a text without Markdown headings, or with one."""
    candidates = {
        number: numbered
        for number, line in enumerate(lines)
        if not line.protected and (numbered := numbered_heading(line.text)) and _stands_apart(lines, number)
    }
    candidates = _with_text(lines, candidates)
    yield from _appendices(lines, candidates)
    yield from _sequence(lines, candidates, markdown)
    for number, line in enumerate(lines):
        name = known_name(line.text) if not line.protected and number not in candidates else ""
        followed = name and any(other.text.strip() for other in lines[number + 1 : number + 4])
        if followed and _stands_apart(lines, number):
            yield _Found(number, 1, name)


def _stands_apart(lines: Sequence[Line], number: int) -> bool:
    """Whether the line does not continue the sentence of the line before."""
    before = lines[number - 1].text if number else ""
    return not before.strip() or ends_sentence(before) or display_width(before) < 30 or bool(numbered_heading(before))


def _with_text(lines: Sequence[Line], candidates: dict[int, Numbered]) -> dict[int, Numbered]:
    """The candidates that have text below, or a subsection that has; the items of a list have the next item."""
    good: dict[int, Numbered] = {}
    following: int | None = None
    for number in range(len(lines) - 1, -1, -1):
        if not lines[number].text.strip():
            continue
        if number in candidates:
            own = candidates[number]
            below = candidates.get(following) if following is not None else None
            is_parent = below is not None and following in good and below.number[: len(own.number)] == own.number
            if (is_parent and below != own) or (below is None and (following is not None or known_name(own.title))):
                good[number] = own
        following = number
    return dict(sorted(good.items()))


class _Chain(NamedTuple):
    """A sequence of headings, from the last to the first."""

    score: int
    known: bool
    """Whether one of them has a well-known name."""
    line: int
    number: int
    before: _Chain | None


def _sequence(lines: Sequence[Line], candidates: dict[int, Numbered], markdown: bool) -> Iterator[_Found]:
    """The best sequence of sections with their subsections."""
    styles = [style for style in _STYLES if not (markdown and style == "1.")]  # a list, in Markdown
    chains = [chain for style in styles if (chain := _best_chain(style, candidates))]
    best = max(chains, key=_score, default=None)
    tops: list[_Chain] = []
    while best:
        tops.append(best)
        best = best.before
    tops.reverse()
    lines_of_tops = {top.line: top.number for top in tops}
    last: tuple[int, ...] = ()
    for line, candidate in candidates.items():
        if line in lines_of_tops:
            last = (lines_of_tops[line], 0)
            yield _Found(line, 1, lines[line].text.strip())
        elif last:
            number = (last[0], *candidate.number) if candidate.style == "第節" else candidate.number
            if len(number) > 1 and _comes_after(last, number):
                last = number
                yield _Found(line, len(number), lines[line].text.strip())


def _best_chain(style: str, candidates: dict[int, Numbered]) -> _Chain | None:
    """The sequence with the most headings that go up by one, or leave one out; the later of equal ones.

    A table of contents precedes the text and is dropped that way. A few numbered lines may be anything, so two
    are only enough where the style ("第1章") or a name ("1 はじめに") speaks for sections.
    """
    ending: dict[int, _Chain] = {}
    for line, candidate in candidates.items():
        if candidate.style != style or len(candidate.number) > 1:
            continue
        number = candidate.number[0]
        before = ending.get(number - 1) or ending.get(number - 2)
        if before is None and number > 2:
            continue
        known = bool(known_name(candidate.title))
        score = 1 + known + (before.score if before else 0)
        if number not in ending or score >= ending[number].score:
            ending[number] = _Chain(score, known or bool(before and before.known), line, number, before)
    best = max(ending.values(), key=_score, default=None)
    if best is None:
        return None
    return best if best.score > 2 or best.known or (best.score == 2 and style not in ("1", "1.")) else None


def _score(chain: _Chain) -> int:
    return chain.score


def _comes_after(last: tuple[int, ...], number: tuple[int, ...]) -> bool:
    """Whether a subsection can follow another one: the next, the one after it, or the first of a level below."""
    depth = len(number) - 1
    same = last[:depth] == number[:depth]
    return (
        number[0] == last[0] and number > last and number[-1] <= (last[depth] if same and len(last) > depth else 0) + 2
    )


def _appendices(lines: Sequence[Line], candidates: dict[int, Numbered]) -> Iterator[_Found]:
    last: tuple[int, ...] = (0,)
    for line, candidate in candidates.items():
        if candidate.style == "付録" and candidate.number > last:
            last = candidate.number
            yield _Found(line, len(candidate.number), lines[line].text.strip())
