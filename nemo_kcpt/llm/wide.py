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
    starts = [place for sign in "{[" if (place := plain.find(sign)) >= 0]
    end = max(plain.rfind("}"), plain.rfind("]")) + 1
    if not starts or end <= min(starts):
        return None
    pieces, place = [], min(starts)
    while place < end:
        sign = text[place]
        if sign == '"' and (match := _STRING.match(text, place, end)):
            pieces.append(match[0])
            place = match.end()
        elif sign in _CLOSERS:
            close = _close(text, place, end)
            if close < 0:
                return None
            pieces.append('"' + re.sub(r'(?<!\\)((?:\\\\)*)"', r'\1\\"', text[place + 1 : close]) + '"')
            place = close + 1
        elif sign.isspace() or sign in _SIGNS or sign in "{}[]:,":
            pieces.append(_SIGNS.get(sign, sign))
            place += 1
        elif match := _WORD.match(text, place, end):
            pieces.append(unicodedata.normalize("NFKC", match[0]))
            place = match.end()
        else:
            return None
    return "".join(pieces)


def _close(text: str, start: int, end: int) -> int:
    """Where the string that begins at `start` is closed; -1 if it is not."""
    for place in range(start + 1, end):
        if text[place] in _CLOSERS[text[start]] and text[place - 1] != "\\" and _AFTER_STRING.match(text, place + 1):
            return place
    return -1
