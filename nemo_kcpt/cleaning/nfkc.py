"""Unicode NFKC where it loses nothing: forms that stand for the same character, not forms that say something by it.

| changed | example | why |
| --- | --- | --- |
| full-width digits and Latin letters | Ａ１ → A1 | the width is of the typesetter's making |
| half-width katakana with their punctuation and marks | ｶﾞ｡ → ガ。 | as above |
| Latin ligatures | ﬁ → fi | a font's glyph that came out of a PDF as a character |
| Kangxi radicals | ⽇ → 日 | as above; the radical looks the same and no search finds it |
| CJK radicals that are whole characters of Japanese | ⻑ → 長 | as above; by Unicode's Equivalent_Unified_Ideograph |
| base letter and combining mark | か + U+3099 → が | one character, as everybody else writes it |
| no-break and other odd spaces; U+3000 in a line | U+00A0 → U+0020 | layout |
| squared words and units without power | ㎏ → kg, ㌔ → キロ | a cell's width in a table is no meaning |

| kept | example | why |
| --- | --- | --- |
| code and formulas | `Ａ`, $Ａ$ | every character counts |
| superscripts, subscripts, fractions | x², H₂O, ½ | x2, H2O and 1⁄2 are something else |
| circled and bracketed numbers, roman numerals | ①, ㈱, Ⅲ | they are references, and (株) is another text |
| signs | ™, ℃, №, …, ￥, ％ | usual typography |
| full-width punctuation, 〜 and ～ | ，．（）：？ | Japanese typography; the choice is the author's |
| CJK compatibility ideographs | 神 (U+FA19), 﨑 | they tell names apart |
| mathematical letters, letterlike symbols | 𝐱, ℝ, Ω (U+2126) | formulas outside of dollars |
| Arabic presentation forms, half-width Hangul | | not our languages; nobody here could judge |
| U+3000 at a line's beginning | | it marks a paragraph |

Squared units with a power (㎡), a slash (㎧) or a number (㍘, ㏠) stay too: m2 would lose the power.
"""

from __future__ import annotations

import re
import unicodedata

from nemo_kcpt.cleaning.changed import Changed
from nemo_kcpt.cleaning.regions import outside

_SQUARED = "".join(
    chr(code)
    for code in (*range(0x3300, 0x3358), *range(0x3371, 0x33E0), 0x32FF)
    if unicodedata.normalize("NFKC", chr(code)).isalpha()
)
_RADICALS = dict(
    zip("\u2ea0\u2ec1\u2ec4\u2ed1\u2ed8\u2edd\u2ee4\u2ee8\u2ee9\u2eeb\u2eed\u2eef\u2ef2", "民虎西長青食鬼麦黄斉歯竜亀")
)
_SAFE = (
    "\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"  # full-width digits and letters
    "\uff61-\uff9f"  # half-width katakana
    "\ufb00-\ufb06"  # Latin ligatures
    "\u2e9f\u2ef3\u2f00-\u2fd5"  # radicals
    "\xa0\u2000-\u200a\u202f\u205f"  # spaces
    f"{_SQUARED}{''.join(_RADICALS)}"
)
_MARKS = "\u0300-\u036f\u3099\u309a"
_SAFE_RUN = re.compile(f"[{_SAFE}]+")
_WITH_MARKS = re.compile(f"[^{_MARKS}\\s][{_MARKS}]+")
_WIDE_SPACES = re.compile("(?<=\\S)[ \t]*\u3000[ \t\u3000]*")
_ANY = re.compile(f"[{_SAFE}{_MARKS}\u3000]")
_FROM_RADICALS = str.maketrans(_RADICALS)


def nfkc(text: str) -> Changed:
    """Unicode NFKC where it loses nothing: letters, digits, kana, spaces; not code, formulas, powers or punctuation."""
    if text.isascii() or not _ANY.search(text):
        return Changed(text, 0)
    count = 0

    def counted(old: str, new: str) -> str:
        nonlocal count
        count += old != new
        return new

    def change(part: str) -> str:
        if not _ANY.search(part):
            return part
        part = _SAFE_RUN.sub(lambda match: counted(match[0], _compatible(match[0])), part)
        part = _WITH_MARKS.sub(lambda match: counted(match[0], _composed(match[0])), part)
        return _WIDE_SPACES.sub(lambda match: counted(match[0], match[0].replace("\u3000", " ")), part)

    return Changed(outside(text, change), count)


def _compatible(run: str) -> str:
    return unicodedata.normalize("NFKC", run.translate(_FROM_RADICALS))


def _composed(run: str) -> str:
    """A base and its marks as one character, unless the base itself would change (a compatibility ideograph)."""
    return unicodedata.normalize("NFC", run) if unicodedata.normalize("NFC", run[0]) == run[0] else run
