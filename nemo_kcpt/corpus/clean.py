"""Cleaning that nobody could object to: line ends, trailing blanks, a byte order mark. Anything more is asked for.

NUL and lone surrogates (half a UTF-16 character; JSON can spell one as "\\ud800") cannot be written as UTF-8 or are
dropped silently by tools further on, so they are found here and refused or repaired, never passed on.
"""

from __future__ import annotations

import re
import unicodedata

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


def count_unusable(text: str) -> int:
    """How many NULs and lone surrogates are in `text`."""
    return len(_UNUSABLE.findall(text))


def repair(text: str) -> str:
    """`text` without NULs, and with U+FFFD in place of each lone surrogate."""
    return _UNUSABLE.sub(lambda match: "" if match[0] == "\x00" else "\ufffd", text)


def clean(text: str, nfc: bool = False) -> str:
    """`text` with LF line ends, no trailing white space in a line, no blank lines at either end; NFC only if asked.

    White space at the beginning of a line stays: in Japanese it marks a paragraph, in code it has a meaning.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    text = "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")
    return unicodedata.normalize("NFC", text) if nfc else text
