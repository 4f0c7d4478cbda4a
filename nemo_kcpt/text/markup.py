r"""Entities of HTML and signs of TeX as the characters they stand for, so that numbers are read as a page shows them:
&minus;5 is −5, 94.2\pm 0.3\% is 94.2± 0.3%, 12{,}400 is 12,400.
"""

from __future__ import annotations

import html
import re

_SIGNS = {
    "pm": "±",
    "times": "×",
    "cdot": "·",
    "circ": "°",
    "le": "≤",
    "leq": "≤",
    "ge": "≥",
    "geq": "≥",
    "sim": "~",
    "approx": "≈",
    "mu": "μ",
    "Omega": "Ω",
    "degree": "°",
}
_MARKUP = re.compile(
    r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
    rf"|\\(?P<sign>{'|'.join(sorted(_SIGNS, key=len, reverse=True))})(?![A-Za-z]) ?"
    r"|\\(?:mathrm|text|mathbf|textbf|mathit|operatorname|si|unit)\{(?P<words>[^{}\\]{1,20})\}"
    r"|(?P<power>\^)\{?\\(?:circ|degree)\}?"
    r"|(?P<comma>\{,\})|\\(?P<kept>[%$#])|\\(?P<space>[,;: ])"
)


def without_markup(text: str) -> tuple[str, list[int]]:
    """The text with such marks replaced, and for each character of it the offset in `text` where it comes from."""
    if "&" not in text and "\\" not in text and "{,}" not in text:
        return text, list(range(len(text)))
    pieces: list[str] = []
    places: list[int] = []
    start = 0
    for match in _MARKUP.finditer(text):
        pieces.append(text[start : match.start()])
        places += range(start, match.start())
        new = _replacement(match)
        pieces.append(new)
        if new == match["words"]:
            places += range(*match.span("words"))
        else:
            places += [match.start()] * len(new)
        start = match.end()
    pieces.append(text[start:])
    return "".join(pieces), [*places, *range(start, len(text))]


def _replacement(match: re.Match[str]) -> str:
    if match[0][0] == "&":
        character = html.unescape(match[0])
        return character if character != match[0] and character not in "<>&" else match[0]
    if match["sign"]:
        return _SIGNS[match["sign"]]
    if match["words"]:
        return match["words"]
    if match["power"]:
        return "°"
    if match["comma"]:
        return ","
    return match["kept"] or " "
