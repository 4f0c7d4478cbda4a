"""CSV and TSV: one document a row, fields by the names in the first row; in any encoding that is recognised.

Quoted fields may hold line breaks, so a large file is divided at those line feeds that are outside quotation marks, as
Python's csv module sees them: a mark opens a field only at its beginning. A row whose number of fields is not the
header's is a problem: which of its fields is missing cannot be told. A file whose header cannot serve is one, too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nemo_kcpt.documents.base import PIECE, Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.streams import BLOCK, BROKEN, layout, open_bytes, problem_of
from nemo_kcpt.readers.base import Reader

DELIMITERS = ",;\t"
"""What a .csv file may be separated by; the header's most frequent one is taken."""
HEADER = 1 << 20
"""Bytes of the longest header."""
_DIRECTIVE = re.compile(r'"?sep=(.)"?\r?\n')
"""A first line by which Excel is told the delimiter."""


class BadHeader(ValueError):
    """The first row of a file cannot serve as its header; says why."""


class Row(NamedTuple):
    """The bytes of a row; None if it is larger than the limit."""

    number: int
    """Number of its first line in the file."""
    raw: bytes | None
    size: int
    closed: bool
    """False if the file ended within quotation marks."""


class Header(NamedTuple):
    """What the first row says of a file."""

    names: list[str]
    delimiter: str
    stop: int
    """Bytes up to the end of the header, in the stream that is read."""
    lines: int


class _Quotes:
    """Follows quotation marks through the bytes of a file."""

    def __init__(self, delimiter: str) -> None:
        self.openers = b"\n\r" + delimiter.encode()
        self.before = b"\n"
        self.inside = False
        self.maybe = False
        """The last byte was a mark within quotation marks: their end, or the first half of a doubled one."""

    def last_border(self, block: bytes) -> int:
        """Go on over `block`; the place of its last line feed outside quotation marks, or -1."""
        last, at = -1, 0
        if self.maybe and block:
            self.maybe = False
            if block[:1] == b'"':
                at = 1
            else:
                self.inside = False
        while at < len(block):
            mark = block.find(b'"', at)
            if self.inside:
                if mark < 0:
                    break
                if mark + 1 == len(block):
                    self.maybe = True
                    break
                doubled = block[mark + 1 : mark + 2] == b'"'
                self.inside = doubled
                at = mark + 1 + doubled
            else:
                last = max(last, block.rfind(b"\n", at, mark if mark >= 0 else len(block)))
                if mark < 0:
                    break
                self.inside = (block[mark - 1 : mark] if mark else self.before) in self.openers
                at = mark + 1
        self.before = block[-1:] or self.before
        return last

    @property
    def open(self) -> bool:
        """True within quotation marks."""
        return self.inside and not self.maybe


def _rows(stream: BinaryIO, delimiter: str, number: int, limit: int, length: int = -1) -> Iterator[Row]:
    """The rows in the next `length` bytes of a stream (all, if negative), read so that memory stays below the limit."""
    done = 0
    while length < 0 or done < length:
        quotes = _Quotes(delimiter)
        parts: list[bytes] = []
        size = lines = 0
        while chunk := stream.readline(min(limit + 1, BLOCK)):
            size += len(chunk)
            if size <= limit:
                parts.append(chunk)
            else:
                parts = []
            quotes.last_border(chunk)
            if chunk.endswith(b"\n"):
                lines += 1
                if not quotes.open:
                    break
        if not size:
            return
        yield Row(number, b"".join(parts) if size <= limit else None, size, not quotes.open)
        number += lines
        done += size


def _fields(text: str, delimiter: str, limit: int) -> list[str]:
    """The fields of one row.

    Raises:
        csv.Error: not a row.
    """
    csv.field_size_limit(max(limit, csv.field_size_limit()))
    try:
        rows = list(csv.reader([text], delimiter=delimiter))
    except csv.Error as error:
        if "new-line" not in str(error):
            raise
        raise csv.Error("a carriage return stands alone outside quotation marks; let lines end in LF") from None
    return rows[0] if rows else []


def _header(place: Place, path: Path, encoding: str) -> Header:
    """The header of a file, read anew by every piece.

    Raises:
        BadHeader: it cannot serve as one.
    """
    stream, inner = open_bytes(path, encoding)
    with stream:
        delimiter = "\t" if ".tsv" in path.name.lower() else ""
        start = lines = 0
        for row in _rows(stream, ",", 1, HEADER):
            if row.raw is None:
                raise BadHeader(f"the first row is longer than {HEADER >> 20} MiB; a header was expected there")
            try:
                text = row.raw.decode(inner).removeprefix("\ufeff")
            except UnicodeDecodeError as error:
                raise BadHeader(f"the header is not {inner} at byte {error.start}; give encoding=") from None
            start += row.size
            lines += row.raw.count(b"\n")
            if directive := _DIRECTIVE.fullmatch(text):
                delimiter = directive[1]
            elif text.strip():
                delimiter = delimiter or max(DELIMITERS, key=re.sub(r'"[^"]*"', "", text).count)
                return Header(_names(text, delimiter), delimiter, start, lines)
    return Header([], delimiter or ",", start, lines)


def _names(text: str, delimiter: str) -> list[str]:
    try:
        names = [name.strip() for name in _fields(text, delimiter, HEADER)]
    except csv.Error as error:
        raise BadHeader(f"the header is not a row of CSV ({error})") from None
    for number, name in enumerate(names, 1):
        if not name:
            raise BadHeader(f"column {number} has no name in the header; every column needs one")
        if names.index(name) != number - 1:
            raise BadHeader(
                f"the columns {names.index(name) + 1} and {number} are both named '{name}'; rename one of them"
            )
    return names


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """Pieces that begin and end at rows, each with the number of its first line; the header is in none of them."""
    try:
        file_layout = layout(place, path)
        header = _header(place, path, file_layout.encoding)
        by_bytes = file_layout.by_bytes
    except (*BROKEN, BadHeader):
        by_bytes = False  # the process that reads it says why it cannot be read
    if not by_bytes:
        yield 0, -1, 1
        return
    start = position = header.stop
    number, lines = header.lines + 1, 0
    quotes = _Quotes(header.delimiter)
    with path.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(BLOCK):
            last = quotes.last_border(block)
            if position + len(block) - start >= PIECE and last >= 0:
                stop = position + last + 1
                yield start, stop, number
                start, number = stop, number + lines + block.count(b"\n", 0, last + 1)
                lines = block.count(b"\n", last + 1)
            else:
                lines += block.count(b"\n")
            position += len(block)
    if position > start or start == header.stop:
        yield start, position, number


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The documents of some rows; one that does not fit the header is a problem, named by its first line."""
    path = one_file(piece.paths)
    source = place.relative(path)
    something, number, header = False, 0, Header([], "", 0, 0)
    try:
        encoding = layout(place, path).encoding
        header = _header(place, path, encoding)
        stream, inner = open_bytes(path, encoding)
        with stream:
            start, number = (piece.start, piece.number) if piece.stop >= 0 else (header.stop, header.lines + 1)
            _skip(stream, start)
            length = piece.stop - start if piece.stop >= 0 else -1
            for row in _rows(stream, header.delimiter, number, place.max_bytes, length):
                number = row.number
                record = _record(row, header, inner, place)
                if record:
                    something = True
                    where = f"{path}, line {number}"
                    yield Found(where, source, {}, record) if isinstance(record, str) else Found(where, source, record)
    except BadHeader as error:
        something = True
        yield Found(str(path), source, {}, str(error))
    except BROKEN as error:
        something = True
        yield Found(f"{path}, line {number}" if number else str(path), source, {}, problem_of(error))
    if not something and piece.number == (header.lines + 1 if piece.stop >= 0 else 1):
        yield Found(
            str(path), source, {}, "the file is empty" if not header.names else "there is no row but the header"
        )


def _skip(stream: BinaryIO, size: int) -> None:
    if stream.seekable():
        stream.seek(size)
    else:
        stream.read(size)


def _record(row: Row, header: Header, encoding: str, place: Place) -> dict[str, str] | str:
    """The fields of a row by name, or what is wrong with it; nothing for an empty line."""
    if not row.closed:
        return (
            f"the quotation mark that opens a field here is never closed: {row.size:,} bytes up to the end of the file "
            "would be that field. Close it, or double the marks within the field"
        )
    if row.raw is None:
        return too_large(row.size, place)
    try:
        text = row.raw.decode(encoding)
    except UnicodeDecodeError as error:
        byte = f"byte {error.start + 1:,} of the row (0x{row.raw[error.start]:02x}) does not fit"
        return f"is not {encoding}: {byte}. Repair it, or give the file's encoding="
    if not text.strip("\r\n"):
        return {}
    try:
        fields = _fields(text, header.delimiter, place.max_bytes)
    except csv.Error as error:
        return f"not a row of CSV ({error})"
    if len(fields) != len(header.names):
        return (
            f"{len(fields)} fields, where the header has {len(header.names)} ({', '.join(header.names)}); a field that "
            "holds the delimiter or a line break must be in quotation marks"
        )
    return dict(zip(header.names, fields))


READER = Reader(name="csv", suffixes=(".csv", ".tsv", ".csv.gz", ".tsv.gz"), read=read, divide=divide)
