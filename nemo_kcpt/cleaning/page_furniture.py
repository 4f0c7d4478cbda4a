"""Page headers, footers and page numbers: what belongs to the paper it was printed on.

With page marks (form feeds), evidence is recurrence: a line that is at the top or the bottom of several pages,
digits aside, and whose digits, if they change, go up with the pages. Without page marks, only forms that are nothing
but a page number are taken, and bare numbers only as a run through the document that looks like pages and not like
chapters. Two pages show little by what recurs: of them those lines go that part a sentence or a number. In doubt a line
stays: one too many is noise, one too few is lost. A running title stays where it stands first if that is the top of the
first page, for there it may be the title itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from nemo_kcpt.cleaning.changed import Changed
from nemo_kcpt.cleaning.headings import known_name, looks_like_heading, markdown_heading
from nemo_kcpt.cleaning.line_kinds import cells, ends_sentence, is_item, is_table_row
from nemo_kcpt.cleaning.regions import lines_of
from nemo_kcpt.cleaning.scripts import JAPANESE

ZONE = 4
"""Lines at the top and at the bottom of a page among which furniture is looked for."""
PAGES = 3
"""Pages on which a line must be at least."""
SHARE = 0.3
"""Share of all pages; headers that alternate between left and right pages stand on half of them."""
SHARE_OF_RUN = 0.4
"""Share of the pages from the first to the last with the line: a chapter's running title, which needs `PAGES` + 1."""
ROUNDS = 10
"""Times the search is repeated, since what furniture hid can be furniture too; real documents need two."""

TITLE = 10
"""Letters of a running title that has a number of its own ("Report on …, edition 2"); a date with a word has fewer."""
_DASH = "[-‐-―−─━ー–—~〜～・·•*]"
_DASHED = re.compile(rf"(?:{_DASH}{{1,3}}\s*(\d{{1,5}})\s*{_DASH}{{1,3}}|<\s*(\d{{1,5}})\s*>)$")
_PAGE = re.compile(
    r"(?:(?:page|p\.?|ページ|頁)\s?(\d{1,5})(?:\s?(?:of|/|／|の)\s?\d{1,5})?|(\d{1,5})\s?(?:[/／]\s?\d{1,5}\s?)?(?:ページ|頁|pages?))$",
    re.I,
)
_OF_TOTAL = re.compile(r"(\d{1,4})\s?[/／]\s?(\d{1,4})$")
_BARE = re.compile(r"(\d{1,4})$")
_ROMAN = re.compile(r"[ivxl]{1,7}$", re.I)
_PROCEEDINGS = re.compile(
    r"言語処理学会\s?第\s?\d{1,3}\s?回\s?年次大会\s?発表論文集\s?(?:[(（]?\d{4}\s?年\s?\d{1,2}\s?月[)）]?)?$"
)
_COPYRIGHT = re.compile(r"(?:copyright|©|\(c\)|this work is licensed|all rights reserved)", re.I)
_LABEL = re.compile(
    r"(?:第\d+[章節部回問課話]|(?:図|表|問題?|例題?|ステップ|課題|step|chapter|section|question|exercise|figure|fig|table|part|"
    r"lesson|unit|day|slide|task|version|ver)\W{0,2}\d+)",
    re.I,
)
"""Numbered things that are no pages, though one may be at the top of each."""
_CONTINUES = re.compile(f"[{JAPANESE}a-z、，,]$")
_CONTINUED = re.compile(f"[{JAPANESE}a-z]")
_NUMBER_ENDS = re.compile(f"[{JAPANESE}、，][0-9０-９][0-9０-９,.，．]*$")
_NUMBER_GOES_ON = re.compile(f"[0-9０-９][0-9０-９,.，．]*[{JAPANESE}%％]")
_NOTE = re.compile(r"\[\^[^\]\s]{1,6}\]: ")
"""A note at the foot of a page, over which a sentence may go on."""


def page_furniture(text: str) -> Changed:
    """Remove page headers, footers and page numbers; headings, list items and table rows stay."""
    count = 0
    for _ in range(ROUNDS):
        taken = _take_from_pages(text) if "\f" in text else Changed(text, 0)
        alone = _take_lone_lines(taken.text)
        if not taken.count + alone.count:
            break
        text, count = alone.text, count + taken.count + alone.count
    return Changed(text, count)


class _Edge(NamedTuple):
    """A line at the top or the bottom of a page."""

    page: int
    line: int
    depth: int
    """0 for the outermost."""
    text: str
    key: str
    numbers: tuple[int, ...]


def _take_from_pages(text: str) -> Changed:
    """Remove the lines that recur at the tops and bottoms of pages."""
    pages = [page.split("\n") for page in text.split("\f")]
    if len(pages) < PAGES:
        return _take_between(text, *pages) if len(pages) == 2 else Changed(text, 0)
    taken: list[set[int]] = [set() for _ in pages]
    for top in (True, False):
        edges = [edge for number, lines in enumerate(pages) for edge in _edges(number, lines, top)]
        recurring = _recurring(edges, len(pages), top)
        by_page: dict[int, list[_Edge]] = defaultdict(list)
        for edge in edges:
            by_page[edge.page].append(edge)
        for number, of_page in by_page.items():
            depth = 0
            while depth < len(of_page) and (number, of_page[depth].line) in recurring:
                depth += 1
            if depth < ZONE:  # as many lines or more: the page is a form that repeats, not furniture
                taken[number].update(edge.line for edge in of_page[:depth])
    filled = [sum(bool(line.strip()) for line in lines) for lines in pages]
    emptied = sum(0 < lines == len(lost) for lines, lost in zip(filled, taken))
    if 2 * emptied > sum(map(bool, filled)):
        return Changed(text, 0)
    kept = []
    for lines, lost in zip(pages, taken):
        page = "\n".join(line for number, line in enumerate(lines) if number not in lost)
        kept.append(page.strip("\n") if lost else page)
    return Changed("\f".join(kept), sum(map(len, taken)))


def _take_between(text: str, first: list[str], second: list[str]) -> Changed:
    """Remove what two pages share at their edges, if it parts a sentence that goes on on the second page."""
    feet = _shared(list(_edges(0, first, False)), list(_edges(1, second, False)))
    heads = _shared(list(_edges(0, first, True)), list(_edges(1, second, True)))
    lost: list[set[int]] = [{edge.line for edge, _ in feet}, {other.line for _, other in [*feet, *heads]}]
    rest = [
        [line for number, line in enumerate(page) if line.strip() and number not in gone]
        for page, gone in zip((first, second), lost)
    ]
    before = next((line for line in reversed(rest[0]) if not _NOTE.match(line)), "")
    if not (feet or heads) or not rest[1] or not (_goes_on([before, rest[1][0]], 1, 0) or _parted(before, rest[1][0])):
        return Changed(text, 0)
    lost[0].update(edge.line for edge, _ in heads if not _is_titled(edge))
    kept = [
        "\n".join(line for number, line in enumerate(page) if number not in gone).strip("\n")
        for page, gone in zip((first, second), lost)
    ]
    return Changed("\f".join(kept), sum(map(len, lost)))


def _shared(left: Sequence[_Edge], right: Sequence[_Edge]) -> list[tuple[_Edge, _Edge]]:
    """The outermost lines that two pages share; numbers in them stay, or go up by one. None if all at the edge do."""
    shared: list[tuple[_Edge, _Edge]] = []
    for first, second in zip(left, right):
        steps = {after - before for before, after in zip(first.numbers, second.numbers)}
        if first.key != second.key or steps - {0, 1} or _is_content(first.text):
            return shared
        shared.append((first, second))
    return []


def _parted(before: str, after: str) -> bool:
    """Whether a number in a Japanese sentence begins on one line and goes on on the next."""
    return bool(len(before) >= 15 and _NUMBER_ENDS.search(before.rstrip()) and _NUMBER_GOES_ON.match(after))


def _edges(page: int, lines: Sequence[str], top: bool) -> Iterator[_Edge]:
    order = range(len(lines)) if top else range(len(lines) - 1, -1, -1)
    depth = 0
    for number in order:
        if not lines[number].strip():
            continue
        plain = _plain(lines[number])
        if _ROMAN.match(plain):
            figures: tuple[int, ...] = (_roman(plain),)
            key = "\0roman"
        else:
            figures = tuple(map(int, re.findall(r"\d{1,9}", plain)))
            key = re.sub(r"\d{1,9}|\s", _zero, plain).lower()
        yield _Edge(page, number, depth, plain, key, figures)
        depth += 1
        if depth == ZONE:
            return


def _zero(match: re.Match[str]) -> str:
    return "" if match[0].isspace() else "0"


def _plain(line: str) -> str:
    return unicodedata.normalize("NFKC", line[:400]).strip()


def _roman(number: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50}[figure] for figure in number.lower()]
    return sum(-left if left < right else left for left, right in zip(values, [*values[1:], 0]))


def _recurring(edges: Sequence[_Edge], pages: int, top: bool) -> set[tuple[int, int]]:
    """Page and line of those edges that are furniture."""
    groups: dict[str, list[_Edge]] = defaultdict(list)
    for edge in edges:
        groups[edge.key].append(edge)
    recurring: set[tuple[int, int]] = set()
    for group in groups.values():
        if len(group) < PAGES or _is_content(group[0].text):
            continue
        group = _in_step(group)
        where = sorted({edge.page for edge in group})
        if len(where) < PAGES:
            continue
        share, share_of_run = len(where) / pages, len(where) / (where[-1] - where[0] + 1)
        if share < SHARE and (len(where) <= PAGES or share_of_run < SHARE_OF_RUN):
            continue
        same = len({edge.numbers for edge in group}) == 1
        if top and where[0] == 0 and _is_titled(group[0], same) and not _COPYRIGHT.search(group[0].text):
            group = [edge for edge in group if edge.page != 0]
        recurring.update((edge.page, edge.line) for edge in group)
    return recurring


def _is_titled(edge: _Edge, same: bool = True) -> bool:
    """Whether a running head may be the title; `same` says that it has the same numbers wherever it stands."""
    return (same and sum(map(str.isalpha, edge.key)) >= TITLE) or ("0" not in edge.key and len(edge.key) > 3)


def _is_content(line: str) -> bool:
    """Whether a line may recur and still be what the document says: a heading's form, a list item, a table's head."""
    if _DASHED.match(line) or _PAGE.match(line) or _BARE.match(line) or _OF_TOTAL.match(line):
        return False
    if markdown_heading(line) or known_name(line) or _LABEL.match(line) or line.count("|") > 1:
        return True
    numbered = any(map(str.isdigit, line))
    return (is_item(line) and not numbered) or (is_table_row(line) and not numbered) or cells(line) > 3


def _in_step(group: list[_Edge]) -> list[_Edge]:
    """Those of the lines whose numbers stay the same, or grow by one a page; none if the numbers do neither."""
    for index in range(min(len(edge.numbers) for edge in group)):
        if len({edge.numbers[index] for edge in group}) == 1:
            continue
        offsets = Counter(edge.numbers[index] - edge.page for edge in group)
        offset, often = offsets.most_common(1)[0]
        if often < PAGES or often < 0.6 * len(group):
            return []
        group = [edge for edge in group if edge.numbers[index] - edge.page == offset]
    return group


class _Lone(NamedTuple):
    """A line that may be a page number, where there are no page marks to tell."""

    line: int
    kind: str
    number: int
    total: int
    isolated: bool


def _take_lone_lines(text: str) -> Changed:
    """Remove lines that are nothing but a page number or a line of proceedings."""
    lines = text.split("\n")
    folded = text.lower()
    notices = any(
        word in folded for word in ("発表論文集", "copyright", "©", "(c)", "this work is licensed", "all rights")
    )
    candidates = list(_lone(lines, 160 if notices else 24))
    if not candidates:
        return Changed(text, 0)
    protected = [line.protected for line in lines_of(text)]
    candidates = [candidate for candidate in candidates if not protected[candidate.line]]
    taken = set(_accepted(candidates, lines))
    if not taken:
        return Changed(text, 0)
    return Changed("\n".join(_without(lines, taken)), len(taken))


def _lone(lines: Sequence[str], longest: int) -> Iterator[_Lone]:
    for number, line in enumerate(lines):
        if not 0 < len(line) <= longest:
            continue
        bare = line.strip(" \t\u3000\f")
        if len(bare) <= 24:
            if not any(map(str.isdigit, bare)):
                continue
        elif not ("発表論文集" in bare or _COPYRIGHT.search(bare)):
            continue
        plain = unicodedata.normalize("NFKC", bare)
        isolated = _is_blank(lines, number - 1) and _is_blank(lines, number + 1)
        if match := _DASHED.match(plain):
            yield _Lone(number, "dashed", int(match[1] or match[2]), 0, isolated)
        elif match := _PAGE.match(plain):
            yield _Lone(number, "page", int(match[1] or match[2]), 0, isolated)
        elif match := _OF_TOTAL.match(plain):
            yield _Lone(number, "of", int(match[1]), int(match[2]), isolated)
        elif match := _BARE.match(plain):
            yield _Lone(number, "bare", int(match[1]), 0, isolated)
        elif _PROCEEDINGS.match(plain):
            yield _Lone(number, "proceedings", 0, 0, isolated)
        elif _COPYRIGHT.search(plain) and len(plain) > 24:
            numbered = _DASHED.match(plain.split("  ")[0]) or re.match(rf"{_DASH}\s?\d{{1,5}}\s?{_DASH}\s", plain)
            yield _Lone(number, "numbered copyright" if numbered else "copyright " + plain, 0, 0, isolated)


def _is_blank(lines: Sequence[str], number: int) -> bool:
    return not 0 <= number < len(lines) or not lines[number].strip()


def _accepted(candidates: Sequence[_Lone], lines: Sequence[str]) -> Iterator[int]:
    """Numbers of the lines that are furniture."""
    kinds: dict[str, list[_Lone]] = defaultdict(list)
    for candidate in candidates:
        kinds[candidate.kind].append(candidate)
    for kind, group in kinds.items():
        isolated = [member for member in group if member.isolated]
        if kind in ("proceedings", "numbered copyright") or (kind.startswith("copyright") and len(group) > 1):
            yield from (member.line for member in group)
        elif kind in ("dashed", "page"):
            yield from (member.line for member in (group if len(group) > 1 and _ascends(group) else isolated))
        elif kind == "of":
            totals = Counter(member.total for member in isolated)
            for total in totals:
                same = [member for member in isolated if member.total == total]
                # Dates and scores look the same, but then there are others with another number after the bar.
                if (
                    all(member.number <= total for member in same)
                    and _ascends(same)
                    and (len(totals) == 1 or len(same) > 1)
                ):
                    yield from (member.line for member in same)
        elif kind == "bare":
            yield from _page_run(isolated, lines)


def _ascends(group: Sequence[_Lone]) -> bool:
    return all(left.number < right.number for left, right in pairwise(group))


def _page_run(group: Sequence[_Lone], lines: Sequence[str]) -> list[int]:
    """Bare numbers that go up with text between them, if they look like pages and not like numbers of chapters.

    Pages end where the paper ends, chapters where a sentence does: a number in the middle of a sentence, one at the
    document's very end or a run that does not begin with 1 speaks for pages.
    """
    if len(group) < PAGES or not all(0 < right.number - left.number <= 3 for left, right in pairwise(group)):
        return []
    if any(sum(len(line) for line in lines[left.line + 1 : right.line]) < 20 for left, right in pairwise(group)):
        return []
    last = not any(line.strip() for line in lines[group[-1].line + 1 :])
    broken = any(_goes_on(lines, member.line, member.line) for member in group)
    return [member.line for member in group] if last or broken or group[0].number > 1 else []


def _goes_on(lines: Sequence[str], first: int, last: int) -> bool:
    """Whether the sentence before line `first` continues after line `last`, blank lines aside."""
    before = next((lines[number] for number in range(first - 1, -1, -1) if lines[number].strip()), "")
    after = next((lines[number] for number in range(last + 1, len(lines)) if lines[number].strip()), "")
    return bool(
        len(before) >= 15
        and not ends_sentence(before)
        and _CONTINUES.search(before.rstrip())
        and _CONTINUED.match(after)
        and not is_item(after)
        and not looks_like_heading(after)
        and not looks_like_heading(before)
    )


def _without(lines: Sequence[str], taken: set[int]) -> list[str]:
    """`lines` without those taken and the blank lines that only set them apart; page marks in them stay."""
    lost = set(taken)
    last = -1
    for number in sorted(taken):
        if number <= last:
            continue
        first = last = number
        while first > 0 and not lines[first - 1].strip():
            first -= 1
        while last + 1 < len(lines) and (last + 1 in taken or not lines[last + 1].strip()):
            last += 1
        blanks = [other for other in range(first, last + 1) if other not in taken]
        inner = first > 0 and last + 1 < len(lines)
        keep_one = inner and blanks and not _goes_on(lines, first, last)
        lost.update(blanks[1:] if keep_one else blanks)
    marks = ["\f" * line.count("\f") if number in lost else line for number, line in enumerate(lines)]
    return [line for number, line in enumerate(marks) if line or number not in lost]
