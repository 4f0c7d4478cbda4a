"""Confluence's exports of a space: its XML (entities.xml, in a ZIP file or unpacked) and its HTML, one document a page.

Of the XML the current pages and blog posts are read, drafts, older versions and comments are counted with the page
after them. Of a page in HTML what is in its main part is read, without the lists of attachments and the footer.
The XML is streamed twice: once for the pages' titles, then for their texts, so that memory holds no text but one.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.memory import remembered
from nemo_kcpt.documents.zipped import BadContainer, Container
from nemo_kcpt.markup.html.markdown import document_markdown
from nemo_kcpt.markup.xml.confluence import storage_markdown
from nemo_kcpt.markup.xml.elements import children, plain
from nemo_kcpt.markup.xml.safe import BadXml, Root, root_of
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.text.encodings import UnknownEncoding, decode

_HEAD = 1 << 15
_MAIN = re.compile(
    rb"""id=["']main-content["'][^>]*class=["'][^"']*wiki-content|<body class=["'][^"']*theme-default aui"""
)
_PAGES = ("Page", "BlogPost")
_INDEX = "index.html"
ENTITIES = "entities.xml"
Stream = Callable[[], Iterator[Any]]


def is_confluence_root(root: Root) -> bool:
    """Whether a document that begins so is the XML of a space."""
    return root.name == "hibernate-generic"


@remembered
def is_confluence_page(path: Path) -> bool:
    """Whether a page of HTML was exported by Confluence."""
    try:
        with path.open("rb") as stream:
            return bool(_MAIN.search(stream.read(_HEAD)))
    except OSError:
        return False


def is_confluence(path: Path) -> bool:
    """Whether a file is an export of Confluence, by its beginning or by what is in it."""
    if path.suffix.lower() == ".xml":
        return is_confluence_root(root_of(path))
    if path.suffix.lower() != ".zip":
        return is_confluence_page(path)
    try:
        with Container(path, Place(name=str(path)), ".zip") as archive:
            pages = [name for name in archive.names if name.endswith(".html")]
            return ENTITIES in archive or any(_MAIN.search(archive.open(name).read(_HEAD)) for name in pages[:5])
    except Exception:  # it is asked of any ZIP file, and must not raise
        return False


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """One piece: an archive may be larger than a document, since it holds attachments."""
    yield 0, -1, 1


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The pages of an export."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        if path.suffix.lower() == ".zip":
            with Container(path, place, ".zip") as archive:
                yield from _archive(archive, path, source, place)
        elif path.suffix.lower() == ".xml":
            if root_of(path).entities:
                raise BadXml("declares entities of its own, which are never expanded")
            yield from _space(lambda: _objects(path), str(path), source, place)
        elif path.stat().st_size > place.max_bytes:
            yield Found(str(path), source, {}, too_large(path.stat().st_size, place))
        elif path.name != _INDEX:  # which lists the pages
            yield _page(path.read_bytes(), str(path), source)
    except (BadContainer, BadXml) as error:
        yield Found(str(path), source, {}, str(error))


def _archive(archive: Container, path: Path, source: str, place: Place) -> Iterator[Found]:
    if ENTITIES in archive:
        yield from _space(lambda: archive.stream_xml(ENTITIES, "object"), str(path), source, place)
        return
    for name in archive.names:
        if name.endswith(".html") and posixpath.basename(name) != _INDEX:
            where, page = f"{path}, {name}", f"{source}#{name}"
            try:
                yield _page(archive.read(name), where, page)
            except BadContainer as error:
                yield Found(where, page, {}, str(error))


def _objects(path: Path) -> Iterator[Any]:
    """The objects of a space's XML, one at a time, and freed behind."""
    import lxml.etree

    pull = lxml.etree.XMLPullParser(
        events=("end",), tag="object", resolve_entities=False, no_network=True, load_dtd=False
    )
    with path.open("rb") as stream:
        try:
            while block := stream.read(1 << 18):
                pull.feed(block)
                for _, node in pull.read_events():
                    yield node
                    node.clear()
                    while node.getprevious() is not None:
                        del node.getparent()[0]
            pull.close()
        except lxml.etree.XMLSyntaxError as error:
            raise BadXml(f"is damaged or cut off ({error.msg}); export it anew. The rest is not read") from None


@dataclass
class _Known:
    """A page of a space, without its text."""

    title: str
    date: str
    kind: str


def _property(node: Any, name: str) -> Any:
    return next((element for element in children(node, "property") if element.get("name") == name), None)


def _space(stream: Stream, where: str, source: str, place: Place) -> Iterator[Found]:
    """The current pages of a space's XML."""
    known: dict[str, _Known] = {}
    skipped: Counter[str] = Counter()
    for node in stream():
        kind = node.get("class", "")
        if kind in _PAGES:
            original, status = _property(node, "originalVersion"), plain(_property(node, "contentStatus"))
            if (original is not None and (len(original) or plain(original))) or status not in ("", "current"):
                skipped["confluence_other_pages"] += 1
                continue
            number = next((plain(identifier) for identifier in children(node, "id")), "")
            date = plain(_property(node, "lastModificationDate")) or plain(_property(node, "creationDate"))
            known[number] = _Known(plain(_property(node, "title")), date.replace(" ", "T", 1)[:19], kind)
        elif kind == "Comment":
            skipped["confluence_other_pages"] += 1
    for node in stream():
        if node.get("class") != "BodyContent":
            continue
        owner = _property(node, "content")
        number = plain(owner) if owner is not None else ""
        page = known.pop(number, None)
        if page is None:
            continue
        body = "".join(_property(node, "body").itertext()) if _property(node, "body") is not None else ""
        yield _stored(
            body.replace("]] >", "]]>"), page, f"{where}, page {page.title}", f"{source}#{number}", place, skipped
        )
        skipped.clear()


def _stored(body: str, page: _Known, where: str, name: str, place: Place, skipped: Counter[str]) -> Found:
    changes = dict(skipped)
    if len(body) > place.max_bytes:
        return Found(where, name, {}, too_large(len(body), place), changes=changes)
    try:
        text, counts = storage_markdown(body)
    except BadXml as error:
        return Found(where, name, {}, f"its storage format {error}", changes=changes)
    if not text:
        return Found(where, name, {}, "there is no text in the page", changes=changes)
    fields = {"date": page.date} if page.date else {}
    record = {
        "paper_id": name,
        "title": page.title,
        **fields,
        "text": f"# {page.title}\n\n{text}" if page.title else text,
    }
    return Found(where, name, record, changes={**changes, **counts})


def _page(data: bytes, where: str, name: str) -> Found:
    """A page of the HTML export."""
    import lxml.etree
    import lxml.html

    try:
        tree = lxml.html.document_fromstring(decode(data).text)
    except UnknownEncoding as error:
        return Found(where, name, {}, str(error))
    except (lxml.etree.ParserError, ValueError):
        return Found(where, name, {}, "is no HTML that can be read")
    main = next(iter(tree.xpath("//*[@id='main-content']")), None)
    if main is None:
        return Found(where, name, {}, "has no main part: it is a list of pages, or no page of Confluence")
    heading = next((plain(element) for element in tree.xpath("//*[@id='title-text'] | //title")), "")
    title = heading.partition(" : ")[2] or heading
    said = plain(next(iter(tree.xpath("//*[contains(@class, 'page-metadata')]")), None))
    author = re.search(r"(?:Created by|作成者:?|作成者)\s*(.+?)(?:,|、|\s+last|\s*$)", said)
    date = re.search(r"(?:last modified(?: by .*?)? on|最終更新(?:日|者)?:?)\s*(.+?)\s*$", said) or re.search(
        r" on (.+?)\s*$", said
    )
    for node in main.xpath(".//*[contains(@class, 'toc-macro') or contains(@class, 'page-metadata')]"):
        node.drop_tree()
    text, raised = document_markdown(main)
    if not text:
        return Found(where, name, {}, "there is no text in the page")
    fields = {"author": author[1] if author else "", "date": date[1] if date else ""}
    kept = {key: value for key, value in fields.items() if value}
    record = {"paper_id": name, "title": title, **kept, "text": f"# {title}\n\n{text}" if title else text}
    return Found(where, name, record, changes={"raised": raised})


READER = Reader(
    name="confluence",
    suffixes=(".html", ".xml", ".zip"),
    read=read,
    documents=True,
    divide=divide,
    recognises=is_confluence,
)
