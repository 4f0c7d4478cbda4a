"""ZIP files of XML from anywhere: what would do harm is refused before it is unpacked, what is none is named."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from nemo_kcpt.documents.base import Place
from nemo_kcpt.documents.zipped import BadContainer, Container, parse_xml
from tests.readers.reading import peak_of

OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)


def made(path: Path, entries: dict[str, bytes]) -> Path:
    """A ZIP file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, data in entries.items():
            stream.writestr(name, data)
    return path


def opened(path: Path, **place: int) -> Container:
    return Container(path, Place(name=str(path), **place), ".docx")


def why(path: Path, **place: int) -> str:
    """Why a file is refused."""
    with pytest.raises(BadContainer) as error, opened(path, **place) as container:
        for name in container.names:
            container.xml(name)
    return str(error.value)


def test_entries_are_read_by_names_without_case(tmp_path: Path) -> None:
    path = made(tmp_path / "a.docx", {"Word/Document.xml": "<a>東京</a>".encode(), "b/": b""})
    with opened(path) as container:
        assert container.names == ["Word/Document.xml"]
        assert "word/document.xml" in container and "b" not in container
        assert container.xml("/word/document.xml").text == "東京"
        assert container.size("nothing") == 0
        with pytest.raises(KeyError):
            container.read("nothing")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (OLE + "EncryptedPackage\0".encode("utf-16-le"), "locked by a password"),
        (OLE + "WordDocument\0".encode("utf-16-le"), "Word file of 97 to 2003; save it as .docx"),
        (OLE + "Workbook\0".encode("utf-16-le"), "Excel file of 97 to 2003; save it as .xlsx"),
        (OLE + "PowerPoint Document\0".encode("utf-16-le"), "PowerPoint file of 97 to 2003; save it as .pptx"),
        (OLE, "file of Office 97 to 2003"),
        (rb"{\rtf1\ansi 10}", "RTF"),
        (b"\xef\xbb\xbf<!DOCTYPE html><p>10</p>", "HTML under another name; name it .html"),
        ("<html><body>十</body></html>".encode("utf-16"), "HTML under another name"),
        (b"MIME-Version: 1.0\nContent-Type: multipart/related", "web archive"),
        (b'<?xml version="1.0"?><?mso-application progid="Word.Document"?><a/>', "flat XML"),
        (b"%PDF-1.7", "PDF under another name"),
        (b"name;value\nKasumi;10\n", "plain text"),
        (bytes(range(256)), "damaged, or no .docx file"),
        (b"PK\x03\x04" + bytes(40), "damaged or cut off"),
    ],
)
def test_what_is_no_such_file_is_named_by_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.docx"
    path.write_bytes(content)
    assert said in why(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_off(tmp_path: Path, share: float) -> None:
    data = made(
        tmp_path / "a.docx", {"a.xml": b"<a>%s</a>" % bytes(range(48, 58)) * 999, "b.xml": b"<b/>"}
    ).read_bytes()
    (tmp_path / "b.docx").write_bytes(data[: int(share * len(data))])
    assert "cut off" in why(tmp_path / "b.docx")


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as stream:
        stream.writestr("a.xml", "<a>12,400</a>")
    path.write_bytes(path.read_bytes().replace(b"<a>12,400</a>", b"<a>12,900</a>", 1))
    assert "damaged" in why(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as stream, stream.open("a.xml", "w") as a:
        for _ in range(100):
            a.write(bytes(1 << 20))
    assert "bomb; nothing was unpacked" in why(path)
    program = f"""
from pathlib import Path
from nemo_kcpt.readers.base import Place
from nemo_kcpt.documents.zipped import BadContainer, Container
before = peak()
try:
    Container(Path({str(path)!r}), Place(name="a"), ".docx")
except BadContainer:
    print(peak() - before)
"""
    _, grown = peak_of(program)
    assert grown < 8


def test_a_size_that_lies_lets_no_more_through(tmp_path: Path) -> None:
    path = made(tmp_path / "a.docx", {"a.xml": b"<a>" + b" " * (70 << 20) + b"</a>"})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<L", 7 + (70 << 20)), struct.pack("<L", 50)))
    assert "damaged" in why(path)


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.docx", {"a.xml": bytes(range(256)) * 40, "b.xml": b"<b/>"})
    with zipfile.ZipFile(path, "a") as stream:
        first = stream.infolist()[0]
        for number in range(40):
            entry = zipfile.ZipInfo(f"{number}.xml")
            entry.compress_type, entry.CRC, entry.header_offset = first.compress_type, first.CRC, first.header_offset
            entry.compress_size, entry.file_size = first.compress_size, first.file_size
            stream.filelist.append(entry)
        stream._didModify = True  # type: ignore[attr-defined]
    assert "overlap" in why(path)


def test_too_many_entries_and_two_of_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "two entries named A.xml" in why(made(tmp_path / "a.docx", {"a.xml": b"<a/>", "A.xml": b"<b/>"}))
    monkeypatch.setattr("nemo_kcpt.documents.zipped.ENTRIES", 3)
    assert "4 entries" in why(made(tmp_path / "b.docx", {f"{number}.xml": b"<a/>" for number in range(4)}))


def test_an_entry_larger_than_a_document_may_be(tmp_path: Path) -> None:
    path = made(tmp_path / "a.docx", {"a.xml": b"<a>%s</a>" % (b"12345" * 300_000)})
    assert "max_document_mb=" in why(path, max_bytes=1 << 20)


LAUGHS = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]><a b="&y;">&y;</a>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("xml", [LAUGHS, OUTSIDE, f"<!--{'x' * 300_000}-->{LAUGHS}"])
def test_entities_are_never_expanded(tmp_path: Path, xml: str, encoding: str) -> None:
    path = made(tmp_path / "a.docx", {"a.xml": xml.encode(encoding)})
    assert "declares XML entities" in why(path)
    with opened(path) as container, pytest.raises(BadContainer, match="declares XML entities"):
        list(container.stream_xml("a.xml", "a"))


def test_a_declaration_without_entities_is_fine() -> None:
    assert parse_xml(b"<!DOCTYPE html><html><p>10</p></html>", "a").findtext("p") == "10"


def test_broken_and_bottomless_xml(tmp_path: Path) -> None:
    assert "a.xml: is damaged" in why(made(tmp_path / "a.docx", {"a.xml": b"<a><b></a>"}))
    assert "b.xml: is damaged" in why(made(tmp_path / "b.docx", {"b.xml": b"<a>" * 100_000 + b"</a>" * 100_000}))


def test_streamed_elements_are_freed(tmp_path: Path) -> None:
    rows = b"".join(b"<row><c>%d</c></row>" % number for number in range(100_000))
    path = made(tmp_path / "a.docx", {"a.xml": b"<sheet>%s</sheet>" % rows})
    with opened(path) as container:
        total = sum(int(row.findtext("c")) for row in container.stream_xml("a.xml", "row"))
        assert total == sum(range(100_000))
        for row in container.stream_xml("a.xml", "row"):
            assert len(list(row.itersiblings(preceding=True))) <= 1


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = made(tmp_path / "a.docx", {"a.xml": b"<a/>"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    assert "locked by a password" in why(path)


def test_other_documents_in_a_zip_file(tmp_path: Path) -> None:
    assert "OpenDocument" in why(made(tmp_path / "a.docx", {"mimetype": b"application/vnd.oasis.opendocument.text"}))
    assert "name it .epub" in why(made(tmp_path / "b.docx", {"mimetype": b"application/epub+zip"}))
