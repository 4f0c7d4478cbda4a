"""Papers longer than the teacher's window: divided at sections, paragraphs or sentences, so that nothing is cut off."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Part(NamedTuple):
    """A part of a text: text[start:end]."""

    start: int
    end: int


BORDERS = (
    re.compile(r"\n(?=#{1,6} |(?:第\s?)?\d{1,2}(?:\.\d{1,2})*[.．章節]?[ \u3000]\S)"),  # a heading follows
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"[。．！？!?][」』）)]*|\.(?=\s)"),
    re.compile(r"[\s、，,;；]"),
)
"""Where a text may be divided, the best first."""
TRIES = 6
"""Lengths tried for a part, each by a count of tokens."""


def split_text(text: str, limit: int, count: Callable[[str], int]) -> list[Part]:
    """Parts of at most `limit` tokens that together are the whole text.

    A part ends at the last section in its second half, else paragraph, line, sentence or word there, else anywhere
    but within a character and its combining marks.

    Args:
        text: any length.
        limit: tokens a part may have, at least 1.
        count: how many tokens a text has; called a few times a part.

    Raises:
        ValueError: `limit` is less than one character's tokens.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; at least one token is needed")
    if count(text) <= limit:
        return [Part(0, len(text))]
    return list(_parts(text, limit, count))


def _parts(text: str, limit: int, count: Callable[[str], int]) -> Iterator[Part]:
    start, guess = 0, limit
    while start < len(text):
        end = _longest(text, start, guess, limit, count)
        if end < len(text):
            end = _border(text, start, end)
        yield Part(start, end)
        guess = max(end - start, 1)
        start = end


def _longest(text: str, start: int, guess: int, limit: int, count: Callable[[str], int]) -> int:
    """An end at which the part is within the limit, and not much shorter than it could be."""
    good, bad = start, len(text) + 1
    size = guess
    for _ in range(TRIES):
        end = min(start + max(size, 1), len(text))
        tokens = count(text[start:end])
        if tokens <= limit:
            good = end
            if end == len(text) or tokens >= 0.9 * limit:
                return end
        else:
            bad = end
        size = int((end - start) * 0.97 * limit / max(tokens, 1))
        if not good < start + size < bad:
            size = (good + min(bad, len(text))) // 2 - start
    while good == start:  # text far denser than what came before
        bad = start + max((bad - start) // 2, 1)
        if count(text[start:bad]) <= limit:
            good = bad
        elif bad == start + 1:
            raise ValueError(f"one character has more tokens than the limit of {limit}")
    return good


def _border(text: str, start: int, end: int) -> int:
    earliest = start + (end - start) // 2
    for pattern in BORDERS:
        ends = [match.end() for match in pattern.finditer(text, earliest, end)]
        if ends:
            return ends[-1]
    while end > start + 1 and end < len(text) and (unicodedata.combining(text[end]) or text[end] in "\u200d\ufe0f"):
        end -= 1
    return end
