"""Where code and formulas are: the parts of a text that no step may touch. One pass, linear whatever the text holds.

Found are fenced and indented code, code spans in backticks, `$…$`, `$$…$$`, `\\(…\\)`, `\\[…\\]` and the mathematical
environments of LaTeX. What is open and never closed protects nothing, but for a fence, which Markdown lets run to the
end. Protecting too much costs a little cleaning, protecting too little costs content, so doubts go to protection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from nemo_kcpt.cleaning.scripts import JAPANESE

Span = tuple[int, int]
"""Start and end (exclusive), in characters."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]")
_INDENTED = re.compile(r"(?: {4}| {0,3}\t)[ \t]*\S")
_JAPANESE = re.compile(f"[{JAPANESE}]")
_ENVIRONMENTS = "equation|align|alignat|eqnarray|gather|multline|math|displaymath|verbatim|lstlisting"
_DELIMITER = re.compile(
    r"\\(?P<begin>begin|end)\{(?P<name>(?:" + _ENVIRONMENTS + r")\*?)\}"
    r"|\\(?P<bracket>[()\[\]])|\\.|(?P<ticks>`+)|(?P<dollars>\$\$?)|(?P<paragraph>\n[ \t]*\n)"
)
LONGEST = 5000
"""Characters of a displayed formula; delimiters farther apart do not belong together."""
_GATE = re.compile(r"[`$\\]|~~~|(?:^|\n)(?: {4}| {0,3}\t)")


class Line(NamedTuple):
    """A line of a text without its line end, where it starts, and whether code or a formula reaches into it."""

    text: str
    start: int
    protected: bool


@lru_cache(maxsize=4)  # the steps ask one after another about the same text
def protected_spans(text: str) -> tuple[Span, ...]:
    """Start and end of each piece of code and each formula, in order, without overlaps."""
    if not _GATE.search(text):
        return ()
    blocks = _code_blocks(text)
    spans, start = [], 0
    for block in [*blocks, (len(text), len(text))]:
        spans += [(left + start, right + start) for left, right in _inline(text[start : block[0]])]
        spans.append(block)
        start = block[1]
    return tuple(span for span in spans if span[0] < span[1])


def lines_of(text: str) -> list[Line]:
    """The lines of a text; protected are those that a code block or a formula fills or goes beyond."""
    spans = protected_spans(text)
    lines, start, index = [], 0, 0
    if not spans:
        for line in text.split("\n"):
            lines.append(Line(line, start, False))
            start += len(line) + 1
        return lines
    for line in text.split("\n"):
        end, protected, free = start + len(line), False, []
        rest = start
        while index < len(spans) and spans[index][0] < max(end, start + 1):
            left, right = spans[index]
            protected = protected or left < start or right > end
            free.append(text[rest:left])
            rest = min(right, end)
            if right > end:
                break
            index += 1
        if free and not protected:
            protected = not any(map(str.strip, [*free, text[rest:end]]))
        lines.append(Line(line, start, protected))
        start = end + 1
        if index < len(spans) and spans[index][1] <= start - 1:
            index += 1
    return lines


def outside(text: str, change: Callable[[str], str]) -> str:
    """`text` with `change` applied to what is neither code nor formula."""
    pieces, start = [], 0
    for left, right in protected_spans(text):
        pieces += [change(text[start:left]), text[left:right]]
        start = right
    return "".join([*pieces, change(text[start:])]) if pieces else change(text)


def _code_blocks(text: str) -> list[Span]:
    """Fenced and indented code."""
    blocks: list[Span] = []
    fence, opened = "", 0
    blank, in_list, indented = True, False, -1
    start = end = 0
    for line in text.split("\n"):
        last_end, end = end, start + len(line)
        match = _FENCE.match(line)
        if fence:
            if match and match[1].startswith(fence) and not match[2].strip():
                blocks.append((opened, end))
                fence = ""
        elif match and not (match[1][0] == "`" and "`" in match[2]):
            if indented >= 0:
                blocks.append((indented, last_end))
            fence, opened, indented = match[1], start, -1
        elif not line.strip():
            pass
        elif _INDENTED.match(line):
            if indented < 0 and blank and not in_list:
                indented = start
        else:
            if indented >= 0:
                blocks.append((indented, last_end))
                indented = -1
            in_list = bool(_LIST_ITEM.match(line)) or (in_list and line[0] in " \t")
        blank = not line.strip()
        start = end + 1
    if fence:
        blocks.append((opened, len(text)))
    elif indented >= 0:
        blocks.append((indented, len(text)))
    return [block for block in blocks if text[block[0]] not in " \t" or not _is_prose(text[block[0] : block[1]])]


def _is_prose(block: str) -> bool:
    """Whether an indented block is Japanese prose, as in text taken from a page with a margin, and not code."""
    letters = sum(map(str.isalnum, block))
    return len(_JAPANESE.findall(block)) > 0.6 * letters


def _inline(text: str) -> list[Span]:
    """Code spans and formulas: each opening delimiter with the next one that closes it, from left to right."""
    if not _GATE.search(text):
        return []
    delimiters, paragraph = [], 0
    for match in _DELIMITER.finditer(text):
        if match["paragraph"]:
            paragraph += 1
        elif match.lastgroup:
            kind = match["ticks"] or match["dollars"] or match["bracket"] or f"{match['begin']} {match['name']}"
            delimiters.append((kind, match.start(), match.end(), paragraph))
    partners: list[int] = []
    closing: dict[str, int] = {}
    for number in range(len(delimiters) - 1, -1, -1):
        kind, start, end, _ = delimiters[number]
        opens, closes = _roles(kind, text, start, end)
        partners.append(closing.get(opens, -1) if opens else -1)
        if closes:
            closing[closes] = number
    partners.reverse()
    spans: list[Span] = []
    free = 0
    for number, partner in enumerate(partners):
        if number < free or partner < 0:
            continue
        kind, start, end, _ = delimiters[number]
        if _belong_together(text, delimiters[number], delimiters[partner]):
            spans.append((start, delimiters[partner][2]))
            free = partner + 1
    return spans


def _roles(kind: str, text: str, start: int, end: int) -> tuple[str, str]:
    """What a delimiter opens and what it closes, "" for nothing; names are those of the opening delimiter.

    A single `$` follows Pandoc's rule, which keeps prices apart from formulas: no white space inside at either end, and
    no digit after the closing one.
    """
    if kind == "$":
        opens = not text[end : end + 1].isspace()
        closes = start > 0 and not text[start - 1].isspace() and not text[end : end + 1].isdigit()
        return kind if opens else "", kind if closes else ""
    if kind in ")]":
        return "", "(" if kind == ")" else "["
    if kind.startswith("end "):
        return "", f"begin {kind[4:]}"
    return kind, "" if kind in "([" or kind.startswith("begin ") else kind


def _belong_together(text: str, left: tuple[str, int, int, int], right: tuple[str, int, int, int]) -> bool:
    kind = left[0]
    if kind == "``" and "''" in text[left[2] : right[1]]:
        return False  # quotation marks of TeX
    if kind in ("$", "(") or kind.startswith("`"):
        return left[3] == right[3]
    return right[2] - left[1] <= LONGEST
