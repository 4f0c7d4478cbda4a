"""What every filter gets: a pair and its paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nemo_kcpt.text.quantities import Quantity, quantities


@dataclass(frozen=True)
class Candidate:
    """A pair that a teacher wrote."""

    paper_id: str
    kind: str
    language: str
    """Language of the prompt."""
    instruction: str
    output: str
    finish_reason: str = "stop"
    placeholders: frozenset[str] = frozenset()
    """Phrases of the prompt with a blank to fill, letters alone."""

    @cached_property
    def plain(self) -> str:
        """The output in NFKC: one width for every sign."""
        return unicodedata.normalize("NFKC", self.output)


class Source:
    """A paper as the filters see it; what is made of it is made once."""

    def __init__(self, paper: Mapping[str, Any]) -> None:
        self.title = str(paper.get("title") or "").strip()
        parts = [self.title, str(paper["text"]), *map(str, paper.get("references") or ())]
        self._parts = parts
        self.text = unicodedata.normalize("NFKC", "\n".join(parts))

    @cached_property
    def numbers(self) -> tuple[Quantity, ...]:
        """Its numbers, each once; read before NFKC, which makes 106 of 10⁶."""
        return tuple({number.key: number for number in quantities("\n".join(self._parts))}.values())

    @cached_property
    def grams(self) -> frozenset[str]:
        """Its pieces of `GRAM` letters."""
        return frozenset(grams(self.text))


GRAM = 12
"""Letters (no white space, no punctuation) that are copied and not shared by chance: a phrase in Japanese."""


def letters_of(text: str) -> str:
    """Letters and digits alone, in lower case."""
    return re.sub(r"[\W_]", "", text).casefold()


def grams(text: str) -> list[str]:
    """Pieces of `GRAM` letters, one beginning at each letter."""
    letters = letters_of(text)
    return [letters[start : start + GRAM] for start in range(len(letters) - GRAM + 1)]
