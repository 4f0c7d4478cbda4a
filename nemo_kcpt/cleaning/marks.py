"""What is raised is a power, or a mark that points to a note: one place where every reader with markup decides.

A mark (a footnote's, a citation's) is written `[^3]`, as Markdown does, so that it is never read as a part of the
number or word before it: 24³⁾ becomes 24[^3]. It is recognised by what the markup says of it (a link to a note, its
role, the class that Wikipedia, Pandoc, Word and others give it), else by its own form (3), [3], *, †, 注1, 1,2) and by
what precedes it: a power follows a number, a variable or a unit, a mark follows a word, a sentence or a name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from nemo_kcpt.cleaning.nuclides import is_mass_number
from nemo_kcpt.cleaning.scripts import JAPANESE
from nemo_kcpt.text import raised

LONGEST = 40
"""Characters of a mark at most."""
NEAR = 40
"""Characters before and after that decide."""

_NAMES = re.compile(
    r"(?:^|[\s_:.-])(?:note-?ref|footnote(?:-?(?:ref|reference|anchor|link|mark|number))?|footnotes?|fn-?ref|fnr?|ftn-?ref"
    r"|endnote(?:-?ref)?|reference|citation|cite-?ref|cite|bibr|bib-?ref|biblioref|xref-(?:bibr|fn)|xref|reflink|ref"
    r"|MsoFootnoteReference|MsoEndnoteReference|ltx_note_mark|sdfootnoteanc|sdendnoteanc|doc-noteref|doc-biblioref"
    r"|Inline-Template|noprint)(?:$|[\s_:.-]|\d)",
    re.I,
)
"""Classes, roles and ids by which the usual programs name a mark."""
_NOTE_LINK = re.compile(
    r"#(?:user-content-)?(?:_?(?:fn|ftn|edn|foot|end|note|cite|ref|bib|cr|citation|sdfootnote|sdendnote|easy-footnote|R\d|B\d"
    r"|b\d|r\d|n\d|fig-?note))",
    re.I,
)
_NOTE_CLASS = re.compile(r"(?:^|\s)(?:foot|end|side)?-?note-?(?:s|link|anchor|mark|number)?(?:$|\s)", re.I)
_ONE = r"(?:\d{1,4}|[A-Za-z]{1,2}|[ivxlcIVXLC]{1,6}|[*＊∗※†‡§¶‖#♯★☆]{1,4}\d{0,3})"
_SEPARATOR = r"\s*[,，、;；・–—‐~〜-]\s*"
_MARK = re.compile(
    rf"[\[［〔【(（]?\s*(?:(?:※|注|註|脚注|補注|訳注|文献|[Nn]ote|[Rr]efs?\.?)\s*)?{_ONE}(?:{_SEPARATOR}{_ONE})*\s*[\])）］〕】]?"
)
_BRACKETED = re.compile(r"(?:[\[［〔【][^\[\]［］〔〕【】]+[\]］〕】]\s*[,，、]?\s*)+")
_IN_PARENTHESES = re.compile(r"[(（][^()（）]+[)）]")
_HALF = re.compile(r"(?:\d{1,3}|[A-Za-z])[)）]")
_NAMED = re.compile(r"(?:[*＊∗※†‡§¶‖★☆]{1,4}|(?:※|注|註|脚注|補注|訳注|文献|[*＊])\s*\d{1,3})[)）]?")
_WITH_SIGN = re.compile(r"(?=.*[*＊∗†‡§¶])[\da-z\s,，、;*＊∗†‡§¶]+")
_LIST = re.compile(
    r"\d{1,3}(?:\s*[,，、;；]\s*\d{1,3}(?:\s*[-–—~〜]\s*\d{1,3})?)+|\d{1,3}\s*[-–—~〜]\s*\d{1,3}(?:\s*[,，、]\s*\d{1,3}\S*)+"
)
_RANGE = re.compile(r"\d{1,3}\s*[-–—~〜]\s*\d{1,3}")
_PLAIN = re.compile(r"\d{1,3}")

_VARIABLE = re.compile(r"(?:^|[^A-Za-zα-ωΑ-Ω])[A-Za-zα-ωΑ-Ω]['′]?$")
_AFTER_SENTENCE = re.compile(r"[。．.、，,;；:：!！?？\"”»」』】〉》…%％]$")
_BASE = re.compile(r"(?<![\d.,])(?:10|2)$")
_TEN = re.compile(r"(?<![\d.,])10\s+$")
_LETTER_OR_DIGIT = re.compile(r"[0-9A-Za-zÀ-ɏ]$")
_YEAR = re.compile(r"(?<![\d.,])(?:1[89]|20)\d\d$")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+$")
_WORD = re.compile(r"[A-Za-zÀ-ɏ]+$")
_UNIT_IN_JAPANESE = re.compile(r"(?:メートル|ミリ|センチ|キロ|ヤード|フィート|インチ|マイル|秒|[平立]方)$")
_JAPANESE = re.compile(f"[{JAPANESE}々〆]$")
_UNITS = frozenset(
    re.findall(
        r"\S+",
        "sinh cosh tanh sech csch coth arcsin arccos arctan loge grad mile miles inch inches foot feet yard yards acre "
        "metre metres meter meters second seconds sec hour hours minute gram grams mmol kmol alpha beta gamma delta "
        "epsilon theta lambda sigma omega kappa zeta step steps",
    )
)
"""Words of four letters and more that carry a power."""
_ORDINAL = re.compile(r"\d(?:st|nd|rd|th)$", re.I)
_TRADE = {"TM": "™", "tm": "™", "SM": "℠"}


def is_marked(attributes: Mapping[str, str], content: str) -> bool:
    """Whether what the markup says of an element makes a mark of it.

    Args:
        attributes: of the element, or of a link around it or in it that holds nothing else.
        content: its text.
    """
    content = content.strip()
    if not content or len(content) > LONGEST:
        return False
    if "data-footnote-ref" in attributes:
        return True
    said = " ".join(
        attributes.get(name, "") for name in ("role", "epub:type", "type", "class", "id", "name", "ref-type")
    )
    link = attributes.get("href", "")
    return bool(_NAMES.search(said) or ("#" in link and _MARK.fullmatch(content)))


def is_note(attributes: Mapping[str, str], content: str) -> bool:
    """Whether an element that nothing raises is a mark all the same: a link to a note whose text is only a number."""
    if not _MARK.fullmatch(content.strip()):
        return False
    said = " ".join(attributes.get(name, "") for name in ("role", "epub:type", "class"))
    return bool(
        "data-footnote-ref" in attributes
        or re.search(
            r"noteref|footnote-?ref|fn-?ref|FootnoteReference|EndnoteReference|sd(?:foot|end)noteanc", said, re.I
        )
        or ("#" in attributes.get("href", "") and _NOTE_CLASS.search(attributes.get("class", "")))
        or re.search(
            r"#(?:user-content-)?_?(?:fn|ftn|edn|footnote|endnote|sdfootnote|sdendnote|cite_note)",
            attributes.get("href", ""),
        )
    )


def mark(text: str) -> str:
    """A mark as it is written: [3] → [^3], 3) → [^3], [1][2] → [^1][^2], 注1 → [^注1]."""
    text = " ".join(text.split())
    if _BRACKETED.fullmatch(text):
        parts = re.findall(r"[\[［〔【]([^\[\]［］〔〕【】]+)[\]］〕】]", text)
    else:
        parts = [re.sub(r"^[(（]|[)）\]]$", "", text)]
    return "".join(f"[^{part.strip().replace('[', '(').replace(']', ')')}]" for part in parts if part.strip())


def write_raised(
    text: str, before: str = "", after: str = "", marked: bool = False, noted: Collection[str] = ()
) -> str:
    """What is raised, as text: a mark, a power, or what is only set that way (1st, ™, 25 °C).

    Args:
        text: what is raised.
        before: the text of its block before it; what stands farther than `NEAR` does not matter.
        after: the text of its block after it, markup aside.
        marked: whether the markup says that it is a mark (`is_marked`).
        noted: marks with which a note begins on the page: after a number they are marks, unless that is 10 or 2.
    """
    text = " ".join(text.split())
    if not text:
        return ""
    if text in noted and before[-1:].isdigit() and not _BASE.search(before):
        marked = True
    if len(text) <= LONGEST and (marked or _is_mark(text, before, after)):
        return mark(text)
    if _ORDINAL.search(f"{before[-1:]}{text}") or text in ",，、":
        return text
    if text in ("o", "O", "0", "º", "◦", "∘") and before[-1:].isdigit() and re.match(r"\s?[CFＣＦ](?![a-z])", after):
        return "°"
    return _TRADE.get(text) or raised.raised(text)


def write_lowered(text: str) -> str:
    """What is lowered, as text."""
    return raised.lowered(text)


def _is_mark(text: str, before: str, after: str) -> bool:
    """Whether something raised is a mark by its form and by what precedes it."""
    variable = bool(_VARIABLE.search(before))
    if _BRACKETED.fullmatch(text):
        return True
    if _IN_PARENTHESES.fullmatch(text):
        return not variable and bool(_MARK.fullmatch(text))
    if _HALF.fullmatch(text):
        return True
    if _NAMED.fullmatch(text):
        return not variable or not set(text) <= set("*＊∗†‡")
    if _WITH_SIGN.fullmatch(text):
        return not variable
    if _LIST.fullmatch(text):
        return True
    if _RANGE.fullmatch(text):
        return not (variable or _BASE.search(before))
    return bool(_PLAIN.fullmatch(text)) and _is_plain_mark(text, before, after)


def _is_plain_mark(text: str, before: str, after: str) -> bool:
    """Whether a bare number raised after `before` is a mark."""
    if re.match(r"\s*[/⁄∕]", after):
        return False  # a fraction
    if is_mass_number(text, after) and not _LETTER_OR_DIGIT.search(before):
        return False
    if not before or before[-1:].isspace():
        return not _TEN.search(before)
    if re.search(r"\[\^[^\[\]]*\][,，、]?$", before):
        return True  # one mark after another
    if _AFTER_SENTENCE.search(before) or _YEAR.search(before) or _THOUSANDS.search(before):
        return True
    if _JAPANESE.search(before):
        return not _UNIT_IN_JAPANESE.search(before)
    word = _WORD.search(before)
    return word is not None and len(word[0]) >= 4 and word[0].lower() not in _UNITS
