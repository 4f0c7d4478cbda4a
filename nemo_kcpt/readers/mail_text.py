"""The text of a mail: decoded whatever its charset says, unwrapped, without the replies it quotes below itself and
without its signature.

A message is a document, so what it quotes at its end is read where it was written. Quotes that stand between its own
lines are what it answers, and stay. A forwarded message stays, too. What was left out is counted.
"""

from __future__ import annotations

import email.header
import re
from collections.abc import Callable, Sequence
from email.message import Message
from typing import NamedTuple

from nemo_kcpt.text.encodings import UnknownEncoding, decode

_JIS = re.compile(rb"\x1b(\$[@B]|\$\([DOPQ]|\([BJIH])")
NO_CHARSET = ("us-ascii", "ascii", "unknown-8bit", "binary", "default")
"""Names that say nothing of bytes beyond ASCII."""
_RAW = re.compile("[\udc80-\udcff]|\x1b")
_QUOTED = re.compile(r"\s{0,3}[>＞]")
_ATTRIBUTION = re.compile(
    r"\s*(?:On\b.{4,160}\bwrote:|.{0,120}(?:wrote|writes|schrieb|a écrit|escribió)\s?:"
    r"|.{0,120}(?:さん|氏|様)?(?:は|が)?書きました\s*[:：]"
    r"|\d{4}[年/-].{4,120}(?:<[^<>\s]+@[^<>\s]+>|書きました|のメール)\s*[:：]?)\s*$",
    re.S,
)
_ORIGINAL = re.compile(
    r"\s*-{2,}\s*(?:Original Message|元のメッセージ|Original-Nachricht|Message d'origine|Reply message|"
    r"返信元メッセージ)\s*-{2,}\s*$|"
    r"\s*_{20,}\s*$",
    re.I,
)
_HEADER_BLOCK = re.compile(r"\s*\*?(?:From|差出人|送信者|Von|De)\s*[:：]\*?\s*\S")
_HEADER_LINE = re.compile(r"\s*\*?(?:Sent|Date|To|Subject|Cc|送信日時|日時|宛先|件名|日付|CC)\s*[:：]")
_FORWARDED = re.compile(
    r"-{3,}\s*(?:Forwarded message|転送メッセージ|Forwarded by|転送されたメッセージ)|"
    r"Begin forwarded message:",
    re.I,
)
_SIGNATURE = re.compile(r"-- ?$")
_RULE = re.compile(r"\s*(?:[-=*_+#~－＝＊＿―─━═☆★◆◇■□●○・]\s?){8,}\s*$")
_CONTACT = re.compile(
    r"@|https?://|\bTel\b|\bFax\b|\bPhone\b|TEL|FAX|電話|〒|内線|株式会社|大学|Inc\.|Ltd\.|研究室|\+\d{2}", re.I
)
_NO_SIGN = b"\x81\xad"
"""Two bytes that mean nothing in CP932, and become U+FFFD."""
LONGEST_SIGNATURE = 15
"""Lines of a signature at most."""


class Body(NamedTuple):
    """The text of a message, and what was left out of it."""

    text: str
    quotes: int
    """1 if a quoted reply at the end was left out."""
    signatures: int
    """1 if a signature was left out."""


def decoded(data: bytes, charset: str | None) -> str:
    """Bytes as text: by their charset, else by what they surely are; what cannot be decoded becomes U+FFFD."""
    name = (charset or "").strip().strip("\"'").lower()
    if name.startswith("iso-2022-jp") or (_JIS.search(data) and data.isascii()):
        return _jis(data)
    name = {
        "shift_jis": "cp932",
        "shift-jis": "cp932",
        "x-sjis": "cp932",
        "windows-31j": "cp932",
        "ms_kanji": "cp932",
        "gb2312": "gb18030",
        "ks_c_5601-1987": "cp949",
        "euc-kr": "cp949",
        "big5": "cp950",
        "x-euc-jp": "euc_jp",
        "iso-8859-1": "cp1252",
    }.get(name, name)
    if name and name not in NO_CHARSET:
        try:
            return data.decode(name)
        except (LookupError, ValueError):  # a name of no encoding; bytes that do not fit
            pass
    try:
        return decode(data).text
    except UnknownEncoding:
        try:
            return data.decode(name or "ascii", "replace")
        except (LookupError, ValueError):
            return data.decode("ascii", "replace")


def _jis(data: bytes) -> str:
    """ISO-2022-JP as mailers write it: with the signs of CP932 (①, ㈱) and half-width kana."""
    pieces = _JIS.split(data)
    text, mode = pieces[0].decode("ascii", "replace"), b"(B"
    for mode, piece in zip(pieces[1::2], pieces[2::2]):
        if mode in (b"$@", b"$B"):
            text += _two_bytes(piece)
        elif mode == b"(I":
            text += bytes(byte | 0x80 for byte in piece).decode("cp932", "replace")
        else:
            text += piece.decode("ascii", "replace")
    return text


def _two_bytes(piece: bytes) -> str:
    """JIS's kanji by way of CP932, which has NEC's and IBM's signs too."""
    made = bytearray()
    index = 0
    while index < len(piece):
        first = piece[index]
        if first < 0x21 or index + 1 >= len(piece):  # a line's end within
            made.append(first)
            index += 1
            continue
        second = piece[index + 1]
        index += 2
        if not (first < 0x7F and 0x20 < second < 0x7F):
            made += _NO_SIGN
            continue
        odd = first % 2
        made.append((first - 0x21) // 2 + (0x81 if first < 0x5F else 0xC1))
        made.append(second + (0x1F if second < 0x60 else 0x20) if odd else second + 0x7E)
    return made.decode("cp932", "replace")


def decode_headers(message: Message, charset: str | None) -> None:
    """Turn headers that were written as they are, without the encoding of RFC 2047, into text, in place.

    RFC 6532 allows UTF-8; older mailers wrote the charset of their text. Python's own access makes U+FFFD of each byte.

    Args:
        message: a message or a part of one.
        charset: of the message's text, if it says one; asked where the bytes are no UTF-8.
    """
    raw = list(message.raw_items())
    decoded_items = [(name, _unescaped(value, charset)) for name, value in raw]
    if decoded_items != raw:
        for name in set(message.keys()):
            del message[name]
        for name, value in decoded_items:
            message.set_raw(name, value)


def raw_charset(message: Message) -> str | None:
    """What the bytes of a message that says no charset are in, by its headers and text together; None if not sure."""
    payload = message.get_payload(decode=True)
    values = [value for _, value in message.raw_items() if _RAW.search(value)]
    data = b"\n".join(value.encode("utf-8", "surrogateescape") for value in values)
    try:
        return decode(data + b"\n" + payload if isinstance(payload, bytes) else data).encoding if values else None
    except UnknownEncoding:
        return None


def _unescaped(value: str, charset: str | None) -> str:
    """A header as text; in `value` bytes are surrogates, as Python's parser leaves them."""
    if not _RAW.search(value):
        return value
    data = value.encode("utf-8", "surrogateescape")
    if data.isascii():  # with escapes
        return decoded(data, None)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return decoded(data, None if (charset or "").lower().startswith("iso-2022") else charset)


def header(value: object) -> str:
    """A header's text, whatever its words are encoded in."""
    raw = str(value or "")
    try:
        parts = email.header.decode_header(raw)
    except (ValueError, email.errors.HeaderParseError):
        return " ".join(raw.split())
    if not raw.isascii():  # what is no encoded word comes in this form from decode_header
        parts = [
            (part.decode("raw-unicode-escape") if isinstance(part, bytes) and name is None else part, name)
            for part, name in parts
        ]
    text = "".join(part if isinstance(part, str) else decoded(part, charset) for part, charset in parts)
    return " ".join(text.split())


def unwrapped(text: str, delete: bool) -> str:
    """Text of format=flowed (RFC 3676): lines that end in a space are joined with the next one.

    Args:
        text: of the part.
        delete: its delsp parameter: the space goes, as in Japanese.
    """
    lines: list[str] = []
    flowing = False
    for line in text.split("\n"):
        quoted = bool(_QUOTED.match(line))
        line = line[1:] if line.startswith(" ") and not quoted else line
        if flowing and lines and not quoted and not _SIGNATURE.match(line):
            lines[-1] = (lines[-1][:-1] if delete else lines[-1]) + line
        else:
            lines.append(line)
        flowing = line.endswith(" ") and not _SIGNATURE.match(line) and not quoted
    return "\n".join(lines)


def own_text(text: str, forwards: bool = False) -> Body:
    """What a message says itself.

    Args:
        text: the whole body.
        forwards: the subject says that it forwards another message, which then stays.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").rstrip().split("\n")
    forwards = forwards or bool(_FORWARDED.search(text))
    quotes = 0
    if not forwards:
        cut = _first(lines, _begins_original)
        if cut is not None and any(line.strip() for line in lines[:cut]):
            lines, quotes = lines[:cut], 1
    lines, signed = _without_signature(lines)
    kept = list(lines)
    while kept and (_QUOTED.match(kept[-1]) or not kept[-1].strip()):
        kept.pop()
    if any(_QUOTED.match(line) for line in lines[len(kept) :]) and kept:
        kept, quotes = _without_attribution(kept), 1
    else:
        kept = lines
    kept, again = _without_signature(kept)
    return Body("\n".join(kept).strip("\n"), quotes, int(signed or again))


def _first(lines: Sequence[str], test: Callable[[Sequence[str], int], bool]) -> int | None:
    return next((number for number in range(len(lines)) if test(lines, number)), None)


def _begins_original(lines: Sequence[str], number: int) -> bool:
    """Whether Outlook's copy of the message that is answered begins with a line."""
    following = lines[number + 1 : number + 6]
    headed = sum(bool(_HEADER_LINE.match(line)) for line in following) >= 2
    if _ORIGINAL.match(lines[number]):
        return headed or any(_HEADER_BLOCK.match(line) for line in following)
    return bool(_HEADER_BLOCK.match(lines[number])) and headed and number > 0


def _without_attribution(lines: Sequence[str]) -> list[str]:
    """Lines without the one or two last ones that say who wrote what is quoted below."""
    for count in (1, 2):
        last = " ".join(line.strip() for line in lines[-count:])
        if _ATTRIBUTION.match(last) and len(lines) > count:
            kept = list(lines[:-count])
            while kept and not kept[-1].strip():
                kept.pop()
            return kept
    return list(lines)


def _without_signature(lines: Sequence[str]) -> tuple[list[str], bool]:
    start = max(len(lines) - LONGEST_SIGNATURE, 1)
    for number in range(len(lines) - 1, start - 1, -1):
        if _SIGNATURE.match(lines[number]):
            return list(lines[:number]), True
    rules = [number for number in range(start, len(lines)) if _RULE.match(lines[number])]
    for number in rules:
        block = lines[number + 1 :]
        if any(_CONTACT.search(line) for line in block) and sum(map(len, block)) < 600:
            return list(lines[:number]), True
    return list(lines), False
