"""White space between the words of markup, as a page shows it."""

from __future__ import annotations

import re
import unicodedata

_SPACE = re.compile(r"[ \t\r\n\f]+")


def close_up(text: str) -> str:
    """White space as one space, and none for a line's end between two wide characters, as CSS has it."""

    if "\n" not in text:
        return _SPACE.sub(" ", text)

    def space(match: re.Match[str]) -> str:
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        return "" if "\n" in match[0] and is_wide(before) and is_wide(after) else " "

    return _SPACE.sub(space, text)


def is_wide(character: str) -> bool:
    """Whether a character is one of Chinese or Japanese writing, which has no spaces."""
    return bool(character) and unicodedata.east_asian_width(character) in "WF"
