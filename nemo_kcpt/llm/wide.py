"""JSON written with full-width signs, as Japanese models write it: ｛"output"："…"｝, “output”：“…”, １２.

Only what stands outside of strings is put into ASCII, sign for sign, and the strings' own quotation marks; what a
string says stays as it is. What is still no JSON then is left to whoever asks.
"""

from __future__ import annotations

import re
import unicodedata

_SIGNS = {"｛": "{", "｝": "}", "［": "[", "］": "]", "：": ":", "，": ",", "、": ",", "\u3000": " ", "\ufeff": " "}
_CLOSERS = {"“": '”“"＂', "”": '”"＂', "＂": '＂"', "„": '“”"', "「": "」", "『": "』", "〝": "〟〞"}
"""Opening quotation mark -> what may close its string."""
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WORD = re.compile(r"[-+.0-9eE０-９．－＋]+|true|false|null")
_AFTER_STRING = re.compile(r"\s*(?:[:：]|[}｝\]］]|[,，、]\s*[\"“”＂„「『〝{｛\[［]|\Z)")
"""What follows a string: so a quotation mark inside of one does not end it."""
_BRACKETS = str.maketrans({"｛": "{", "｝": "}", "［": "[", "］": "]"})


def is_wide(text: str) -> bool:
    """Whether a text may be JSON with full-width signs."""
    return any(sign in text for sign in (*_SIGNS, *_CLOSERS)) or any("０" <= sign <= "９" for sign in text)


def narrowed(text: str) -> str | None:
    """The JSON in a text, from its first bracket to its last one, with ASCII's signs; None if it is of no such form."""
    plain = text.translate(_BRACKETS)
    starts = [start for sign in "{[" if (start := plain.find(sign)) >= 0]
    end = max(plain.rfind("}"), plain.rfind("]")) + 1
    if not starts or end <= min(starts):
        return None
    pieces, index = [], min(starts)
    while index < end:
        sign = text[index]
        if sign == '"' and (match := _STRING.match(text, index, end)):
            pieces.append(match[0])
            index = match.end()
        elif sign in _CLOSERS:
            close = _close(text, index, end)
            if close < 0:
                return None
            pieces.append('"' + re.sub(r'(?<!\\)((?:\\\\)*)"', r'\1\\"', text[index + 1 : close]) + '"')
            index = close + 1
        elif sign.isspace() or sign in _SIGNS or sign in "{}[]:,":
            pieces.append(_SIGNS.get(sign, sign))
            index += 1
        elif match := _WORD.match(text, index, end):
            pieces.append(unicodedata.normalize("NFKC", match[0]))
            index = match.end()
        else:
            return None
    return "".join(pieces)


def _close(text: str, start: int, end: int) -> int:
    """Where the string that begins at `start` is closed; -1 if it is not."""
    for index in range(start + 1, end):
        if text[index] in _CLOSERS[text[start]] and text[index - 1] != "\\" and _AFTER_STRING.match(text, index + 1):
            return index
    return -1
