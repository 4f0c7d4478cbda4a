"""How two halves of a broken line belong together: with a space, without one, and with or without the hyphen.

Whether a hyphen at a line's end is the word's own or the line's is asked of the document: what it writes elsewhere
decides. Where it says nothing, the hyphen goes if either half is no word of the document, and stays between two words
that both occur, in compounds of several parts ("state-of-the-" + "art"), before digits and capitals, and after
acronyms and single letters. A number that is broken within Japanese is one number.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property

from nemo_kcpt.cleaning.scripts import JAPANESE, JAPANESE_PUNCTUATION

HYPHENS = "-\u2010\u00ad"
_WRITING = re.compile(f"[{JAPANESE}{JAPANESE_PUNCTUATION}\u2460-\u24ff\u25a0-\u25ff\u3000]")
_LETTER = re.compile(f"[{JAPANESE}]")
_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010'’][^\W_]+)*")
_LAST = re.compile(rf"(?<![^\W_])((?:[^\W_]+[{HYPHENS}])*[^\W_]+)[{HYPHENS}]$")
_FIRST = re.compile(r"[^\W_]+(?:[-\u2010][^\W_]+)*")
_BROKEN = re.compile(rf"(?<![^\W_])[^\W_]+[{HYPHENS}][ \t]*\n[ \t]*[^\W_]+")
_URL = re.compile(r"(?:https?://|www\.|doi\.org/|doi:)\S*[-/_.=&?%~:#+]$", re.I)
_ENDING = re.compile(
    "(?:[st]?ions?|t?ional(?:ly)?|ings?|ments?|ness|[ai]t?ive|ally|[ai]?bl[ey]|[ai]?lit(?:y|ies)|t?ures?|ed|ly)"
)
"""Ends of words that are no words, where they are torn off most."""
_SUSPENDED = frozenset(("and", "or", "to", "und", "oder", "et", "ou", "y", "o", "e"))
"""What follows a hyphen that stands for the rest of a compound: "pre-" + "and post-training"."""
_NUMBER = "[0-9\uff10-\uff19]+(?:[.,\uff0e\uff0c][0-9\uff10-\uff19]+)*"
_NUMBER_LAST = re.compile(f"[{JAPANESE}{JAPANESE_PUNCTUATION}]{_NUMBER}$")
_POINT_LAST = re.compile(f"[{JAPANESE}{JAPANESE_PUNCTUATION}]{_NUMBER}[.,\uff0e\uff0c]$")
_NUMBER_FIRST = re.compile(f"{_NUMBER}[{JAPANESE}{JAPANESE_PUNCTUATION}%]")
"""A number within Japanese, where nothing but the line's end parts two numbers."""
_SIGN_LAST = re.compile("(?<![A-Za-z0-9])[-\u2212\u2010\uff0d]$")
"""A sign that a line's end parts from its number."""
_TIGHT = re.compile(f"[A-Za-z0-9][{JAPANESE}]|[{JAPANESE}][A-Za-z0-9]")
_LOOSE = re.compile(f"[A-Za-z0-9] [{JAPANESE}]|[{JAPANESE}] [A-Za-z0-9]")


class Joiner:
    """Joins lines the way the document itself writes; what it knows of the document is counted on first use."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _between(self) -> str:
        """What stands between Japanese and Latin letters in the document."""
        loose = sum(1 for _ in _LOOSE.finditer(self._text))
        return " " if loose and loose > sum(1 for _ in _TIGHT.finditer(self._text)) else ""

    @cached_property
    def _words(self) -> Counter[str]:
        """Words of the document with those of their hyphens that are not at a line's end, in lower case."""
        whole = _BROKEN.sub(" ", self._text)  # the halves of broken words are no words
        words = Counter(word.lower().replace("\u2010", "-") for word in _WORD.findall(whole))
        for word, often in list(words.items()):
            if "-" in word:
                words.update(dict.fromkeys(word.split("-"), often))
        return words

    def join(self, left: str, right: str) -> str:
        """The two lines as one; white space at the seam and a hyphen that only the line end brought are dropped."""
        return "".join(self.seam(left, right))

    def seam(self, left: str, right: str) -> tuple[str, str]:
        """The two lines as they are to be put together, so that a long paragraph is not copied line by line."""
        left, right = left.rstrip(), right.lstrip()
        if not left or not right:
            return left, right
        if right[0].isdigit() and _SIGN_LAST.search(left[-2:]):
            return left, right
        if left[-1] in HYPHENS and not _URL.search(left[-300:]):
            before, after = _LAST.search(left[-80:]), _FIRST.match(right)
            if before and after:
                return self._dehyphenated(left, before[1], after[0]), right
        return left + self.separator(left, right), right

    def separator(self, left: str, right: str) -> str:
        """What stands between two lines, neither of which is empty."""
        last, first = left[-1], right[0]
        if _WRITING.match(last) and _WRITING.match(first):
            return ""
        if last.isdigit() and first.isdigit() and _NUMBER_LAST.search(left[-40:]) and _NUMBER_FIRST.match(right):
            return ""
        if first.isdigit() and _POINT_LAST.search(left[-40:]) and _NUMBER_FIRST.match(right):
            return ""
        if _WRITING.match(last) or _WRITING.match(first):
            foreign, japanese = (first, last) if _WRITING.match(last) else (last, first)
            return self._between if _LETTER.match(japanese) and foreign.isalnum() else ""
        if first in ",.;:!?)]}’”%" or last in "([{“‘":
            return ""
        return "" if _URL.search(left[-300:]) else " "

    def _dehyphenated(self, left: str, before: str, after: str) -> str:
        if after.lower() in _SUSPENDED:
            return f"{left} "
        if not self.is_own_hyphen(before, after):
            return left[:-1]
        return f"{left[:-1]}-" if left[-1] == "\u00ad" else left

    def is_own_hyphen(self, before: str, after: str) -> bool:
        """Whether the hyphen between the two belongs to the word and does not only mark the end of a line."""
        plain, rest = before.replace("\u2010", "-").lower(), after.lower()
        with_hyphen, without = self._words[f"{plain}-{rest}"], self._words[f"{plain}{rest}"]
        last = plain.rpartition("-")[2]
        if with_hyphen or without:
            return with_hyphen >= without
        if len(last) == 1:  # t-test, β-carotene: no word is torn after its first letter
            return True
        if self._words[last + rest] or _ENDING.fullmatch(rest):
            return False
        if not after[0].islower() or not before[-1].islower() or any(map(str.isdigit, before)):
            return True
        if "-" in plain:
            return True
        return len(plain) > 2 and len(rest) > 2 and plain in self._words and rest in self._words
