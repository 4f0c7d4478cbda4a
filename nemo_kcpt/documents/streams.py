"""Files of lines as streams: unpacked under a guard, divided by bytes where the encoding allows it, read strictly."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from nemo_kcpt.documents.base import PIECE, Piece, Place, one_file, too_large
from nemo_kcpt.text.encodings import BrokenUtf8, UnknownEncoding, check_name, detect_head

HEAD = 1 << 16
"""Bytes by which a file's encoding is recognised."""
UNPACKED = 1 << 30
"""Bytes up to which a file may unpack, however small it is."""
RATIO = 200
"""Beyond `UNPACKED`, it may unpack to so many times its size: text packs to a tenth at best."""
BLOCK = 1 << 20


class Overflow(ValueError):
    """A packed file unpacks to far more than text would: a mistake or a bomb."""


class Packed:
    """Compares what comes out of a packed file with what of it was read."""

    def __init__(self, what: str, way_out: str) -> None:
        self.what = what
        self.way_out = way_out
        self.out = 0

    def add(self, size: int, read: int) -> None:
        """Count `size` more bytes that came out, when `read` bytes of the file have been read.

        Raises:
            Overflow: too many came out.
        """
        self.out += size
        if self.out > UNPACKED and self.out > RATIO * read:
            raise Overflow(
                f"{self.what} unpacks to more than {RATIO} times its size ({self.out:,} bytes so far, of {read:,}): a "
                f"mistake or a bomb. {self.way_out}"
            )


class _Unpacking(io.RawIOBase):
    """The content of a compressed file, gzip or bzip2, under the guard."""

    def __init__(self, path: Path, kind: str = "gzip") -> None:
        self.raw = path.open("rb")
        self.stream = bz2.BZ2File(self.raw) if kind == "bzip2" else gzip.GzipFile(fileobj=self.raw)
        self.packed = Packed(f"the {kind} file", "If it is neither, unpack it yourself and give the file")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.stream.read1(len(buffer))  # no more than there is before damage
        self.packed.add(len(data), self.raw.tell())
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.stream.close()
        self.raw.close()
        super().close()


class _Converting(io.RawIOBase):
    """A stream in an encoding that has no lines of bytes (UTF-16, ISO-2022-JP), as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self.stream = stream
        self.decoder = codecs.getincrementaldecoder(encoding)("strict")
        self.rest = b""
        self.broken: UnicodeDecodeError | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self.rest:
            if self.broken is not None:
                raise self.broken
            block = self.stream.read(BLOCK)
            self.rest = self._decoded(block).encode("utf-8")
            if not block and self.broken is None:
                break
        size = min(len(buffer), len(self.rest))
        buffer[:size], self.rest = self.rest[:size], self.rest[size:]
        return size

    def _decoded(self, block: bytes) -> str:
        state = self.decoder.getstate()
        try:
            return self.decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:  # what is before the damage is read, then it is raised
            self.broken = error
            self.decoder.setstate(state)
            return self.decoder.decode(block[: max(error.start - len(state[0]), 0)])

    def close(self) -> None:
        self.stream.close()
        super().close()


class Layout(NamedTuple):
    """How a file of lines is to be read."""

    encoding: str
    by_bytes: bool
    """A line feed is the byte 0x0A and nothing else is, so that the file can be divided and read from the middle."""


def layout(place: Place, path: Path) -> Layout:
    """The encoding of a file of lines, by its head unless it was given.

    Raises:
        UnknownEncoding, OSError, zlib.error, EOFError: as `problem_of` says.
    """
    encoding = place.encoding
    if encoding == "auto":
        with open_packed(path) as stream:
            head = stream.read(HEAD)
        try:
            encoding = detect_head(head)
        except BrokenUtf8:
            encoding = "utf-8"  # the line that is damaged is found and named when it is read
    encoding = check_name(encoding)
    encoding = "utf-8" if encoding == "utf-8-sig" else encoding  # the mark is taken away where the first line is
    return Layout(encoding, _by_bytes(encoding) and not _is_packed(path))


def _by_bytes(encoding: str) -> bool:
    return encoding.replace("_", "-").startswith(
        ("utf-8", "ascii", "cp932", "cp9", "euc-", "gb18030", "gbk", "big5", "cp12", "iso8859", "koi8", "latin")
    )


def _is_packed(path: Path) -> bool:
    return path.name.lower().endswith((".gz", ".tgz"))


def open_packed(path: Path) -> BinaryIO:
    """A file's bytes; of a .gz or .bz2 what it unpacks to, under a guard that raises `Overflow`."""
    if path.suffix.lower() == ".bz2":
        return io.BufferedReader(_Unpacking(path, "bzip2"), BLOCK)
    return io.BufferedReader(_Unpacking(path), BLOCK) if _is_packed(path) else path.open("rb", buffering=BLOCK)


def open_bytes(path: Path, encoding: str) -> tuple[BinaryIO, str]:
    """A file of lines as bytes in which a line ends in 0x0A, and the encoding of these bytes."""
    stream = open_packed(path)
    if _by_bytes(encoding):
        return stream, encoding
    return io.BufferedReader(_Converting(stream, encoding), BLOCK), "utf-8"


def problem_of(error: Exception) -> str:
    """What is wrong with a file whose stream broke off with one of `BROKEN`."""
    if isinstance(error, UnicodeDecodeError):
        byte = f"0x{error.object[error.start]:02x} does not fit"
        return f"is not {error.encoding} from here on ({byte}); the rest is not read"
    if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
        return f"the gzip file is damaged or cut off from here on ({error}); fetch it again. The rest is not read"
    return str(error)


BROKEN = (UnknownEncoding, UnicodeDecodeError, EOFError, zlib.error, gzip.BadGzipFile, Overflow)
"""What reading a stream may raise beside OSError."""


class Line(NamedTuple):
    """A line of a file; with `problem`, its text is of no use (or, with number 0, the whole file's)."""

    number: int
    text: str
    problem: str = ""


def divide_lines(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """Pieces of a file of lines: byte ranges that begin and end at line borders, each with its first line's number."""
    try:
        by_bytes = layout(place, path).by_bytes
    except BROKEN:
        by_bytes = False  # the process that reads it says why it cannot be read
    if not by_bytes:
        yield 0, -1, 1
        return
    start, number = 0, 1
    position, lines = 0, 0
    with path.open("rb") as stream:
        while block := stream.read(min(BLOCK, PIECE)):
            if position + len(block) - start >= PIECE and (last := block.rfind(b"\n")) >= 0:
                stop = position + last + 1
                yield start, stop, number
                number += lines + block.count(b"\n")
                start, lines = stop, 0
            else:
                lines += block.count(b"\n")
            position += len(block)
    if position > start or not position:
        yield start, position, number


def read_lines(place: Place, piece: Piece) -> Iterator[Line]:
    """The lines of a piece, decoded, without their ends; one over the size limit is passed over and named."""
    path = one_file(piece.paths)
    number = piece.number - 1
    try:
        stream, encoding = open_bytes(path, layout(place, path).encoding)
        with stream:
            if piece.start:
                stream.seek(piece.start)
            for number, raw, size in _raw_lines(stream, piece, place.max_bytes):
                if raw is None:
                    yield Line(number, "", too_large(size, place))
                    continue
                try:
                    text = raw.decode(encoding)
                except UnicodeDecodeError as error:
                    byte = f"byte {error.start + 1:,} of the line (0x{raw[error.start]:02x}) does not fit"
                    yield Line(number, "", f"is not {encoding}: {byte}. Repair it, or give the file's encoding=")
                    continue
                yield Line(number, text.removeprefix("\ufeff") if number == 1 else text)
    except BROKEN as error:
        yield Line(number + 1 if number else 0, "", problem_of(error))


def _raw_lines(stream: BinaryIO, piece: Piece, limit: int) -> Iterator[tuple[int, bytes | None, int]]:
    """(line number, line without its end, bytes); None for a line over the limit, which is read past in blocks."""
    number = piece.number
    position = piece.start
    while piece.stop < 0 or position < piece.stop:
        line = stream.readline(limit + 1)
        if not line:
            return
        size = len(line)
        if size > limit and not line.endswith(b"\n"):
            line = b""
            while (more := stream.readline(BLOCK)) and not more.endswith(b"\n"):
                size += len(more)
            size += len(more)
            yield number, None, size
        else:
            yield number, line.rstrip(b"\r\n"), size
        position += size
        number += 1
