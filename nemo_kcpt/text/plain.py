"""The forms in which texts are compared, and the place in the original of each of their characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from nemo_kcpt.text.markup import without_markup

_SEPARATOR = re.compile(r"(?<=\d)[,'](?=\d{3}(?!\d))")
_JAPANESE_SPACE = re.compile(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED_RUN = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+)")
_FOOTNOTE = re.compile(r"⁽?[⁰¹²³⁴⁵⁶⁷⁸⁹]+⁾|\[\^[^\s\[\]]{1,12}\]")
_POWER_OF_TEN = re.compile(r"(?<![0-9.,]10)⁽([⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+)⁾")
_NOTE_LETTER = re.compile(r"(?<=[0-9][.,0-9][0-9])[ᵃᵇᶜᵈᵉᶠᵍʰ](?![ᵃ-ᶻⁱⁿ⁰-⁹])")
"""A note's mark behind a number of three places or more, 1,350ᵃ; behind fewer it may be a power."""
_LOWERED = "₀₁₂₃₄₅₆₇₈₉"
INVISIBLE_PLUS = "\u2064"
"""Stands between the whole number and the fraction of 2½ in `written`."""


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Spans that NFKC treats as one: a character and the marks that combine with it (half-width dakuten included)."""
    start = 0
    for index in range(1, len(text) + 1):
        joins = index < len(text) and (unicodedata.combining(text[index]) or text[index] in "ﾞﾟ")
        if not joins:
            yield start, index
            start = index


def normalise(text: str) -> tuple[str, list[int]]:
    """`text` after NFKC, case folding, without thousands separators and without blanks beside Japanese text.

    Returns:
        The form, and for each character of it the offset in `text` where it comes from.
    """
    characters: list[str] = []
    offsets: list[int] = []
    for start, end in _clusters(text):
        for character in unicodedata.normalize("NFKC", text[start:end]).casefold():
            blank = character.isspace()
            if blank and characters and characters[-1] == " ":
                continue
            characters.append(" " if blank else character)
            offsets.append(start)
    for pattern in (_JAPANESE_SPACE, _SEPARATOR):
        dropped = [index for match in pattern.finditer("".join(characters)) for index in range(*match.span())]
        for index in reversed(dropped):
            del characters[index], offsets[index]
    while characters and characters[-1] == " ":
        del characters[-1], offsets[-1]
    leading = 1 if characters and characters[0] == " " else 0
    return "".join(characters[leading:]), offsets[leading:]


def plain(text: str) -> tuple[str, list[int]]:
    """As `normalise`, with raised digits as ^ and digits, so that 10⁷ stays apart from 107.

    The list of places has one entry more, for the end.
    """
    raised, places = _powers(text)
    form, offsets = normalise(raised)
    return form, [places[offset] for offset in offsets] + [len(text)]


def _powers(text: str) -> tuple[str, list[int]]:
    characters: list[str] = []
    places: list[int] = []
    for index, character in enumerate(text):
        raised = character.translate(_RAISED)
        if raised != character and (index == 0 or text[index - 1].translate(_RAISED) == text[index - 1]):
            characters.append("^")
            places.append(index)
        characters.append(raised)
        places.append(index)
    return "".join(characters), places


def written(text: str) -> tuple[str, list[int]]:
    """The form in which numbers are read: NFKC with its case, and nothing lost that tells numbers apart.

    Raised digits become ^ and digits, lowered ones _ and digits, ½ becomes 1⁄2 (2½: 2, an invisible plus, 1⁄2);
    footnote marks (³⁾, [^3]) and circled numbers, which are references, become a blank; characters without width go.

    Returns:
        The form, and for each character of it the offset in `text` where it comes from, with one more for the end.
    """
    plain_text, origins = without_markup(text)
    if plain_text is not text:
        form, places = _of_characters(plain_text)
        return form, [*(origins[offset] for offset in places[:-1]), len(text)]
    return _of_characters(text)


def _of_characters(text: str) -> tuple[str, list[int]]:
    """As `written`, of a text without markup."""
    if text.isascii() and "[^" not in text:
        return text, list(range(len(text) + 1))
    characters: list[str] = []
    places: list[int] = []

    def put(form: str, offset: int) -> None:
        characters.extend(form)
        places.extend([offset] * len(form))

    after, expanded = 0, False
    for start, end in _clusters(text):
        if start < after:
            continue
        character = text[start]
        if match := _raised(text, start):
            after = match.end()
            if match.re is _FOOTNOTE:
                put("" if text[after : after + 1].isspace() else " ", start)
            else:
                put("^", start)
                for index in range(*match.span(1)):
                    put(text[index].translate(_RAISED), index)
            continue
        if _NOTE_LETTER.match(text, start):
            put(" ", start)
            continue
        if unicodedata.category(character) == "Cf" and end == start + 1:
            continue
        form = unicodedata.normalize("NFKC", text[start:end])
        if character in _LOWERED and (start == 0 or text[start - 1] not in _LOWERED):
            form = "_" + form
        elif form != character:
            form = _compatible(character, form, characters[-1] if characters else "")
        several, last = len(form) > 1 and form != text[start:end], characters[-1] if characters else ""
        if form[:1].isdigit() and (several or expanded) and (last.isdigit() or last == "."):
            put(" ", start)  # ¼5 is not 1/45
        expanded = several
        put("".join(" " if letter.isspace() else letter for letter in form), start)
    return "".join(characters), [*places, len(text)]


def _raised(text: str, start: int) -> re.Match[str] | None:
    """A power, whose first group is its exponent, or a footnote's mark that begins at `start`."""
    if text[start] not in "[⁽⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺":
        return None
    power = _POWER_OF_TEN.match(text, start) if text[max(0, start - 2) : start] == "10" else None
    return power or _FOOTNOTE.match(text, start) or _RAISED_RUN.match(text, start)


def _compatible(character: str, form: str, before: str) -> str:
    """NFKC's `form` of a fraction or a circled number, made such that it does not run together with its neighbours."""
    if "\u2044" in form:
        return (INVISIBLE_PLUS if before.isdigit() else "") + form
    return " " if unicodedata.decomposition(character).startswith("<circle>") and form.isdigit() else form
