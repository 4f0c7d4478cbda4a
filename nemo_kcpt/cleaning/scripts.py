"""Classes of characters, to be put between the brackets of a regular expression, and how wide a line is on a page."""

from __future__ import annotations

import re

JAPANESE = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3041-\u3096\u3099-\u309a\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"
)
"""Kana and kanji with their iteration marks; no punctuation."""
JAPANESE_PUNCTUATION = (
    "\u3001-\u3003\u3008-\u3011\u3014-\u301f\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)
"""Punctuation that is set without a space around it; full-width forms included, the ideographic space not."""
CLOSING = "」』）〕］｝〉》】〟)\\]}”’\"'"
SENTENCE_END = "。．.｡！!？?"

_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60"
    "\uffe0-\uffe6\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f900-\U0001f9ff\U00020000-\U0003fffd\u3000]+"
)


def display_width(line: str) -> int:
    """Columns of a line on a page with a fixed pitch: 2 for a wide character of Unicode's UAX #11, 1 for any other."""
    return len(line) if line.isascii() else 2 * len(line) - len(_WIDE.sub("", line))
