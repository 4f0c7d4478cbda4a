"""The list of references: out of the text, which it would fill with names and years, and kept apart entry by entry.

A list is a heading that says so, alone on its line, and what follows it up to the next heading, provided that it reads
like references: two entries or more, most of them with a year, an address or a number in brackets. What comes after the
last entry and does not read like one stays in the text. Numbers stay with their entries, since the text cites by them;
bullets go. Entries are told apart by numbers or bullets, else by blank lines, else by indentation, else by how an entry
begins and ends; where none of it shows, an entry can come out in pieces or two as one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from nemo_kcpt.cleaning.changed import Changed
from nemo_kcpt.cleaning.headings import known_name, markdown_heading, numbered_heading
from nemo_kcpt.cleaning.joining import Joiner
from nemo_kcpt.cleaning.line_kinds import ends_sentence
from nemo_kcpt.cleaning.regions import lines_of
from nemo_kcpt.cleaning.scripts import JAPANESE

_NAMES = """
参考文献 引用文献 参照文献 主要参考文献 引用・参考文献 参考・引用文献 引用参考文献 参考文献一覧 文献 文献一覧 文献リスト
references reference bibliography workscited literaturecited referencescited referencesandnotes selectedbibliography
"""
NAMES = frozenset(_NAMES.split())
"""Headings of such lists, without white space and in lower case."""
LONGEST = 1200
"""Characters of an entry at most; what is longer is none."""
SHARE = 0.6
"""Share of the entries that must read like references."""
FEWEST = 2
"""Entries of a list."""

_HINTS = ("文献", "eference", "EFERENCE", "ibliograph", "IBLIOGRAPH", "orks", "WORKS", "iterature", "LITERATURE")
_DECORATION = "【】〔〕［］[]＜＞<>〈〉《》■□◆◇●○▼▽*_:： \t\u3000"
_ENDS = re.compile(
    r"[ \t\u3000]*(?i:付録|補遺|Appendix|(?:著者)?略歴|著者紹介|質疑|Acknowledge?ments?|About the authors?)(?!.*\d{4})"
    r"|[A-H](?:\.\d)?[.．]?[ \u3000]+[^\s,，.．]{2}[^,，.．]{0,50}$"
)
"""What begins a section after the list, besides the usual headings."""
_UNDERLINE = re.compile(r" {0,3}[=-]{2,}$")
_BRACKETED = re.compile(
    r"[ \t\u3000]*[\[［(（【][ ]?(?:(\d{1,3})|[^\W\d][^\]］()（）\n]{0,40}?\d{2,4}[a-z]?)[ ]?[\]］)）】]"
)
_NUMBERED = re.compile(r"[ \t\u3000]*(\d{1,3})(?:[.．)）](?!\d)|[ \t\u3000]{2,})")
_BULLET = re.compile(r"[ \t\u3000]*(?:[-*+–][ \t\u3000]+|[・•●○■◆▪‣][ \t\u3000]*)")
_YEAR = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_EVIDENCE = re.compile(
    r"(?<!\d)(?:1[89]|20)\d\d(?!\d)|https?://|doi[:. ]|arXiv|\bpp?\. ?\d|\bvol\. ?\d|\bet al|Proceedings|Proc\.|Journal"
    r"|論文誌|論文集|出版|書店|書房|学会|紀要|\bed[s.]|平成|昭和|大正|明治|ISBN",
    re.I,
)
_AUTHOR = re.compile(
    f"[A-ZÀ-Þ][^\\s]*,? (?:[^\n]{{0,60}}?[,&]| ?and |et al)|"
    f"[{JAPANESE}]{{1,8}}[ ]?[{JAPANESE}]{{0,8}}[,，、・:：(（.．]"
)
_NO_AUTHOR = re.compile(
    r"(?:In|Proceedings|Association|International|Proc|Journal|arXiv|Vol|Springer|ACM|IEEE|PMLR|Curran)\b"
)


def references(text: str) -> Changed:
    """Take the list of references out of the text and keep its entries apart."""
    entries: list[str] = []
    while any(hint in text for hint in _HINTS):
        rest, taken = _take_lists(text)
        if not taken:
            break
        text, entries = rest, entries + taken
    return Changed(text, len(entries), tuple(entries))


def _take_lists(text: str) -> tuple[str, list[str]]:
    """The text without its lists of references, and the entries of those lists."""
    all_lines = lines_of(text.replace("\f", "\n\f\n"))
    lines = [line.text for line in all_lines]
    protected = [line.protected for line in all_lines]
    joiner = Joiner(text)
    kept: list[str] = []
    entries: list[str] = []
    start = number = 0
    while number < len(lines):
        if len(lines[number]) <= 60 and not protected[number] and is_list_heading(lines[number]):
            first = number + 1
            if first < len(lines) and _UNDERLINE.match(lines[first]):
                first += 1
            if entry_lines := _entries(lines, _body(lines, protected, first)):
                entries += [_joined(lines, entry, joiner) for entry in entry_lines]
                kept.append("\n".join(lines[start:number]))
                start = number = entry_lines[-1][-1] + 1
                continue
        number += 1
    kept.append("\n".join(lines[start:]))
    return _assembled(kept), entries


def _assembled(parts: Sequence[str]) -> str:
    """What is left of the text, with a blank line where a list was."""
    if len(parts) == 1:
        return parts[0].replace("\n\f\n", "\f")
    first, *middle, last = (part.replace("\n\f\n", "\f") for part in parts)
    bare = [first.rstrip("\n\f"), *(part.strip("\n\f") for part in middle), last.lstrip("\n\f")]
    return "\n\n".join(part for part in bare if part.strip())


def is_list_heading(line: str) -> bool:
    """Whether a line is nothing but the heading of a list of references, numbered or marked up or not."""
    heading, numbered = markdown_heading(line), numbered_heading(line)
    title = heading[1] if heading else line
    if inner := numbered_heading(title) or numbered:
        title = inner.title
    name = unicodedata.normalize("NFKC", title).strip(_DECORATION)
    return re.sub(r"[ \t\u3000]+", "", name).lower() in NAMES


def _body(lines: Sequence[str], protected: Sequence[bool], first: int) -> range:
    """The lines from `first` to the next heading."""
    digits = None
    for number in range(first, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if digits is None:
            digits = bool(_NUMBERED.match(line))
        if (
            protected[number]
            or markdown_heading(line)
            or is_list_heading(line)
            or known_name(line)
            or _ENDS.match(line)
        ):
            return range(first, number)
        numbered = numbered_heading(line)
        if numbered and (numbered.style not in ("1", "1.") or (not digits and not _EVIDENCE.search(line))):
            return range(first, number)
    return range(first, len(lines))


def _entries(lines: Sequence[str], body: range) -> list[list[int]]:
    """The numbers of the lines of each entry, or nothing if the body is no list of references."""
    filled = [number for number in body if lines[number].strip()]
    if not filled:
        return []
    bracketed = _BRACKETED.match(lines[filled[0]])
    if bracketed or _NUMBERED.match(lines[filled[0]]) or _BULLET.match(lines[filled[0]]):
        entries = list(_marked(lines, filled))
        entries[-1] = _without_tail(lines, entries[-1])
    else:
        entries = [entry for block in _blocks(lines, filled) for entry in _split(lines, block)]
        while entries and not _is_like_reference(lines, entries[-1]):
            entries.pop()
    for number, entry in enumerate(entries):
        if sum(len(lines[line]) for line in entry) > LONGEST:
            entries = entries[:number]
            break
    likely = sum(_is_like_reference(lines, entry, bool(bracketed)) for entry in entries)
    return entries if len(entries) >= FEWEST and likely >= SHARE * len(entries) else []


def _is_like_reference(lines: Sequence[str], entry: Sequence[int], bracketed: bool = False) -> bool:
    text = " ".join(lines[number] for number in entry)
    return len(text) > 10 and (bracketed or bool(_EVIDENCE.search(text)))


def _marked(lines: Sequence[str], filled: Sequence[int]) -> Iterator[list[int]]:
    """Entries that begin with a number in brackets, a number, or a bullet; numbers must go up by one."""
    first = lines[filled[0]]
    pattern = next(pattern for pattern in (_BRACKETED, _NUMBERED, _BULLET) if pattern.match(first))
    entry: list[int] = []
    last: int | None = None
    indent = _indent(first)
    for number in filled:
        match = pattern.match(lines[number])
        begins = match is not None
        if match and pattern is _BULLET:
            begins = _indent(lines[number]) <= indent
        elif match and match[1]:
            begins = last is None or int(match[1]) == last + 1
            last = int(match[1]) if begins else last
        if begins and entry:
            yield entry
            entry = []
        entry.append(number)
    yield entry


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t\u3000"))


def _without_tail(lines: Sequence[str], entry: list[int]) -> list[int]:
    """The last entry without what follows it after a blank line and is no part of it."""
    for index in range(1, len(entry)):
        gap = lines[entry[index - 1] + 1 : entry[index]]
        if gap and not (any("\f" in line for line in gap) and not ends_sentence(lines[entry[index - 1]])):
            return entry[:index]
    return entry


def _blocks(lines: Sequence[str], filled: Sequence[int]) -> list[list[int]]:
    """Lines between blank ones; a page's end in the middle of a sentence does not divide."""
    blocks: list[list[int]] = []
    for number in filled:
        gap = lines[blocks[-1][-1] + 1 : number] if blocks else []
        within_sentence = blocks and "\f" in "".join(gap) and not ends_sentence(lines[blocks[-1][-1]])
        if blocks and (not gap or within_sentence):
            blocks[-1].append(number)
        else:
            blocks.append([number])
    return blocks


def _split(lines: Sequence[str], block: list[int]) -> Iterator[list[int]]:
    """The entries of a block without blank lines: by indentation, or by how an entry begins and ends."""
    indents = [_indent(lines[number]) for number in block]
    hanging = len(set(indents)) > 1 and indents[0] == min(indents)
    entry: list[int] = []
    seen = ""
    for number, indent in zip(block, indents):
        begins = indent == indents[0] if hanging else _begins_entry(lines[number], seen)
        if entry and begins:
            yield entry
            entry, seen = [], ""
        entry.append(number)
        seen = f"{seen} {lines[number]}"[-LONGEST:]
    yield entry


def _begins_entry(line: str, before: str) -> bool:
    """Whether an entry begins with the line, `before` being the one so far."""
    closed = ends_sentence(before) or bool(re.search(r"(?:https?://|doi)\S*$|\d\)?$", before[-200:]))
    complete = closed and bool(_YEAR.search(before) or "http" in before)
    bare = line.strip()
    return complete and not _NO_AUTHOR.match(bare) and bool(_AUTHOR.match(bare) or _YEAR.search(bare[:120]))


def _joined(lines: Sequence[str], entry: Sequence[int], joiner: Joiner) -> str:
    text = ""
    for number in entry:
        text = joiner.join(text, lines[number].strip())
    return _BULLET.sub("", text, count=1) if _BULLET.match(text) else text
