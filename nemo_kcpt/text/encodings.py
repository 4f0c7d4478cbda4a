"""Text from bytes of unknown encoding: told for certain, or refused; never mojibake in silence, never U+FFFD.

Sure signs come first: a byte order mark, strict UTF-8, the escape sequences of ISO-2022-JP, the NULs of UTF-16 and
UTF-32. For what is left (`east_asian.py`), every East Asian encoding in which the bytes are valid is tried, and the
outcomes are compared by the share of characters that are frequent in the language; the library (faust-cchardet) decides
only between Western and Cyrillic encodings and in close calls. The reason is measured: of JaQuAD's articles in EUC-JP
cut to 30 characters the library alone gets about half wrong (`tests/text/test_encodings.py` prints its share beside
this module's).
"""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from typing import NamedTuple

from nemo_kcpt.errors import BadInput
from nemo_kcpt.text.east_asian import ANY_FREQUENT, CONTROLS, SURE, by_frequency, doubt, evidence, strictly
from nemo_kcpt.text.east_asian import UnknownEncoding as UnknownEncoding


class Decoded(NamedTuple):
    """Text, and the name of the encoding (as Python knows it) that its bytes were in."""

    text: str
    encoding: str


class BrokenUtf8(UnknownEncoding):
    """Nearly all of the bytes are UTF-8, but not all: a damaged file, not one in another encoding."""


BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WIDE = ("utf-16-le", "utf-16-be")
ISO_2022_JP = ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2004")
SEQUENCES = 24
"""Bytes of a valid UTF-8 text beyond one a character from which on it is not looked at as UTF-16, which takes time: of
400,000 stretches of Japanese and English in UTF-16 none was such a text."""
MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive (or an Office document)"),
    (b"\x1f\x8b", "gzip"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ\x90", "a program (Windows)"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"{\\rtf", "RTF"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3", "an SQLite database"),
)
_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def decode(data: bytes, name: str = "auto") -> Decoded:
    """The text of a whole file, with the encoding `name`, or with the one its bytes are recognised to be in.

    Raises:
        UnknownEncoding: the bytes are no text, are not in `name`, or could be in several encodings.
        BadInput: Python knows no encoding `name`.
    """
    if kind := binary_kind(data):
        raise UnknownEncoding(f"is {kind}, not text; give the file its right ending, or convert it to text")
    encoding = detect(data) if name == "auto" else check_name(name)
    if name == "auto" and encoding == "utf-8-sig":
        data, encoding = data[3:], "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnknownEncoding(f"is not {encoding}: {_where(data, error)}") from None
    text = text.removeprefix("\ufeff")
    controls = len(CONTROLS.findall(text))
    if "\x00" in text or controls > len(text) // 20:
        raise UnknownEncoding(f"holds {controls} control characters: is it text at all? Give a text file")
    return Decoded(text, encoding)


def detect_head(head: bytes) -> str:
    """The encoding of a stream by its first bytes, which may end within a character; ASCII counts as UTF-8.

    Raises:
        UnknownEncoding: as `decode`.
    """
    if kind := binary_kind(head):
        raise UnknownEncoding(f"is {kind}, not text; give the file its right ending, or convert it to text")
    return detect(head, complete=False)


def check_name(name: str) -> str:
    """Python's name of an encoding given by hand; what is called Shift_JIS is read as its superset CP932.

    Raises:
        BadInput: Python knows no such encoding of text.
    """
    try:
        info = codecs.lookup(name)
        with suppress(UnicodeError):
            b"text".decode(name)  # refuses codecs that are no encodings, as rot13 or zip
    except LookupError:
        known = "utf-8, utf-16, cp932, euc_jp, iso2022_jp, cp1252"
        raise BadInput(f"encoding={name}: there is no such encoding; auto, or one as {known}") from None
    return {"shift_jis": "cp932", "euc_kr": "cp949", "gb2312": "gb18030", "big5": "cp950"}.get(info.name, info.name)


def binary_kind(data: bytes) -> str:
    """What a file is whose first bytes are those of a format that is no text; empty if they are not."""
    return next((kind for magic, kind in MAGIC if data.startswith(magic)), "")


def detect(data: bytes, complete: bool = True) -> str:
    """The name of the encoding that `data` is in; with `complete` false, its last character may be cut off.

    Raises:
        UnknownEncoding: it cannot be told.
    """
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return encoding
    if b"\x1b$" in data and data.isascii():
        for encoding in ISO_2022_JP:
            if (text := strictly(data, encoding, complete)) is not None and "\x1b" not in text:
                return encoding
    utf8 = strictly(data, "utf-8", complete)
    wide = "" if utf8 is not None and len(data) - len(utf8) >= SEQUENCES else _wide(data, complete)
    if utf8 is not None and not wide:
        if "\x00" in utf8:
            raise UnknownEncoding(f"holds NUL bytes (the first at byte {data.index(0)}): is it text at all?")
        return "utf-8"
    if utf8 is not None and not CONTROLS.search(utf8):
        raise doubt(["utf-8", wide])
    if wide:
        return wide
    if 0 in data:
        raise UnknownEncoding(f"holds NUL bytes (the first at byte {data.index(0)}): is it text at all?")
    _refuse_broken_utf8(data)
    return by_frequency(data, complete)


def _wide(data: bytes, complete: bool) -> str:
    """UTF-16 or UTF-32 without a mark, if the bytes are surely that."""
    sample = data[: 1 << 14]
    if (complete and len(data) % 2) or len(data) < 2:
        return ""
    if len(sample) >= 8:
        for encoding, zero in (("utf-32-le", 3), ("utf-32-be", 0)):
            text = strictly(data, encoding, complete) if not any(sample[zero::4]) else None
            if text and "\x00" not in text:
                return encoding
    sample = sample[: len(sample) // 2 * 2]
    scores = {}
    for encoding in WIDE:
        if (text := strictly(sample, encoding, False)) is not None:
            scores[encoding] = evidence(text, ANY_FREQUENT)
    best = max(scores, key=lambda name: scores[name], default="")
    if not best or scores[best] < SURE or any(scores[best] - scores[name] < SURE for name in scores if name != best):
        return ""
    text = strictly(data, best, complete)
    return "" if text is None or "\x00" in text else best


def _refuse_broken_utf8(data: bytes) -> None:
    """Refuse damaged UTF-8: guessing another encoding for it would make mojibake of all of it."""
    kept = data.decode("utf-8", "ignore")
    good = sum(len(character.encode()) for character in kept if character >= "\x80")
    lost = len(data) - len(kept.encode())
    if good >= 12 and lost * 10 <= good:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BrokenUtf8(f"is UTF-8, but damaged: {_where(data, error)}; repair it there") from None


def _where(data: bytes, error: UnicodeDecodeError) -> str:
    line = data.count(b"\n", 0, error.start) + 1
    return f"byte {error.start:,} (0x{data[error.start]:02x}, line {line:,}) does not fit"
