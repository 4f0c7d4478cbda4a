"""Markdown or plain text: one document a file, its path in the corpus as id, its first heading or its name as title."""

from __future__ import annotations

from collections.abc import Iterator

from nemo_kcpt.corpus.encodings import UnknownEncoding, decode
from nemo_kcpt.corpus.readers.base import Found, Piece, Place, Reader, one_file


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file; one that is empty, no text, or in an encoding that cannot be told is a problem."""
    from nemo_kcpt.corpus.structure import find_title

    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        text = decode(path.read_bytes(), place.encoding).text
    except UnknownEncoding as error:
        yield Found(str(path), source, {}, str(error))
        return
    if not text.strip():
        yield Found(str(path), source, {}, "the file is empty")
        return
    yield Found(str(path), source, {"paper_id": source, "title": find_title(text) or path.stem, "text": text})


READER = Reader(name="text", suffixes=(".md", ".markdown", ".txt"), read=read, documents=True)
