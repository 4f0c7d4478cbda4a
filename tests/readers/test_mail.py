"""Mails, mailboxes and Outlook's messages."""

from __future__ import annotations

import struct
from email.message import EmailMessage
from pathlib import Path

import pytest

from nemo_kcpt.readers import base, readers
from nemo_kcpt.readers.mail_text import decoded, own_text
from tests.readers.ole import ole_file
from tests.readers.reading import found, pieces_of, problem, records

HEAD = b"From: =?iso-2022-jp?B?GyRCOzNFREJATzobKEI=?= <taro@example.jp>\r\n"
HEAD += b"To: b@example.jp, C <c@example.jp>\r\n"
HEAD += b"Subject: =?utf-8?Q?=E9=9C=9E=E3=81=AE?=\r\n =?utf-8?Q?=E4=BB=B6?=\r\n"
HEAD += b"Date: Fri, 1 Mar 2024 10:00:00 +0900\r\nMessage-ID: <1@x>\r\n"


def read(tmp_path: Path, data: bytes) -> dict[str, object]:
    (tmp_path / "a.eml").write_bytes(data)
    (record,) = records(tmp_path)
    return record


def test_headers_are_fields_and_attachments_are_named(tmp_path: Path) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Taro <taro@example.jp>", "b@example.jp", "霞の件 12,400"
    message["Date"], message["Message-ID"], message["In-Reply-To"] = "Fri, 1 Mar 2024 10:00:00 +0900", "<1@x>", "<0@x>"
    message.set_content("参加者は２４人、10–20 %。\n")
    message.add_alternative("<p>参加者は<b>２４</b>人、10–20 %。</p>", subtype="html")
    message.add_attachment(b"\0\1", maintype="application", subtype="pdf", filename="報告 5.pdf")
    inner = EmailMessage()
    inner["Subject"] = "Inner 6"
    inner.set_content("hidden 99")
    message.add_attachment(inner)
    assert read(tmp_path, message.as_bytes()) == {
        "paper_id": "a.eml",
        "title": "霞の件 12,400",
        "author": "Taro <taro@example.jp>",
        "to": "b@example.jp",
        "date": "2024-03-01T10:00:00+09:00",
        "message_id": "<1@x>",
        "in_reply_to": "<0@x>",
        "attachments": ["報告 5.pdf", "Inner 6"],
        "text": "参加者は２４人、10–20 %。",
    }


TEXT = "本研究では、参加者は２４人である。①のとおり、㈱霞は12,400円。"


@pytest.mark.parametrize("charset", ["utf-8", "cp932", "Shift_JIS", "euc-jp", "", "us-ascii"])
def test_charsets_as_mailers_write_them(tmp_path: Path, charset: str) -> None:
    codec = {"Shift_JIS": "cp932", "": "utf-8", "us-ascii": "cp932", "euc-jp": "euc_jis_2004"}.get(charset, charset)
    text = TEXT.replace("㈱", "") if codec == "euc_jis_2004" else TEXT
    said = f'; charset="{charset}"' if charset else ""
    body = HEAD + f"Content-Type: text/plain{said}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
    record = read(tmp_path, body + text.encode(codec))
    assert (record["text"], record["title"], record["author"]) == (text, "霞の件", "山田太郎 <taro@example.jp>")


@pytest.mark.parametrize("charset", ["utf-8", "cp932", "euc_jp", "iso2022_jp", "utf-8 in a mail of cp932"])
def test_headers_that_are_not_encoded(tmp_path: Path, charset: str) -> None:
    """Bytes as they are (RFC 6532 allows UTF-8; old mailers wrote their own charset): subject, people, attachments."""
    codec, _, body = charset.partition(" in a mail of ")
    body = body or codec
    name = {"cp932": "Shift_JIS", "iso2022_jp": "ISO-2022-JP", "euc_jp": "EUC-JP"}.get(body, body)
    head = 'From: "山田, 表" <taro@example.jp>\r\nTo: 佐藤花子 <b@example.jp>, c@example.jp\r\n'
    head += "Subject: Re: 霞の件 12,400 ソ能\r\nMIME-Version: 1.0\r\n"
    head += 'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n'
    text = f"Content-Type: text/plain; charset={name}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
    file = '\r\n--x\r\nContent-Type: application/pdf; name="報告書 表5.pdf"\r\n'
    file += 'Content-Disposition: attachment; filename="報告書 表5.pdf"\r\n\r\nA\r\n--x--\r\n'
    record = read(tmp_path, head.encode(codec) + text + TEXT[:17].encode(body) + file.encode(codec))
    assert record["title"] == "Re: 霞の件 12,400 ソ能"
    assert record["author"] == "山田, 表 <taro@example.jp>"
    assert record["to"] == "佐藤花子 <b@example.jp>; c@example.jp"
    assert record["attachments"] == ["報告書 表5.pdf"]
    assert record["text"] == TEXT[:17]
    (tmp_path / "a.mbox").write_bytes(b"From a Fri Mar  1 10:00:00 2024\n" + (tmp_path / "a.eml").read_bytes() + b"\n")
    (tmp_path / "a.eml").unlink()
    assert records(tmp_path)[0]["title"] == record["title"]


def test_headers_that_are_not_encoded_and_no_charset(tmp_path: Path) -> None:
    head = "From: 田中 <t@x.jp>\nSubject: 第三回の会議の件について\n\n会議は12,400円の予算で行う。\n"
    record = read(tmp_path, head.encode("cp932"))
    assert (record["author"], record["title"]) == ("田中 <t@x.jp>", "第三回の会議の件について")


def test_encoded_words_beside_what_is_not_encoded(tmp_path: Path) -> None:
    head = "From: a@x.jp\nSubject: =?utf-8?B?6Zye?= 生の件\nContent-Type: text/plain; charset=utf-8\n\n本文5。\n"
    assert read(tmp_path, head.encode())["title"] == "霞 生の件"


def test_iso_2022_jp_with_the_signs_that_it_has_not() -> None:
    assert decoded(TEXT[:17].encode("iso2022_jp"), "iso-2022-jp") == TEXT[:17]
    assert decoded(b'\x1b$B-!-j\x1b(B 5\n\x1b$B$"\x1b(B', "ISO-2022-JP") == "①㈱ 5\nあ"
    assert decoded(b"\x1b(I1\x1b(B1", None) == "ｱ1"
    assert "\ufffd" in decoded(b'\x1b$B\xff\xff$"\x1b(B5', "iso-2022-jp")
    assert decoded(b"5", "no\0name") == decoded(b"5", "rot13") == decoded(b"5", "undefined") == "5"


def test_quoted_printable_and_flowed_lines(tmp_path: Path) -> None:
    body = b"Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes\r\n"
    body += b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    text = "値は12,=\r\n400円で、 \r\n続く。\r\n次の行=20\r\nの 5".encode()
    quoted = b"".join(bytes([byte]) if byte < 128 else f"={byte:02X}".encode() for byte in text)
    assert read(tmp_path, HEAD + body + quoted)["text"] == "値は12,400円で、続く。\n次の行の 5"


def test_html_is_read_where_the_text_is_a_stand_in(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "S"
    message.set_content("See the HTML version.")
    page = (
        "<p>Sizes at 10<sup>6</sup> Pa, of which there are several in this table here.</p>"
        "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"
    )
    message.add_alternative(page, subtype="html")
    text = read(tmp_path, message.as_bytes())["text"]
    assert (
        text == "Sizes at 10⁶ Pa, of which there are several in this table here.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |"
    )


@pytest.mark.parametrize(
    ("text", "own", "quotes", "signatures"),
    [
        ("Yes, 5.\n\nOn Fri, Mar 1, 2024 at 10:00 Taro <t@x.jp> wrote:\n> Is it 6?\n> 7\n", "Yes, 5.", 1, 0),
        ("はい、5 です。\n\n2024年3月1日(金) 10:00 山田 <t@x.jp>:\n> 6 ですか\n", "はい、5 です。", 1, 0),
        ("はい。\n\n山田さんは書きました:\n> 6\n", "はい。", 1, 0),
        ("> Is it 6?\nNo, 5.\n> Or 7?\nYes.", "> Is it 6?\nNo, 5.\n> Or 7?\nYes.", 0, 0),
        ("Sure 5.\n\n-----Original Message-----\nFrom: A\nSent: Friday\nTo: B\nSubject: S\n\nOld 6", "Sure 5.", 1, 0),
        ("承知 5。\n\n差出人: 山田\n送信日時: 2024年\n宛先: 佐藤\n件名: 霞\n\n旧 6", "承知 5。", 1, 0),
        (
            "FYI 5\n---------- Forwarded message ---------\nFrom: A\nDate: B\nSubject: S\n\nOld 6",
            "FYI 5\n---------- Forwarded message ---------\nFrom: A\nDate: B\nSubject: S\n\nOld 6",
            0,
            0,
        ),
        ("Text 5.\n-- \nTaro\nTel 03-1234", "Text 5.", 0, 1),
        ("本文 5。\n\n==========\n山田 太郎\n霞大学\nTEL 03-1234\n==========\n", "本文 5。", 0, 1),
        ("Table\n----------\n1 2\n3 4\n", "Table\n----------\n1 2\n3 4", 0, 0),
        ("> all 5\n> is quoted", "> all 5\n> is quoted", 0, 0),
    ],
)
def test_quoted_replies_and_signatures(text: str, own: str, quotes: int, signatures: int) -> None:
    assert own_text(text) == (own, quotes, signatures)
    assert set(base.READER_CHANGES) >= {"mail_quotes", "mail_signatures"}


def test_a_forwarded_mail_of_outlook_stays(tmp_path: Path) -> None:
    body = b"\r\n\r\nSee 5.\r\n\r\nFrom: A\r\nSent: B\r\nTo: C\r\n\r\nOld 6"
    (tmp_path / "a.eml").write_bytes(b"Subject: FW: x" + body)
    (tmp_path / "b.eml").write_bytes(b"Subject: RE: x" + body)
    first, second = found(tmp_path)
    assert "Old 6" in first.record["text"] and second.record["text"] == "See 5."
    assert (first.changes["mail_quotes"], second.changes["mail_quotes"]) == (0, 1)


def mailbox(count: int) -> bytes:
    message = b"From a@x Fri Mar  1 10:00:00 2024\nSubject: S%d\n\nText %d.\n>From here on\nFrom there, 2024 men\n\n"
    return b"".join(message % (number, number) for number in range(count))


def test_a_mailbox_is_a_document_a_message_in_any_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mbox").write_bytes(mailbox(50))
    whole = found(tmp_path)
    assert [item.record["paper_id"] for item in whole] == [f"a.mbox#{number}" for number in range(1, 51)]
    assert whole[7].record["text"] == "Text 7.\nFrom here on\nFrom there, 2024 men" and whole[7].record["title"] == "S7"
    monkeypatch.setattr("nemo_kcpt.readers.mbox.PIECE", 500)
    place, pieces = pieces_of(tmp_path)
    assert len(pieces) > 5
    assert [item for piece in pieces for item in readers()["mbox"].documents_of(place, piece)] == whole


def test_one_bad_message_does_not_hide_the_others(tmp_path: Path) -> None:
    big = b"From a@x Fri Mar  1 10:00:00 2024\nSubject: big\n\n" + b"x" * 80 + b"\n" * 2_000_000 + b"\n"
    (tmp_path / "a.mbox").write_bytes(
        mailbox(1) + b"From a@x Fri Mar  1 10:00:00 2024\nSubject: none\n\n\n" + big + mailbox(1)
    )
    items = found(tmp_path, max_bytes=1 << 20)
    assert [bool(item.problem) for item in items] == [False, True, True, False]
    assert "more than the limit of 1 MiB" in items[2].problem


def outlook(**more: bytes) -> bytes:
    date = struct.pack("<IIQ", 0x00390040, 6, (13_353_724_800 + 3600) * 10**7)
    streams = {
        "__properties_version1.0": b"\0" * 32 + date,
        "__substg1.0_0037001F": "霞の件 5".encode("utf-16-le"),
        "__substg1.0_0C1A001F": "山田".encode("utf-16-le"),
        "__substg1.0_5D01001F": "taro@example.jp".encode("utf-16-le"),
        "__substg1.0_1000001F": "参加者は24人。\r\n-- \r\n山田".encode("utf-16-le"),
        "__attach_version1.0_#00000000/__substg1.0_3707001F": "報告.pdf".encode("utf-16-le"),
    }
    return ole_file({**streams, **more})


def test_a_mail_of_outlook(tmp_path: Path) -> None:
    (tmp_path / "a.msg").write_bytes(outlook())
    (record,) = records(tmp_path)
    assert record == {
        "paper_id": "a.msg",
        "title": "霞の件 5",
        "author": "山田 <taro@example.jp>",
        "date": "2024-03-01T01:00:00+00:00",
        "attachments": ["報告.pdf"],
        "text": "参加者は24人。",
    }


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.eml", b"", "the file is empty"),
        ("a.eml", b"Subject: x\r\n\r\n", "there is no text in the message"),
        (
            "a.eml",
            b"Subject: x\nContent-Type: application/pdf; name=b.pdf\nContent-Disposition: attachment\n\nxx",
            "it has only attachments (b.pdf)",
        ),
        ("a.eml", b"no mail at all", "is no mail: it has no headers"),
        ("a.mbox", b"Subject: x\n\ntext", "is no mailbox: it does not begin with a line"),
        ("a.mbox", b"", "the file is empty"),
        ("a.msg", outlook()[:700], "is damaged, or no mail of Outlook"),
        ("a.msg", ole_file({"WordDocument": b"x"}), "is no mail of Outlook, but another file of Office"),
        ("a.msg", outlook(**{"__substg1.0_1000001F": b"", "__substg1.0_10090102": b"rtf"}), "has its text as RTF only"),
    ],
)
def test_bad_mails_are_named(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert expected in problem(tmp_path / name)


def test_a_mail_that_is_nested_without_end_is_named_and_ends_no_corpus(tmp_path: Path) -> None:
    """Python's parser calls itself for each level; what it then raises is of no format's own."""
    levels = "".join(f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(2_000))
    (tmp_path / "a.eml").write_text(f"{HEAD.decode()}Content-Type: multipart/mixed; boundary=b0\n\n{levels}")
    (tmp_path / "b.eml").write_bytes(HEAD + b"\r\nKasumi 12,400")
    first, second = found(tmp_path)
    assert "nested too deeply" in first.problem and not first.record
    assert second.record["text"] == "Kasumi 12,400"
