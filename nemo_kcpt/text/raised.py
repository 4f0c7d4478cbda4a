"""Raised and lowered text as Unicode writes it: 10⁶, 10⁻⁵, H₂O, and `^(…)`, `_(…)` where a character is missing.

Whoever reads markup or a page writes such text by `raised` and `lowered`, and whoever normalises text to compare it
does so by `nfkc`, since Unicode's own NFKC makes 106 of 10⁶.
"""

from __future__ import annotations

import re
import unicodedata

_RAISED = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ",
        strict=True,
    )
)
_LOWERED = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
_MINUS = str.maketrans("−‐‑–﹣", "-----")
_OWN = frozenset("′″‴‵°®™©℠ªº†‡*")
"""Signs that a font raises by itself: raised once more they mean the same."""
_SIGNS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎"
_KEPT = re.compile(f"[{_SIGNS}]+")
_FRACTION = re.compile(r"(?<![^\W\d_])(?P<whole>\d?)(?P<over>[⁰¹²³⁴-⁹]{1,3})[/⁄∕](?P<under>[₀-₉]{1,3})(?![₀-₉])")
_PLAIN_DIGITS = {sign: str(unicodedata.digit(sign)) for sign in "⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉"}
_VULGAR = {unicodedata.normalize("NFKC", sign): sign for sign in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"}  # "1⁄2", with U+2044, -> "½"


def raised(text: str) -> str:
    """`text` as superscript: in Unicode's characters if all of them exist, else `^(text)`; nothing of blank text."""
    return _written(text, _RAISED, "^")


def lowered(text: str) -> str:
    """`text` as subscript: in Unicode's characters if all of them exist, else `_(text)`; nothing of blank text."""
    return _written(text, _LOWERED, "_")


def _written(text: str, table: dict[str, str], sign: str) -> str:
    text = " ".join(text.split())
    if not text or (sign == "^" and _OWN.issuperset(text)):
        return text
    letters = unicodedata.normalize("NFKC", text).translate(_MINUS) if _KEPT.search(text) is None else text
    close = re.sub(r" ?([-+=]) ?", r"\1", letters)  # "n + 1" is as well read without its spaces
    if all(letter in table for letter in close):
        return "".join(table[letter] for letter in close)
    return f"{sign}({text})"


def fractions(text: str) -> str:
    """`text` with a raised number over a lowered one as a fraction: 3¹/₂ → 3½, ⁵/₁₇ → 5/17, 2⁵/₁₇ → 2 5/17."""

    def written(match: re.Match[str]) -> str:
        over, under = ("".join(map(_PLAIN_DIGITS.__getitem__, match[name])) for name in ("over", "under"))
        sign = _VULGAR.get(f"{over}⁄{under}")
        return match["whole"] + (sign or f"{' ' if match['whole'] else ''}{over}/{under}")

    return _FRACTION.sub(written, text) if "₀" in text or max(text, default="") > "₀" else text


def nfkc(text: str) -> str:
    """Unicode's NFKC for comparing texts, but for raised and lowered digits and signs, which stay: 10⁶ is not 106."""
    if text.isascii():
        return text
    pieces, start = [], 0
    for match in _KEPT.finditer(text):
        pieces += [unicodedata.normalize("NFKC", text[start : match.start()]), match[0]]
        start = match.end()
    return "".join([*pieces, unicodedata.normalize("NFKC", text[start:])])
