"""Mails: one document a message of a .eml, or of Outlook's .msg; subject, people and date are fields, attachments are
named.

Of a message's parts the text is taken, or its HTML where the text is a mere stand-in for it; attachments are not read.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import re
from collections.abc import Iterator
from email.message import Message
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.markup.html.markdown import page_markdown
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.mail_outlook import OLE, BadMessage, outlook_message
from nemo_kcpt.readers.mail_text import (
    NO_CHARSET,
    Body,
    decode_headers,
    decoded,
    header,
    own_text,
    raw_charset,
    unwrapped,
)

_FORWARD = re.compile(r"\s*(?:fwd?|fw|転送|wg|tr)\s*[:：]", re.I)
_ADDRESSES = ("to", "cc")
DEEPEST = 50
"""Parts within parts."""


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The message of a file; one without text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    data = path.read_bytes()
    if not data.strip():
        yield Found(str(path), source, {}, "the file is empty")
        return
    if data.startswith(OLE):
        try:
            yield document(outlook_message(data), str(path), source)
        except BadMessage as error:
            yield Found(str(path), source, {}, str(error))
        return
    yield document(email.message_from_bytes(data, policy=email.policy.compat32), str(path), source)


def document(message: Message, where: str, source: str) -> Found:
    """The document of a message; a problem if it has no text."""
    if not message.keys():
        return Found(where, source, {}, "is no mail: it has no headers")
    charsets = (part.get_content_charset() for part in _parts(message))
    charset = next((name for name in charsets if name and name not in NO_CHARSET), None) or raw_charset(message)
    decode_headers(message, charset)
    subject = header(message["Subject"])
    text, count, names = _text(message, charset)
    body = own_text(text, bool(_FORWARD.match(subject)))
    if not body.text.strip():
        what = f"; it has only attachments ({', '.join(names)})" if names else ""
        whole = "; all of it is a quoted reply" if text.strip() else ""
        return Found(where, source, {}, f"there is no text in the message{what}{whole}")
    changes = {"raised": count, "mail_quotes": body.quotes, "mail_signatures": body.signatures}
    return Found(where, source, _record(message, source, subject, body, names), changes=changes)


def _record(message: Message, source: str, subject: str, body: Body, names: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "author": _people(message, "From"),
        "date": _date(message),
        **{name: _people(message, name) for name in _ADDRESSES},
        "message_id": str(message["Message-ID"] or "").strip(),
        "in_reply_to": str(message["In-Reply-To"] or "").strip(),
        "attachments": names,
    }
    return {
        "paper_id": source,
        "title": subject,
        **{name: value for name, value in fields.items() if value},
        "text": body.text,
    }


def _people(message: Message, name: str) -> str:
    """The people of a header, each by name and address."""
    people = email.utils.getaddresses([str(value) for value in message.get_all(name, [])])
    named = [(header(person), address) for person, address in people]
    return "; ".join(f"{person} <{address}>" if person and address else person or address for person, address in named)


def _date(message: Message) -> str:
    try:
        return email.utils.parsedate_to_datetime(str(message["Date"])).isoformat()
    except (TypeError, ValueError, IndexError):
        return header(message["Date"]) if message["Date"] else ""


def _text(message: Message, charset: str | None) -> tuple[str, int, list[str]]:
    """The text of a message's parts, how many pieces of it were raised, and the names of its attachments."""
    plain: list[str] = []
    pages: list[str] = []
    names: list[str] = []
    for part in _parts(message):
        decode_headers(part, charset)
        kind = part.get_content_type()
        name = header(part.get_filename()) if part.get_filename() else ""
        attached = part.get_content_disposition() == "attachment" or (
            bool(name) and kind not in ("text/plain", "text/html")
        )
        if attached or kind not in ("text/plain", "text/html"):
            if kind == "message/rfc822":
                name = name or _attached_subject(part, charset)
            if name or part.get_content_disposition() == "attachment":
                names.append(name or kind)
            continue
        content = part.get_payload(decode=True)
        text = decoded(content if isinstance(content, bytes) else b"", part.get_content_charset())
        if kind == "text/html":
            pages.append(text)
        elif str(part.get_param("format", "")).lower() == "flowed":
            plain.append(unwrapped(text.replace("\r\n", "\n"), str(part.get_param("delsp", "")).lower() == "yes"))
        else:
            plain.append(text)
    whole = "\n\n".join(block.strip("\r\n") for block in plain if block.strip())
    if not pages:
        return whole, 0, names
    converted = [page_markdown(page) for page in pages]
    html_text = "\n\n".join(text for text, _ in converted if text)
    if 2 * _letters(whole) >= _letters(html_text):
        return whole, 0, names
    return html_text, sum(count for _, count in converted), names


def _attached_subject(part: Message, charset: str | None) -> str:
    """What a message that is attached is about."""
    payload = part.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else None
    if not isinstance(inner, Message):
        return ""
    decode_headers(inner, inner.get_content_charset() or charset)
    return header(inner["Subject"])


def _parts(message: Message, depth: int = 0) -> Iterator[Message]:
    """The parts that are no containers; messages that are attached count as one part."""
    if message.get_content_maintype() != "multipart" or depth > DEEPEST:
        yield message
        return
    payload = message.get_payload()
    for part in payload if isinstance(payload, list) else ():
        if isinstance(part, Message):
            yield from _parts(part, depth + 1)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


READER = Reader(name="mail", suffixes=(".eml", ".msg"), read=read, documents=True)
