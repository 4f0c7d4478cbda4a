"""Markdown or plain text: one document a file, its path in the corpus as id.

Front matter (YAML, TOML) becomes fields. The title is the front matter's, else the first heading, else the file's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nemo_kcpt.cleaning.structure import find_title
from nemo_kcpt.documents.base import Flaw, Found, Piece, Place, one_file
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.text.encodings import UnknownEncoding, decode
from nemo_kcpt.text.front_matter import KIND, split

if TYPE_CHECKING:
    from nemo_kcpt.text.front_matter import FrontMatter


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file; one that is empty, no text, or in an encoding that cannot be told is a problem."""
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
    front = split(text)
    if not front.body.strip():
        yield Found(str(path), source, {}, "there is no text below the front matter")
        return
    title = front.title or find_title(front.body) or path.stem
    flaws = [Flaw(KIND, str(path), front.problem)] if front.problem else []
    own = {"paper_id": source, "title": title, "text": front.body}
    yield Found(str(path), source, {**_beside(front, own), **own}, flaws=flaws)


def _beside(front: FrontMatter, own: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of front matter but for the title; what has the name of one of the document's own goes into `meta`."""
    fields = dict(front.fields)
    if front.title:
        del fields[next(name for name in fields if name.casefold() == "title")]
    meta = {name: fields.pop(name) for name in (*own, "meta") if name in fields}
    if not isinstance(fields.get("source", ""), str):
        meta["source"] = fields.pop("source")
    if isinstance(inner := meta.get("meta"), dict):
        meta = {**inner, **{name: value for name, value in meta.items() if name != "meta"}}
    return {**fields, "meta": meta} if meta else fields


READER = Reader(name="text", suffixes=(".md", ".markdown", ".txt"), read=read, documents=True)
