"""Control and zero-width characters: removed where they mean nothing, kept where a script or an emoji needs them.

Left alone on purpose: tab and LF; CR, VT, NEL, U+2028 and U+2029, which are line ends (`line_ends`); the form feed,
which is the mark between pages (see `page_marks`); variation selectors, which tell apart the kanji of names;
private-use characters, which are gaiji of the document's own font.

PDFium writes U+0002 or U+FFFE for the hyphen of a broken word and glues the two halves together. That is turned back
into the hyphen and the line end that stand on the page, so that `line_breaks` can decide about it as about any other.
"""

from __future__ import annotations

import re

from nemo_kcpt.cleaning.changed import Changed

_REMOVED = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # C0 and C1 but for white space
    "\u00ad"  # soft hyphen
    "\u200b-\u200d\u2060-\u2065\ufeff"  # zero-width space, joiners, word joiner, invisible operators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # bidi controls and their deprecated kin
    "\ufff9-\ufffb"  # interlinear annotation
    "\U000e0001\U000e0020-\U000e007f"  # tags
    "\ufdd0-\ufdef" + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
)
_SUSPECT = re.compile(f"[{_REMOVED}\ud800-\udfff]")
_FLAG_OR_SUSPECT = re.compile(f"\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f|{_SUSPECT.pattern}")
"""The flags of England, Scotland and Wales are spelt with tags; they are passed over whole."""
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = re.compile("[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff]")
_JOINING = re.compile("[\u0600-\u061b\u061d-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdcf\ufdf0-\ufdff]")
"""Scripts in which (non-)joiners choose the shape of a letter: Arabic, Indic, Tibetan, Myanmar, Khmer, Mongolian."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""Scripts that mark a place for a line break by a zero-width space: Thai, Lao, Myanmar, Khmer."""
_EMOJI = re.compile(
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55"
    "\u3030\u303d\u3297\u3299\ufe0f\U0001f000-\U0001faff]"
)
_LETTER = "[0-9A-Za-z\u00c0-\u024f\u0370-\u052f]"
"""Letters of scripts that hyphenate."""
_GLUED_HYPHEN = re.compile(f"(?<={_LETTER})[\x02\ufffe](?={_LETTER})")
_SOFT_HYPHEN_AT_LINE_END = re.compile(f"(?<={_LETTER})[\u00ad\x02\ufffe](?=\r?\n[ \t]*{_LETTER})")


def control_characters(text: str) -> Changed:
    """Remove control, zero-width and direction characters that mean nothing; a lone surrogate becomes U+FFFD."""
    if not _SUSPECT.search(text):
        return Changed(text, 0)
    text, at_ends = _SOFT_HYPHEN_AT_LINE_END.subn("-", text)
    text, glued = _GLUED_HYPHEN.subn("-\n", text)
    directed = _lines_with_direction(text) if _BIDI.search(text) else []
    count = at_ends + glued
    line = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count, line
        matched, start = match[0], match.start()
        while line < len(directed) and directed[line][1] <= start:
            line += 1
        has_direction = line < len(directed) and directed[line][0] <= start
        if len(matched) > 1 or (has_direction and _BIDI.match(matched)) or _is_needed(matched, text, start):
            return matched
        count += 1
        return "\ufffd" if "\ud800" <= matched <= "\udfff" else ""

    return Changed(_FLAG_OR_SUSPECT.sub(replace, text), count)


def _lines_with_direction(text: str) -> list[tuple[int, int]]:
    """Start and end of the lines that hold right-to-left letters; only there do direction marks mean something."""
    if not _RIGHT_TO_LEFT.search(text):
        return []
    spans, start = [], 0
    for line in text.split("\n"):
        if _RIGHT_TO_LEFT.search(line):
            spans.append((start, start + len(line)))
        start += len(line) + 1
    return spans


def _is_needed(character: str, text: str, index: int) -> bool:
    """Whether a joiner or a zero-width space has a meaning between its neighbours, which must be there to stay."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if character not in "\u200b\u200c\u200d" or not before or not after:
        return False
    if _SUSPECT.match(before) or _SUSPECT.match(after):
        return False
    if character == "\u200b":
        return bool(_UNSPACED.match(before) and _UNSPACED.match(after))
    if _JOINING.match(before):
        return True  # also before a space: the shape of a word's last letter
    return character == "\u200d" and bool(_EMOJI.match(before) and _EMOJI.match(after))


def page_marks(text: str) -> Changed:
    """Turn the form feeds between pages into paragraph breaks; for when no other step has dealt with them.

    `clean` calls it after `line_breaks` (which decides at each page's end whether the sentence continues) has run or
    was left out, and counts it under `control_characters`.
    """
    count = text.count("\f")
    if not count:
        return Changed(text, 0)
    pages = [page.strip("\n") for page in text.split("\f")]
    return Changed("\n\n".join(page for page in pages if page.strip()), count)
