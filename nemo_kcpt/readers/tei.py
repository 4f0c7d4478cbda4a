"""TEI XML, as GROBID makes it of PDFs and editors make it of texts: one document a <TEI>.

The header is fields (title, authors, date, DOI, licence, language); title, abstract, sections with their numbers,
tables, formulas, captions, notes behind their paragraphs and the list of references are the text. Where an editor gives
two readings, the corrected, regularised and expanded one is taken; running heads and page breaks go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.markup.html.markdown import document_markdown
from nemo_kcpt.markup.xml.elements import Converter, below, child, element, flaws_of, plain
from nemo_kcpt.markup.xml.jats_fields import license_of
from nemo_kcpt.markup.xml.safe import BadXml, Root, local, parse_file, root_of
from nemo_kcpt.markup.xml.tei_rules import RULES, person
from nemo_kcpt.readers.base import Reader

_ROOTS = ("TEI", "TEI.2", "teiCorpus", "teiCorpus.2")
_XML = "{http://www.w3.org/XML/1998/namespace}"
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?")
_IDS = {"doi": "doi", "pmid": "pmid", "pmcid": "pmcid", "arxiv": "arxiv"}


def is_tei_root(root: Root) -> bool:
    """Whether a document that begins so is TEI."""
    return root.name in _ROOTS


def is_tei(path: Path) -> bool:
    """Whether a file is TEI, by its beginning."""
    return is_tei_root(root_of(path))


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The documents of a file; one without text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        root = parse_file(path, place.encoding, _ROOTS, "of TEI, <TEI>")
    except BadXml as error:
        yield Found(str(path), source, {}, str(error))
        return
    texts = [root] if local(root).startswith("TEI") else list(below(root, "TEI", "TEI.2"))
    if not texts:
        yield Found(str(path), source, {}, f"there is no <TEI> in <{local(root)}>")
    for number, text in enumerate(texts, 1):
        single = len(texts) == 1
        where, name = (str(path), source) if single else (f"{path}, text {number}", f"{source}#{number}")
        yield _document(text, where, name)


def _document(root: Any, where: str, name: str) -> Found:
    converter = Converter(RULES)
    converter.marks.update(note.get("n", "") for note in below(root, "note"))
    header, body = child(root, "teiHeader"), child(root, "text")
    tree = element("div")
    title = _title(header)
    if title is not None:
        converter.fill(title, element("h1", tree))
    abstract = next(below(header, "abstract"), None)
    summary = ""
    if abstract is not None and plain(abstract):
        element("h2", tree, text="概要" if _language(root).startswith("ja") else "Abstract")
        made = element("div", tree)
        converter.fill(abstract, made)
        summary = document_markdown(deepcopy(made))[0]
    if body is not None:
        converter.fill(body, tree)
    said = bool(re.search(r"\w", "".join(text for block in tree if block.tag != "h1" for text in block.itertext())))
    text, count = document_markdown(tree)
    if not said:
        return Found(where, name, {}, "there is no text in its <text> and abstract: only what its header says")
    first = text.split("\n", 1)[0]
    record = {
        "paper_id": name,
        "title": re.sub(r"\[\^[^\]]*\]", "", first[2:]) if title is not None and first.startswith("# ") else "",
        **_fields(root, header),
        **({"abstract": summary} if summary else {}),
        "text": text,
    }
    return Found(where, name, record, changes={"raised": count}, flaws=flaws_of(converter, where))


def _title(header: Any) -> Any:
    titles = list(below(next(below(header, "titleStmt"), None), "title"))
    main = [title for title in titles if title.get("type", "main") == "main"] or titles
    return next((title for title in main if plain(title)), None)


def _language(root: Any) -> str:
    said = [root.get(f"{_XML}lang"), *(language.get("ident") for language in below(root, "language"))]
    said += [node.get(f"{_XML}lang") for node in below(root, "teiHeader", "text")]
    return next(filter(None, said), "").lower()


def _fields(root: Any, header: Any) -> dict[str, Any]:
    described = next(below(header, "biblStruct"), None)
    statement = next(below(header, "titleStmt"), None)
    people = [person(author) for author in below(described, "author")] or [
        person(author) for author in below(statement, "author")
    ]
    monograph = next(below(described, "monogr"), None)
    publication = next(below(header, "publicationStmt"), None)
    fields: dict[str, Any] = {
        "author": "; ".join(dict.fromkeys(filter(None, people))),
        "date": next(filter(None, map(_date, [*below(monograph, "date"), *below(publication, "date")])), ""),
        "language": _language(root)[:2],
        "journal": next((plain(title) for title in below(monograph, "title") if title.get("level") == "j"), ""),
        "license": license_of(publication),
        "keywords": [plain(term) for group in below(header, "keywords") for term in below(group, "term", "item")],
    }
    for identifier in [*below(described, "idno"), *below(publication, "idno")]:
        if kind := _IDS.get(identifier.get("type", "").lower()):
            fields.setdefault(kind, plain(identifier))
    return {name: value for name, value in fields.items() if value}


def _date(node: Any) -> str:
    return node.get("when") or (match[0] if (match := _DATE.search(plain(node))) else "")


READER = Reader(name="tei", suffixes=(".xml", ".tei"), read=read, documents=True, recognises=is_tei)
