"""Which language a text is in: kana or hangul decide, else py3langid on the beginning of the text.

py3langid takes a short Japanese text without kana for Chinese, and cannot be sure of three words in any language, so
a text with fewer than `LETTERS` letters has no language rather than a guess.
"""

from __future__ import annotations

import re

LETTERS = 20
LOOKED_AT = 4000
"""Characters of the text that are looked at."""

_LETTER = re.compile(r"[^\W\d_]")
_KANA = re.compile(r"[ぁ-ゖァ-ヺｦ-ﾝ]")
_HANGUL = re.compile(r"[가-힣]")
_HAN = re.compile(r"[㐀-䶿一-鿿]")


def language_of(text: str) -> str:
    """ISO 639-1 code of the language of `text`, or an empty string if it is too short to tell."""
    head = text[:LOOKED_AT]
    letters = len(_LETTER.findall(head))
    if letters < LETTERS:
        return ""
    if len(_KANA.findall(head)) >= 0.05 * letters:
        return "ja"
    if len(_HANGUL.findall(head)) >= 0.2 * letters:
        return "ko"
    import py3langid

    code, _ = py3langid.classify(head)
    if code == "zh" and len(_KANA.findall(text)) >= 0.01 * len(_LETTER.findall(text)):
        return "ja"  # a page of names and formulas before the sentences begin
    return str(code)
