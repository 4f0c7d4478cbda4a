"""EPUB: one document a book, its chapters in the order of the spine, by the parts of the HTML reader.

Tables of contents and lists of pages go, as do page numbers that stand within the text; notes keep their marks. Books
that are locked (DRM) are named. Nothing is fetched and no script is run.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from nemo_kcpt.documents.base import Flaw, Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.zipped import BadContainer, Container
from nemo_kcpt.markup.html.markdown import document_markdown
from nemo_kcpt.markup.xml.elements import append_text, below, child, children, plain
from nemo_kcpt.markup.xml.safe import BadXml, decoded, local, parse
from nemo_kcpt.readers.base import Reader

MISSING = "parts of books that are not read"
"""Kind of a flaw."""
_OPS = "{http://www.idpf.org/2007/ops}"
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""How fonts are disguised, which locks no text."""
_DOCUMENTS = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml", "text/x-oeb1-document")
_CONTENTS = re.compile(r"(?:^|\s)(?:toc|landmarks|page-list|loi|lot|index-locator-list)(?:$|\s)")
_PAGE = re.compile(r"(?:^|\s)(?:doc-)?pagebreak(?:$|\s)")
_NOTE = re.compile(r"(?:^|\s)(?:doc-)?(?:foot|end|rear)notes?(?:$|\s)")
_REFERENCE = re.compile(r"(?:^|\s)(?:doc-)?noteref(?:$|\s)")


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a book; one without text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        with Container(path, place, ".epub") as book:
            yield _document(book, str(path), source, place)
    except (BadContainer, BadXml) as error:
        yield Found(str(path), source, {}, str(error))


def _document(book: Container, where: str, source: str, place: Place) -> Found:
    _refuse_locked(book)
    package, folder = _package(book)
    texts: list[str] = []
    flaws: list[Flaw] = []
    raised = size = 0
    for name in _spine(package, folder):
        try:
            tree = chapter(decoded(book.read(name)))
            _add_styles(tree, book, posixpath.dirname(name))
            text, count = document_markdown(tree)
        except KeyError:
            flaws.append(Flaw(MISSING, where, f"{name}: the book has no such file"))
            continue
        except (BadContainer, BadXml) as error:
            flaws.append(Flaw(MISSING, where, f"{name}: {error}"))
            continue
        size += len(text.encode("utf-8", "replace"))
        if size > place.max_bytes:
            return Found(where, source, {}, too_large(size, place))
        texts.append(text)
        raised += count
    text = "\n\n".join(filter(None, texts))
    if not re.search(r"\w", text):
        return Found(where, source, {}, "there is no text in the book: its pages are pictures; run OCR on them")
    return Found(
        where, source, {"paper_id": source, **_fields(package), "text": text}, changes={"raised": raised}, flaws=flaws
    )


def _add_styles(tree: Any, book: Container, folder: str) -> None:
    """Put the style sheets of a chapter that the book has into it: they may raise text."""
    for link in tree.xpath("//link[contains(@rel, 'stylesheet')][@href]"):
        name = _path(folder, link.get("href"))
        if name in book:
            link.tag, link.text = "style", decoded(book.read(name))


def _refuse_locked(book: Container) -> None:
    if "META-INF/encryption.xml" not in book:
        return
    for method in below(book.xml("META-INF/encryption.xml"), "EncryptionMethod"):
        if method.get("Algorithm") not in _FONTS:
            raise BadContainer("is locked by DRM (META-INF/encryption.xml); get an edition without it")


def _package(book: Container) -> tuple[Any, str]:
    """The book's package document, and the folder that its names are relative to."""
    try:
        container = book.xml("META-INF/container.xml")
        name = next((rootfile.get("full-path", "") for rootfile in below(container, "rootfile")), "")
        return book.xml(name), posixpath.dirname(name)
    except KeyError as error:
        raise BadContainer(f"is no EPUB, or damaged: it has no {error}; fetch it anew") from None


def _spine(package: Any, folder: str) -> Iterator[str]:
    """The files of the book's text in its order, without its table of contents."""
    manifest = {entry.get("id"): entry for entry in below(package, "item")}
    contents = {
        _path(folder, entry.get("href", "").partition("#")[0])
        for entry in below(package, "reference")
        if entry.get("type", "").lower() == "toc"
    }
    for reference in below(package, "itemref"):
        item = manifest.get(reference.get("idref"))
        if item is None or item.get("media-type") not in _DOCUMENTS:
            continue
        name = _path(folder, item.get("href", ""))
        if "nav" not in item.get("properties", "").split() and name not in contents:
            yield name


def _path(folder: str, address: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(address)))


def _fields(package: Any) -> dict[str, Any]:
    """What a book says of itself."""
    metadata = child(package, "metadata")
    inner = [metadata, *children(metadata, "dc-metadata")] if metadata is not None else []

    def values(name: str) -> list[str]:
        return [text for parent in inner for node in children(parent, name) if (text := plain(node))]

    languages = values("language")
    fields: dict[str, Any] = {
        "author": "; ".join(values("creator")),
        "date": next(iter(values("date")), "")[:10],
        "language": languages[0][:2].lower() if languages else "",
        "publisher": next(iter(values("publisher")), ""),
        "identifier": next(iter(values("identifier")), ""),
        "license": next(iter(values("rights")), ""),
        "keywords": values("subject"),
    }
    return {"title": next(iter(values("title")), ""), **{name: value for name, value in fields.items() if value}}


def chapter(text: str) -> Any:
    """A chapter as an HTML tree, without what is no text of the book.

    Raises:
        BadXml: it can be read neither as XML nor as HTML.
    """
    import lxml.etree
    import lxml.html

    try:
        tree = as_html(parse(text))
    except BadXml as error:
        if "entities of its own" in str(error):
            raise
        try:
            tree = lxml.html.document_fromstring(text)
        except (lxml.etree.ParserError, ValueError):
            raise error from None
    for node in list(tree.iter()):
        if not isinstance(node.tag, str) or (node is not tree and node.getparent() is None):
            continue
        kind = f"{node.get('epub:type', '')} {node.get('role', '').removeprefix('doc-')}"
        if node.tag == "nav" or (node.tag in ("section", "div", "ol", "ul", "body") and _CONTENTS.search(kind)):
            node.drop_tree() if node.tag != "body" else node.clear()
        elif _PAGE.search(kind):
            node.drop_tree()
    _mark_notes(tree)
    return tree


def as_html(root: Any) -> Any:
    """XHTML as HTML elements: names without namespaces."""
    import lxml.html

    made = lxml.html.Element(local(root).lower())
    for name, value in root.attrib.items():
        key = "epub:type" if name == f"{_OPS}type" else name.rpartition("}")[2]
        made.set(key, value)
    append_text(made, root.text)
    for node in root:
        if local(node):
            made.append(as_html(node))
        append_text(made, node.tail)
    return made


def _mark_notes(tree: Any) -> None:
    """Notes begin with the mark that refers to them, as they do in Markdown."""
    marks: dict[str, str] = {}
    for link in tree.xpath("//a[@href]"):
        if _REFERENCE.search(f"{link.get('epub:type', '')} {link.get('role', '')}"):
            marks.setdefault(link.get("href").rpartition("#")[2], " ".join(link.text_content().split()))
    for note in tree.xpath("//*[@id]"):
        mark = re.sub(r"^[\[(（]|[\])）]$", "", marks.get(note.get("id"), ""))
        if not mark or not _NOTE.search(f"{note.get('epub:type', '')} {note.get('role', '')}"):
            continue
        for back in note.xpath(".//a[@href]"):
            if "#" in back.get("href") and re.fullmatch(
                r"[\[(（]?\s*(?:" + re.escape(mark) + r"|[↩⏎^*])\s*[\])）.]?[\ufe0e\ufe0f]?",
                back.text_content().strip(),
            ):
                back.drop_tree()
        first = next((paragraph for paragraph in note.iter("p") if "".join(paragraph.itertext()).strip()), note)
        first.text = f"[^{mark}]: {(first.text or '').lstrip('.:、 ')}"


READER = Reader(name="epub", suffixes=(".epub",), read=read, documents=True)
