"""Outlook's .msg as a mail: its properties by olefile, which is small and under BSD's licence; nothing in it is run.

A .msg is an OLE file with a stream for each property (MS-OXMSG). Its text or HTML is there beside Outlook's own RTF;
the names of its attachments are read, the attachments are not.
"""

from __future__ import annotations

import email
import email.message
import io
import re
from typing import Any

from nemo_kcpt.readers.mail_text import decoded

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TEXTS = {"0037": "Subject", "0E04": "To", "0E03": "Cc", "1035": "Message-ID", "1042": "In-Reply-To"}
"""Property -> the header it stands for."""
_SENDER, _ADDRESS, _SMTP, _HEADERS, _BODY, _HTML = "0C1A", "0C1F", "5D01", "007D", "1000", "1013"
_CODE_PAGES = {65001: "utf-8", 932: "cp932", 1252: "cp1252", 20932: "euc_jp", 50220: "iso2022_jp", 51932: "euc_jp"}


class BadMessage(ValueError):
    """A .msg cannot be read; says why."""


def outlook_message(data: bytes) -> email.message.Message:
    """The message of a .msg.

    Raises:
        BadMessage: it is damaged, no message, or has its text as RTF only.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            if not ole.exists("__properties_version1.0"):
                raise BadMessage(
                    "is no mail of Outlook, but another file of Office 97 to 2003; give it its right ending"
                )
            return _message(ole)
    except BadMessage:
        raise
    except Exception as error:  # olefile raises whatever a damaged file leads it into
        raise BadMessage(f"is damaged, or no mail of Outlook ({error}); export it anew") from None


def _message(ole: Any) -> email.message.Message:
    streams = {"/".join(name): name for name in ole.listdir()}
    message = email.message.Message()
    headers = email.message_from_string(_text(ole, streams, "", _HEADERS) or "")
    for name in ("From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To"):
        if headers[name]:
            message[name] = headers[name]
    for number, name in _TEXTS.items():
        if not message[name] and (text := _text(ole, streams, "", number)):
            message[name] = text
    if not message["From"]:
        address = _text(ole, streams, "", _SMTP) or _text(ole, streams, "", _ADDRESS)
        person = _text(ole, streams, "", _SENDER)
        message["From"] = f"{person} <{address}>" if person and "@" in address else person or address
    if not message["Date"] and (date := _date(ole)):
        message["Date"] = date
    _add_parts(ole, streams, message)
    return message


def _add_parts(ole: Any, streams: dict[str, Any], message: email.message.Message) -> None:
    message["Content-Type"] = "multipart/mixed"
    plain = _text(ole, streams, "", _BODY)
    page = _raw(ole, streams, f"__substg1.0_{_HTML}0102") or _text(ole, streams, "", _HTML).encode("utf-8")
    if not plain.strip() and not page.strip() and _raw(ole, streams, "__substg1.0_10090102"):
        raise BadMessage("has its text as RTF only; open it in Outlook and save it as text, HTML or .eml")
    for kind, content in (("plain", plain.encode("utf-8", "replace")), ("html", page)):
        if content.strip():
            part = email.message.Message()
            charset = ' charset="utf-8"' if kind == "plain" else _charset(content)
            part["Content-Type"] = f"text/{kind};{charset}"
            part["Content-Transfer-Encoding"] = "8bit"
            part.set_payload(content.decode("ascii", "surrogateescape"))
            message.attach(part)
    for folder in sorted({name.split("/")[0] for name in streams if name.startswith("__attach_version1.0")}):
        name = _text(ole, streams, f"{folder}/", "3707") or _text(ole, streams, f"{folder}/", "3704")
        part = email.message.Message()
        part["Content-Type"] = "application/octet-stream"
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name or "attachment"))
        message.attach(part)


def _charset(page: bytes) -> str:
    match = re.search(rb"charset\s*=\s*[\"']?([\w-]+)", page[:4096], re.I)
    return f' charset="{match[1].decode()}"' if match else ""


def _raw(ole: Any, streams: dict[str, Any], name: str) -> bytes:
    return bytes(ole.openstream(streams[name]).read()) if name in streams else b""


def _text(ole: Any, streams: dict[str, Any], folder: str, number: str) -> str:
    """A property that is text: in UTF-16, else in the message's code page."""
    if wide := _raw(ole, streams, f"{folder}__substg1.0_{number}001F"):
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    if narrow := _raw(ole, streams, f"{folder}__substg1.0_{number}001E"):
        return decoded(narrow.rstrip(b"\0"), _code_page(ole))
    return ""


def _fixed(ole: Any) -> dict[int, bytes]:
    """The properties of fixed size: number with kind -> eight bytes."""
    data = ole.openstream("__properties_version1.0").read()[32:]
    return {
        int.from_bytes(data[offset : offset + 4], "little"): data[offset + 8 : offset + 16]
        for offset in range(0, len(data) - 15, 16)
    }


def _code_page(ole: Any) -> str:
    value = _fixed(ole).get(0x3FFD0003) or _fixed(ole).get(0x3FDE0003) or b""
    return _CODE_PAGES.get(int.from_bytes(value[:4], "little"), "")


def _date(ole: Any) -> str:
    """When it was sent or arrived, as mails write dates."""
    import datetime
    import email.utils

    for number in (0x00390040, 0x0E060040):
        if value := _fixed(ole).get(number):
            moment = datetime.datetime(1601, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(
                microseconds=int.from_bytes(value, "little") // 10
            )
            return email.utils.format_datetime(moment)
    return ""
