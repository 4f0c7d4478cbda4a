"""Documents that are a ZIP file of XML (.docx, .pptx, .xlsx, .epub), opened so that a hostile one does no harm.

What the file would unpack to is looked at before anything is unpacked: how many entries it has, their sizes, how far
they are packed. XML is read without a DTD's entities, without the network, and to a limited depth; nothing is written
to disk, and nothing in the file is run. Whatever is no such ZIP file is named: by what it is, and what to do with it.
"""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from nemo_kcpt.documents.base import Place, too_large

ENTRIES = 20_000
"""Entries that a file may have."""
UNPACKED = 2 << 30
"""Bytes that all entries together may unpack to, whatever the file's size."""
RATIO = 200
"""A file may unpack to so many times its size; XML packs to a twentieth, tables of zeros to a hundredth."""
SMALL = 32 << 20
"""Bytes up to which `RATIO` does not count."""
AGAIN = 3
"""So many times, on average, an entry may be read; a file may refer to one from a million places."""
BLOCK = 1 << 18
ZIP, OLE = b"PK", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""How ZIP files, and the files of Office 97 to 2003, begin."""
_ENCRYPTED = 0x1
"""Bit of an entry's flags."""
_OLE_STREAMS = {
    "EncryptedPackage": "is locked by a password; open it in Office and save it without one",
    "WordDocument": "is a Word file of 97 to 2003; save it as .docx, for instance with soffice --headless --convert-to "
    "docx",
    "Workbook": "is an Excel file of 97 to 2003; save it as .xlsx, for instance with soffice --headless --convert-to "
    "xlsx",
    "Book": "is an Excel file of 5.0 or 95; save it as .xlsx, for instance with soffice --headless --convert-to xlsx",
    "PowerPoint Document": "is a PowerPoint file of 97 to 2003; save it as .pptx, for instance with soffice --headless "
    "--convert-to pptx",
    "__properties_version1.0": "is a mail of Outlook; name it .msg",
}
"""Stream in an OLE file -> what the file is, and what to do."""
_MIMETYPES = {
    "application/vnd.oasis.opendocument": "is an OpenDocument file; save it as {wanted}",
    "application/epub+zip": "is an EPUB book; name it .epub",
}
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError)
"""What Python's zipfile raises of a damaged file."""
_HTML = re.compile(rb"<!doctype\s+html|<html\b|<head\b|<body\b|<table\b", re.I)


class BadContainer(Exception):
    """The file cannot be read; says why, and what would help."""


class Container:
    """An open ZIP file whose limits were checked; a context manager.

    Args:
        path: the file.
        place: where the corpus is; its `max_bytes` limits what is unpacked into memory at once.
        wanted: the format's ending, for messages (".docx").

    Raises:
        BadContainer: it is something else, locked, damaged, or would unpack to too much.
    """

    def __init__(self, path: Path, place: Place, wanted: str) -> None:
        if not path.stat().st_size:
            raise BadContainer("the file is empty")
        with path.open("rb") as stream:
            if not stream.read(2).startswith(ZIP):
                raise BadContainer(what_else(path, wanted))
        self.path, self.place = path, place
        try:
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise BadContainer(_damaged(error)) from None
        try:
            self._entries = _checked(self._zip.infolist(), path.stat().st_size)
            self._left = AGAIN * sum(entry.file_size for entry in self._entries.values()) + SMALL
            if "mimetype" in self:
                _refuse_other(self.read("mimetype")[:100].decode("latin-1"), wanted)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    @property
    def names(self) -> list[str]:
        """The entries that are files, in the order of the file."""
        return [entry.filename for entry in self._entries.values()]

    def __contains__(self, name: str) -> bool:
        return name.strip("/").casefold() in self._entries

    def size(self, name: str) -> int:
        """Bytes that an entry unpacks to; 0 if it is not there."""
        entry = self._entries.get(name.strip("/").casefold())
        return entry.file_size if entry else 0

    def read(self, name: str) -> bytes:
        """The bytes of an entry; names are compared without case, as Office does.

        Raises:
            KeyError: there is none.
            BadContainer: it is damaged, locked, or larger than a document may be.
        """
        if self.size(name) > self.place.max_bytes:
            raise BadContainer(f"{name}: {too_large(self.size(name), self.place)}")
        return b"".join(self.blocks(name))

    def open(self, name: str) -> BinaryIO:
        """A stream of an entry's bytes, of any size; errors as for `read`, without the limit, also while it is read."""
        entry = self._entries[name.strip("/").casefold()]
        if entry.flag_bits & _ENCRYPTED:
            raise BadContainer("is locked by a password; unpack it and pack it again without one")
        try:
            return self._zip.open(entry)  # type: ignore[return-value]
        except _DAMAGE as error:
            raise BadContainer(f"{name}: {_damaged(error)}") from None

    def blocks(self, name: str) -> Iterator[bytes]:
        """The bytes of an entry of any size, block by block; errors as for `open`."""
        with self.open(name) as stream:
            for block in _blocks(stream, name):
                self._left -= len(block)
                if self._left < 0:
                    raise BadContainer("refers to the same parts again and again: a mistake or a bomb; save it anew")
                yield block

    def xml(self, name: str) -> Any:
        """The root element of an entry that is XML; errors as for `read`, also for XML that is damaged or hostile."""
        return parse_xml(self.read(name), name)

    def stream_xml(self, name: str, *tags: str) -> Iterator[Any]:
        """The elements of these tags (as lxml names them) of an entry of any size, one at a time, and freed behind.

        An element may be used only until the next one is asked for. Errors as for `xml`.
        """
        import lxml.etree

        parser = lxml.etree.XMLPullParser(events=("end",), tag=tags, **_SAFE)
        try:
            for number, block in enumerate(self.blocks(name)):
                if number == 0 and _declares(block):
                    raise BadContainer(_entities(name))
                parser.feed(block)
                for _, node in parser.read_events():
                    _refuse_entities(node, name)
                    yield node
                    _free(node)
            parser.close()
        except lxml.etree.LxmlError as error:
            raise BadContainer(f"{name}: {_damaged(error)}") from None


_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""What lxml's parsers are told: no entities, no network, no DTD, limits of depth and size, nothing but the text."""


def parse_xml(data: bytes, name: str) -> Any:
    """The root element of XML that nobody vouches for.

    Args:
        data: the XML.
        name: for messages.

    Raises:
        BadContainer: it is no XML, or declares entities.
    """
    import lxml.etree

    if _declares(data):
        raise BadContainer(_entities(name))
    try:
        root = lxml.etree.fromstring(data, lxml.etree.XMLParser(**_SAFE))
    except (lxml.etree.LxmlError, ValueError) as error:
        raise BadContainer(f"{name}: {_damaged(error)}") from None
    _refuse_entities(root, name)
    return root


def what_else(path: Path, wanted: str) -> str:
    """What a file is that is no ZIP file though its name says so, and what to do with it."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
        if head.startswith(OLE):
            return _old_office(head + stream.read(), wanted)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"{\\rtf"):
        return f"is RTF under another name; open it and save it as {wanted}"
    if start.startswith(b"%PDF"):
        return "is a PDF under another name; name it .pdf"
    if re.search(rb"^MIME-Version:", head[:2000], re.I | re.M):
        return f"is a web archive (MHTML) under another name; open it and save it as {wanted}"
    if (start.startswith(b"<?xml") and b"<pkg:package" in head) or b"<?mso-application" in head:
        return f"is a flat XML file of Office under another name; open it and save it as {wanted}"
    if _HTML.search(head[:8192].replace(b"\0", b"")):
        return "is HTML under another name; name it .html"
    if b"\0" not in head[:1024] and start[:1].isascii():
        return f"is plain text under another name; name it .txt (or .csv), or save it as {wanted}"
    return f"is damaged, or no {wanted} file; fetch it anew"


def _old_office(data: bytes, wanted: str) -> str:
    for name, what in _OLE_STREAMS.items():
        if f"{name}\0".encode("utf-16-le") in data:
            return what
    return f"is a file of Office 97 to 2003 without a document that is known; open it and save it as {wanted}"


def _refuse_other(mimetype: str, wanted: str) -> None:
    for beginning, what in _MIMETYPES.items():
        if mimetype.startswith(beginning) and not (wanted == ".epub" and "epub" in beginning):
            raise BadContainer(what.format(wanted=wanted))


def _checked(entries: list[zipfile.ZipInfo], size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries that are files by their names without case, if unpacking them can do no harm."""
    if len(entries) > ENTRIES:
        raise BadContainer(f"has {len(entries):,} entries, more than the limit of {ENTRIES:,}: a mistake or a bomb")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > UNPACKED or (unpacked > SMALL and unpacked > RATIO * size):
        raise BadContainer(
            f"would unpack to {unpacked:,} bytes, of {size:,} (limits: {UNPACKED:,} bytes, {RATIO} times its size): "
            "a mistake or a bomb; nothing was unpacked. If it is neither, save it anew, or in parts"
        )
    if sum(entry.compress_size for entry in entries) > size:
        raise BadContainer("has entries that overlap: damaged, or a bomb; nothing was unpacked. Save it anew")
    files: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.replace("\\", "/").strip("/").casefold()
        if entry.is_dir():
            continue
        if name in files:
            raise BadContainer(f"has two entries named {entry.filename}: damaged; save it anew")
        files[name] = entry
    return files


def _blocks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """What a stream holds, block by block; damage found on the way is told."""
    try:
        while block := stream.read(BLOCK):
            yield block
    except _DAMAGE as error:
        raise BadContainer(f"{name}: {_damaged(error)}") from None


def _declares(data: bytes) -> bool:
    """Whether XML in any of its usual encodings declares entities."""
    return b"<!ENTITY" in (data.replace(b"\0", b"") if b"\0" in data[:8] else data)


def _refuse_entities(node: Any, name: str) -> None:
    dtd = node.getroottree().docinfo.internalDTD
    if dtd is not None and next(dtd.iterentities(), None) is not None:
        raise BadContainer(_entities(name))


def _entities(name: str) -> str:
    return f"{name}: declares XML entities, which no such document needs; they are never expanded. Save it anew"


def _damaged(error: Exception) -> str:
    return f"is damaged or cut off ({' '.join(str(error).split()) or type(error).__name__}); fetch it anew"


def _free(node: Any) -> None:
    """Let go of an element and of those before it."""
    node.clear()
    while node.getprevious() is not None:
        del node.getparent()[0]
