"""Exact match: does an answer state the one right value of a fact, and no wrong one?

The answer and the values are compared after NFKC, case folding, dropping thousands separators and spaces beside
Japanese text. Values are found as whole numbers and whole Latin or katakana names, the longest first, so that `12,400`
is not found in `112,400` nor an author in a longer name. The price: a value written in a way that nobody listed counts
as not stated.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

_SEPARATOR = re.compile(r"(?<=\d)[,'](?=\d{3}(?!\d))")
_JAPANESE_SPACE = re.compile(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])")
_BORDERS: tuple[tuple[str, str, str], ...] = (
    # first or last character of a value, what must not stand before it, what must not follow it
    (r"\d", r"(?<!\d)(?<!\d[.万億兆千百])", r"(?!\d)(?!\.\d)(?![万億兆])"),
    (r"[a-z]", r"(?<![a-z0-9])", r"(?![a-z0-9])"),
    (r"[ァ-ヺー]", r"(?<![ァ-ヺー])", r"(?![ァ-ヺー])"),
)


@dataclass(frozen=True)
class Mention:
    """A value found in an answer: `answer[start:end]`, and whether it is an accepted one."""

    start: int
    end: int
    right: bool


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """Spans that NFKC treats as one: a character and the marks that combine with it (half-width dakuten included)."""
    start = 0
    for index in range(1, len(text) + 1):
        joins = index < len(text) and (unicodedata.combining(text[index]) or text[index] in "ﾞﾟ")
        if not joins:
            yield start, index
            start = index


def normalise(text: str) -> tuple[str, list[int]]:
    """`text` in its compared form, and for each character of that form the offset in `text` where it comes from."""
    characters: list[str] = []
    offsets: list[int] = []
    for start, end in _clusters(text):
        for character in unicodedata.normalize("NFKC", text[start:end]).casefold():
            blank = character.isspace()
            if blank and characters and characters[-1] == " ":
                continue
            characters.append(" " if blank else character)
            offsets.append(start)
    for pattern in (_JAPANESE_SPACE, _SEPARATOR):
        dropped = [index for match in pattern.finditer("".join(characters)) for index in range(*match.span())]
        for index in reversed(dropped):
            del characters[index], offsets[index]
    while characters and characters[-1] == " ":
        del characters[-1], offsets[-1]
    leading = 1 if characters and characters[0] == " " else 0
    return "".join(characters[leading:]), offsets[leading:]


def _bounded(value: str) -> str:
    before = next((border for kind, border, _ in _BORDERS if re.match(kind, value[0])), "")
    after = next((border for kind, _, border in _BORDERS if re.match(kind, value[-1])), "")
    return before + re.escape(value) + after


@lru_cache(maxsize=4096)
def _finder(accepted: tuple[str, ...], alternatives: tuple[str, ...]) -> tuple[re.Pattern[str] | None, frozenset[str]]:
    """A pattern for every value, the longest first, and the set of right ones (in normal form)."""
    right = frozenset(value for value in (normalise(text)[0] for text in accepted) if value)
    wrong = set()
    for value in {normalise(text)[0] for text in alternatives} - right - {""}:
        part = re.compile(_bounded(value))
        if not any(part.search(longer) for longer in right):
            wrong.add(value)
    values = sorted(right | wrong, key=lambda value: (-len(value), value))
    return (re.compile("|".join(_bounded(value) for value in values)) if values else None), right


def find_values(answer: str, accepted: Sequence[str], alternatives: Sequence[str] = ()) -> list[Mention]:
    """Every value of the fact that the answer states, right and wrong, in reading order.

    Args:
        answer: what the model wrote.
        accepted: all right forms of the fact.
        alternatives: values of the same fact that are true of other papers; one that is part of an accepted form is
            passed over.
    """
    pattern, right = _finder(tuple(accepted), tuple(alternatives))
    if pattern is None:
        return []
    text, offsets = normalise(answer)
    offsets = [*offsets, len(answer)]
    mentions = []
    for match in pattern.finditer(text):
        start, end = offsets[match.start()], offsets[match.end()]
        while end > start + 1 and answer[end - 1].isspace():
            end -= 1
        mentions.append(Mention(start, end, match.group() in right))
    return mentions


def exact_match(answer: str, accepted: Sequence[str], alternatives: Sequence[str] = ()) -> bool:
    """True when the answer states an accepted value and no other value of that kind (see `find_values`)."""
    mentions = find_values(answer, accepted, alternatives)
    return bool(mentions) and all(mention.right for mention in mentions)
