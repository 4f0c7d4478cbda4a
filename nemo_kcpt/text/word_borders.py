"""Whether a place in Japanese text cuts a word: 京都 in 東京都, 山田 in 小山田.

Between two kanji (or two hiragana) no sign tells a word's border, so the tagger's short units do (Sudachi, mode A), and
only where it knows the word that would be cut.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache

AROUND = 24
"""Characters beside the place that the tagger gets."""
_KANJI = re.compile("[\u3400-\u9fff\uf900-\ufaff々〆ヶ]")
_HIRAGANA = re.compile("[ぁ-ゖー]")
_TAGGER = threading.local()


def cuts_word(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] begins or ends inside of a word."""
    edges = [edge for edge in (start, end) if _may_cut(text, edge)]
    if not edges:
        return False
    left = max(0, start - AROUND)
    words = _words(text[left : end + AROUND])
    return any(first < edge - left < last for edge in edges for first, last in words)


def _may_cut(text: str, position: int) -> bool:
    """Whether the characters on both sides of a position are of one script that has no borders."""
    if not 0 < position < len(text):
        return False
    return any(kind.match(text[position - 1]) and kind.match(text[position]) for kind in (_KANJI, _HIRAGANA))


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[tuple[int, int], ...]:
    """Start and end of the words that the tagger knows."""
    tagger = getattr(_TAGGER, "tagger", None)
    if tagger is None:
        from sudachipy import Dictionary, SplitMode

        tagger = _TAGGER.tagger = Dictionary(dict="core").tokenizer(SplitMode.A)
    return tuple((token.begin(), token.end()) for token in tagger.tokenize(text) if not token.is_oov())
