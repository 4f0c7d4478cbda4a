"""Which language a text, a question or a paper is in, and in which one it is asked about.

Of a text kana or hangul decide, else py3langid on its beginning.

py3langid takes a short Japanese text without kana for Chinese, and cannot be sure of three words in any language, so
a text with fewer than `LETTERS` letters has no language rather than a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LETTERS = 20
LOOKED_AT = 4000
"""Characters of the text that are looked at."""

PROMPT_LANGUAGES = ("ja", "en")
"""Languages in which we have prompts and rules."""

_LETTER = re.compile(r"[^\W\d_]")
_KANA = re.compile(r"[ぁ-ゖァ-ヺｦ-ﾝ]")
_HANGUL = re.compile(r"[가-힣]")
_LATIN = re.compile(r"[A-Za-z]")
_QUOTED = re.compile(r"「[^」]*」|『[^』]*』|\"[^\"]*\"|“[^”]*”")
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


def question_language(question: str) -> str:
    """ja or en, by what stands outside quoted titles at its beginning."""
    question = question[:1000]
    for text in (_QUOTED.sub("", question), question):
        if _KANA.search(text) or (_HAN.search(text) and not _LATIN.search(text)):
            return "ja"
        if _LATIN.search(text):
            return "en"
    return "ja"


def _stated(paper: Mapping[str, Any]) -> str:
    """The language that a paper's record or its metadata names; empty if neither does."""
    return str(paper.get("language") or (paper.get("meta") or {}).get("language") or "")


def prompt_language(paper: Mapping[str, Any]) -> str:
    """The language in which a teacher is asked about a paper: its own if there are prompts in it, else English."""
    stated = _stated(paper) or "ja"
    return stated if stated in PROMPT_LANGUAGES else "en"


def rules_language(paper: Mapping[str, Any]) -> str:
    """The language whose rules a paper is written about with; empty if it is known to be in another one."""
    if stated := _stated(paper):
        return stated if stated in PROMPT_LANGUAGES else ""
    return "ja" if _KANA.search(f"{paper.get('title') or ''}{paper['text']}") else "en"
