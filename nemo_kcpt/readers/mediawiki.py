"""MediaWiki's exports (Wikipedia's dumps, Special:Export): one document a page, streamed, so that a dump may be of
any size.

Of a page with its history the last revision is read. Redirects and pages of other namespaces than the main one are no
documents; the page after them counts them. Wikitext is parsed by mwparserfromhell and becomes HTML elements first, so
that tables, lists and raised text are read as in HTML (markup/wiki/text.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nemo_kcpt.documents.base import PIECE, Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.streams import BLOCK, Overflow, open_packed
from nemo_kcpt.logs import LOG
from nemo_kcpt.markup.wiki.text import Site, wiki_markdown
from nemo_kcpt.markup.xml.safe import HEAD, Root, local, root_in, root_of
from nemo_kcpt.readers.base import Reader

_PAGE = b"<page>"
_NAMESPACE = re.compile(r'<namespace key="(-?\d+)"[^>]*>([^<]*)</namespace>')
_SITE = re.compile(r"<sitename>([^<]*)</sitename>")
_BASE = re.compile(r"<base>([^<]*)</base>")
_LANGUAGE = re.compile(r'<mediawiki\b[^>]*xml:lang="([\w-]+)"')
_REDIRECT = re.compile(r"\s*#\s*(?:REDIRECT|転送|リダイレクト|WEITERLEITUNG|REDIRECTION)\b", re.I)
_BROKEN = (OSError, EOFError, Overflow)


def is_mediawiki_root(root: Root) -> bool:
    """Whether a document that begins so is an export of MediaWiki."""
    return root.name == "mediawiki"


def is_mediawiki(path: Path) -> bool:
    """Whether a file is an export of MediaWiki, by its beginning."""
    if path.suffix.lower() == ".xml":
        return is_mediawiki_root(root_of(path))
    try:
        with open_packed(path) as stream:
            return is_mediawiki_root(root_in(stream.read(HEAD).decode("utf-8", "replace")))
    except Exception:  # it is asked of any .gz and .bz2, and must not raise; reading it says what is wrong
        return path.name.lower().endswith((".xml.bz2", ".xml.gz"))


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """Pieces that begin at pages, each with its first page's number; a packed dump is one piece."""
    if path.suffix.lower() != ".xml":
        yield 0, -1, 1
        return
    start, number, seen = 0, 1, 0
    position, rest = 0, b""
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            data = rest + block
            offset = position - len(rest)
            place_in = 0
            while (index := data.find(_PAGE, place_in)) >= 0:
                if offset + index - start >= PIECE and seen >= number:
                    yield start, offset + index, number
                    start, number = offset + index, seen + 1
                seen += 1
                place_in = index + len(_PAGE)
            rest = data[max(place_in, len(data) - len(_PAGE) + 1) :]
            position += len(block)
    yield start, position, number


class _Page(NamedTuple):
    """A page of a dump."""

    number: int
    title: str
    namespace: str
    id: str
    redirect: bool
    date: str
    model: str
    text: str
    size: int


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The pages of a piece that are documents; what breaks off is a problem, after what could be read."""
    import lxml.etree

    path = one_file(piece.paths)
    source = place.relative(path)
    skipped: Counter[str] = Counter()
    try:
        site = _site(path)
        if site is None:
            raise ValueError("is no export of MediaWiki: it does not begin with <mediawiki>, or declares entities")
        for page in _pages(path, piece, place.max_bytes):
            if (kind := _skip(page)) is not None:
                skipped[kind] += 1
                continue
            yield _document(page, path, source, site, place, skipped)
            skipped.clear()
    except (lxml.etree.XMLSyntaxError, ValueError, *_BROKEN) as error:
        problem = (
            str(error)
            if isinstance(error, ValueError) and not isinstance(error, SyntaxError)
            else (f"is damaged or cut off from here on ({error}); fetch it anew. The rest is not read")
        )
        yield Found(str(path), source, {}, problem)
    if skipped:
        LOG.info(
            "corpus: %s: at the end of a piece: %s", source, ", ".join(f"{n} {kind}" for kind, n in skipped.items())
        )


def _skip(page: _Page) -> str | None:
    """The count that a page without a document belongs to."""
    if page.redirect or _REDIRECT.match(page.text):
        return "wiki_redirects"
    return "wiki_other_pages" if page.namespace != "0" or page.model not in ("", "wikitext") else None


def _document(page: _Page, path: Path, source: str, site: Site, place: Place, skipped: Counter[str]) -> Found:
    where, name = f"{path}, page {page.title or page.number}", f"{source}#{page.id or page.number}"
    changes = dict(skipped)
    if page.size > place.max_bytes:
        return Found(where, name, {}, too_large(page.size, place), changes=changes)
    text, counts, categories = wiki_markdown(page.text, page.title, site)
    if not text.strip():
        return Found(where, name, {}, "there is no text in the page", changes=changes)
    address = f"{site.base.rpartition('/')[0]}/{page.title.replace(' ', '_')}" if site.base else ""
    fields: dict[str, Any] = {
        "date": page.date,
        "language": site.language,
        "sitename": site.name,
        "url": address,
        "categories": categories,
    }
    kept = {key: value for key, value in fields.items() if value}
    record = {"paper_id": name, "title": page.title, **kept, "text": f"# {page.title}\n\n{text}"}
    return Found(where, name, record, changes={**changes, **counts})


def _site(path: Path) -> Site | None:
    """What the head of a dump says of its wiki; None if it is none, or declares entities."""
    with open_packed(path) as stream:
        head = stream.read(HEAD).decode("utf-8", "replace").removeprefix("\ufeff")
    root = root_in(re.sub(r"^\s*<\?xml[^>]*\?>", "", head, count=1))
    if not is_mediawiki_root(root) or root.entities:
        return None
    matches = [pattern.search(head) for pattern in (_SITE, _BASE, _LANGUAGE)]
    name, base, language = (match[1] if match else "" for match in matches)
    spaces = dict(_NAMESPACE.findall(head))
    return Site(name, base, language[:2].lower(), {spaces.get("6", "File"), spaces.get("14", "Category")}, spaces)


def _pages(path: Path, piece: Piece, limit: int) -> Iterator[_Page]:
    """The pages of a piece, one at a time; what is behind is freed."""
    import lxml.etree

    number = piece.number
    parser = lxml.etree.XMLPullParser(
        events=("end",), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_comments=True
    )
    fields: dict[str, str] = {}
    size = 0
    parser.feed(b"<mediawiki>" if piece.start else b"")
    for block in _blocks(path, piece):
        parser.feed(block)
        for _, node in parser.read_events():
            name, parent = local(node), node.getparent()
            if name in ("title", "ns", "id") and parent is not None and local(parent) == "page":
                fields[name] = node.text or ""
            elif name == "redirect":
                fields["redirect"] = "1"
            elif name == "revision":  # of a history only the last one is kept
                inner = {local(element): element.text or "" for element in node}
                size = len(inner.get("text", "").encode("utf-8", "replace"))
                fields |= {
                    "text": inner.get("text", "") if size <= limit else "",
                    "date": inner.get("timestamp", ""),
                    "model": inner.get("model", ""),
                }
                node.clear()
            elif name == "page":
                yield _Page(
                    number,
                    fields.get("title", ""),
                    fields.get("ns", "0"),
                    fields.get("id", ""),
                    "redirect" in fields,
                    fields.get("date", ""),
                    fields.get("model", ""),
                    fields.get("text", ""),
                    size,
                )
                number, fields, size = number + 1, {}, 0
                node.clear()
                while node.getprevious() is not None:
                    del node.getparent()[0]
    if piece.stop < 0 or piece.stop >= path.stat().st_size:
        parser.close()


def _blocks(path: Path, piece: Piece) -> Iterator[bytes]:
    if piece.start == 0 and piece.stop < 0:
        with open_packed(path) as stream:
            while block := stream.read(BLOCK):
                yield block
        return
    with path.open("rb") as stream:
        stream.seek(piece.start)
        left = piece.stop - piece.start
        while left > 0 and (block := stream.read(min(BLOCK, left))):
            left -= len(block)
            yield block


READER = Reader(
    name="mediawiki",
    suffixes=(".xml", ".xml.bz2", ".xml.gz"),
    read=read,
    documents=True,
    divide=divide,
    recognises=is_mediawiki,
)
