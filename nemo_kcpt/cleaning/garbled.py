"""Text that is broken beyond cleaning: characters that cannot be stored, and mojibake, bytes read in the wrong
encoding.

Mojibake decodes without an error, so nothing but its looks gives it away. It is never repaired here: what was lost on
the way is not known, and the original is better converted anew. The patterns also fit what the other steps make of it,
such as full-width instead of half-width katakana, since the text is judged after cleaning. Each look begins with one
for a character that clean text has not, so 20,000 clean characters cost about a millisecond.
"""

from __future__ import annotations

import re

REPLACED = 0.01
"""Share of U+FFFD from which a text is garbled; fewer than `FEWEST_REPLACED` are an accident."""
FEWEST_REPLACED = 3
REPLACED_RUN = 20
"""U+FFFD in a row that are more than a few lost characters."""
DENSITY = 1000
"""Characters of text for one sign of mojibake; papers about encodings quote some."""
COVERED = 0.05
"""Share of the text that is made of pairs of which each was one character."""

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_CP1252 = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_UTF8_IN_CP932 = re.compile("[縺繧繝](?![れるらりろっ])")
_HALF_WIDTH = re.compile("[｡-ﾟ]")
_UTF8_IN_LATIN = re.compile(f"[ÂÃâãäåæçèéêëìíîïðÐÑ][{_CP1252}]")
_HIGH = re.compile("[\xa1-\xff]")
_PAIRS = (
    ("EUC-JP read as CP932", "､、･・", re.compile("(?:[､、･・][ァ-ヴーｦ-ﾟ]){5,}(?![ァ-ヴー])")),
    ("EUC-JP read as Latin-1", "¤¥", re.compile("(?:[¤¥][¡-ÿ]){3,}")),
    (
        "CP932 read as Latin-1",
        "‚\x82ƒ\x83",
        re.compile("(?:[‚\x82][\x80-ÿœžŒŽŠŸš™˜›‹]){3,}|(?:[ƒ\x83][@-~\x80-ÿ]){3,}"),
    ),
)
_ISO_2022_JP = re.compile(r"\x1b?\$[B@](?:[!-~]{2}){2,200}?\x1b?\([BJ]")


def unusable(text: str) -> int:
    """How many NULs and lone surrogates are in the text; neither can be written as UTF-8 and passed on safely."""
    return len(_UNUSABLE.findall(text))


def looks_garbled(text: str) -> str:
    """Why the text looks like mojibake or lost its characters; "" if it does not."""
    if text.isascii():
        return _iso_2022_jp(text)
    return _replaced(text) or _in_cp932(text) or _in_latin(text) or _paired(text) or _iso_2022_jp(text)


def _replaced(text: str) -> str:
    count = text.count("\ufffd")
    if count > max(REPLACED * len(text), FEWEST_REPLACED - 1) or "\ufffd" * (REPLACED_RUN + 1) in text:
        return f"{count} characters of {len(text)} were lost when it was decoded (U+FFFD)"
    return ""


def _in_cp932(text: str) -> str:
    """UTF-8 read as CP932: hiragana become 縺 and another character, katakana 繧 or 繝 and another one."""
    signs = list(_UTF8_IN_CP932.finditer(text)) if any(sign in text for sign in "縺繧繝") else []
    if len(signs) > 2 and len(signs) > 0.05 * len(text):
        return _reason("UTF-8 read as CP932", text, signs[0])
    half = _HALF_WIDTH.search(text)
    return _reason("UTF-8 read as CP932", text, signs[0] if signs else half) if half and _turns_into_utf8(text) else ""


def _turns_into_utf8(text: str) -> bool:
    """Whether most of what is not ASCII is UTF-8 once it is CP932 again; real Japanese practically never is."""
    raw = text.encode("cp932", "ignore")
    mended = raw.decode("utf-8", "ignore")
    high = sum(byte > 127 for byte in raw)
    return 3 * sum(character > "\u07ff" for character in mended) > 0.7 * max(high, 6)


def _in_latin(text: str) -> str:
    """Bytes of Japanese or UTF-8 read as Latin-1 or CP1252: "ã“ã‚“", "donâ€™t"; ftfy knows which are no words."""
    if not (first := _HIGH.search(text)):
        return ""
    if len(_HIGH.findall(text)) > max(10, 0.4 * len(text)):
        return _reason("another encoding read as Latin-1", text, first)
    if not (match := _UTF8_IN_LATIN.search(text)):
        return ""
    from ftfy.badness import badness

    return _reason("UTF-8 read as Latin-1", text, match) if badness(text) * DENSITY >= len(text) else ""


def _paired(text: str) -> str:
    for what, signs, pattern in _PAIRS:
        if any(sign in text for sign in signs) and (first := pattern.search(text)):
            covered = sum(len(match[0]) for match in pattern.finditer(text))
            if covered > max(10, COVERED * len(text)):
                return _reason(what, text, first)
    return ""


def _iso_2022_jp(text: str) -> str:
    """Its escape sequences, or what is left of them without the escape character."""
    first = _ISO_2022_JP.search(text) if "$B" in text or "$@" in text else None
    covered = sum(len(match[0]) for match in _ISO_2022_JP.finditer(text)) if first else 0
    return _reason("ISO-2022-JP that was not decoded", text, first) if first and covered > COVERED * len(text) else ""


def _reason(what: str, text: str, match: re.Match[str]) -> str:
    start = max(0, match.start() - 5)
    return f'looks like {what}, as in "{" ".join(text[start : start + 20].split())}"; convert the original to UTF-8'
