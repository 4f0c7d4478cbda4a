"""Mailboxes (.mbox): one document a message, streamed, so that a mailbox may be larger than memory."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from pathlib import Path

from nemo_kcpt.documents.base import PIECE, Found, Piece, Place, one_file, too_large
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.mail import document

_FROM = re.compile(rb"From \S.*\d{4}\s*(?:[-+]\d{4}|\(?[A-Z]{3,4}\)?)?\s*$")
"""The line before each message."""
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.M)


def _starts(path: Path, start: int = 0, stop: int = -1) -> Iterator[tuple[int, bytes]]:
    """The lines of a mailbox from `start` on: (offset, line); the blank line before a border belongs to the message."""
    with path.open("rb") as stream:
        stream.seek(start)
        position = start
        while (stop < 0 or position < stop) and (line := stream.readline(1 << 20)):
            yield position, line
            position += len(line)


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """Pieces that begin and end at messages, each with its first message's number."""
    start = number = first = 0
    blank, position = True, 0
    for position, line in _starts(path):
        if blank and _FROM.match(line):
            if position - start >= PIECE:
                yield start, position, first + 1
                start, first = position, number
            number += 1
        blank = not line.strip()
    size = path.stat().st_size
    if size > start or not size:
        yield start, size, first + 1


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The messages of a piece; one without text, or too large, is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    number = piece.number - 1
    lines: list[bytes] = []
    size = 0
    blank = True
    begun = False

    def message() -> Found:
        where, name = f"{path}, message {number}", f"{source}#{number}"
        if size > place.max_bytes:
            return Found(where, name, {}, too_large(size, place))
        data = _QUOTED_FROM.sub(rb"\1", b"".join(lines))
        return document(email.message_from_bytes(data, policy=email.policy.compat32), where, name)

    for _, line in _starts(path, piece.start, piece.stop):
        if blank and _FROM.match(line):
            if begun:
                yield message()
            lines, size, begun = [], 0, True
            number += 1
        elif begun:
            size += len(line)
            if size <= place.max_bytes:
                lines.append(line)
        elif line.strip():
            yield Found(str(path), source, {}, "is no mailbox: it does not begin with a line 'From ADDRESS DATE'")
            return
        blank = not line.strip()
    if begun:
        yield message()
    elif piece.start == 0:
        yield Found(str(path), source, {}, "the file is empty")


READER = Reader(name="mbox", suffixes=(".mbox", ".mbx"), read=read, divide=divide, documents=True)
