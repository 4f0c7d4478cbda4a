"""JATS XML, as journals and PubMed Central give it (NLM's older sets, too): one document an article.

The article's own text is read in its order: title, abstract, sections with their numbers, tables (HTML's model and
CALS), formulas (TeX where the file has it, else MathML as a line), captions, footnotes behind their paragraphs, the
list of references. What is in the front is fields. Reviews and translations that are appended (sub-articles) are
documents of their own. Raised text is written as in HTML (cleaning/marks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.markup.html.markdown import document_markdown
from nemo_kcpt.markup.xml.elements import Converter, append_text, below, child, children, element, flaws_of, plain
from nemo_kcpt.markup.xml.jats_fields import fields_of_article, title_of
from nemo_kcpt.markup.xml.jats_rules import RULES
from nemo_kcpt.markup.xml.safe import BadXml, Root, local, parse_file, root_of
from nemo_kcpt.readers.base import Reader

_SHORT = ("graphical", "teaser", "toc", "web-summary", "short", "key-points")
"""Abstracts that say once more what the first one says."""
_ROOTS = ("article", "pmc-articleset", "articles")
_FIRST = ("front", "front-stub", "body", "processing-meta", "article", "responseDate")


def is_jats_root(root: Root) -> bool:
    """Whether a document that begins so is an article of JATS, or a set of them; DocBook has an <article>, too."""
    if root.name not in _ROOTS or "docbook" in f"{root.namespace} {root.doctype}".lower():
        return False
    return root.first in _FIRST or bool(root.attributes & {"article-type", "dtd-version"})


def is_jats(path: Path) -> bool:
    """Whether a file is JATS, by its beginning."""
    return is_jats_root(root_of(path))


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The articles of a file, and those appended to them; one without text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        root = parse_file(path, place.encoding, _ROOTS, "of JATS, <article>")
    except BadXml as error:
        yield Found(str(path), source, {}, str(error))
        return
    articles = [root] if local(root) == "article" else list(below(root, "article"))
    if not articles:
        yield Found(str(path), source, {}, f"there is no <article> in <{local(root)}>")
    for number, article in enumerate(articles, 1):
        name = source if len(articles) == 1 else f"{source}#{number}"
        where = str(path) if len(articles) == 1 else f"{path}, article {number}"
        parts = children(article, "sub-article", "response")
        for part in parts:
            article.remove(part)
        yield _document(article, where, name)
        for count, part in enumerate(parts, 1):
            label = part.get("id") or f"sub-article-{count}"
            of = {"translation_of": name} if part.get("article-type") == "translation" else {"part_of": name}
            yield _document(part, f"{where}, {label}", f"{name}#{label}", of)


def _document(article: Any, where: str, name: str, more: dict[str, Any] | None = None) -> Found:
    converter = Converter(RULES)
    converter.marks.update(plain(child(note, "label")) for note in below(article, "fn"))
    tree = element("div")
    front = child(article, "front") if child(article, "front") is not None else child(article, "front-stub")
    meta = child(front, "article-meta") if child(front, "article-meta") is not None else front
    if (title := title_of(meta)) is not None:
        converter.fill(title, element("h1", tree))
        converter.put_notes(tree)
    abstract = ""
    for node in children(meta, "abstract", "trans-abstract") if meta is not None else ():
        if node.get("abstract-type") not in _SHORT:
            made = _add_abstract(converter, node, tree)
            abstract = abstract or document_markdown(deepcopy(made))[0]
    for part in ("body", "back", "floats-group", "floats-wrap"):
        for section in children(article, part):
            converter.fill(section, tree)
            converter.put_notes(tree)
    said = any(re.search(r"\w", text) for block in tree if block.tag != "h1" for text in block.itertext())
    text, count = document_markdown(tree)
    if not said:
        return Found(where, name, {}, "there is no text in its abstract and body: only what it says of the article")
    fields = fields_of_article(article, front, meta)
    title_line = text.split("\n", 1)[0].removeprefix("# ") if title is not None and text.startswith("# ") else ""
    record = {
        "paper_id": name,
        "title": re.sub(r"\[\^[^\]]*\]", "", title_line),
        **fields,
        **(more or {}),
        "text": text,
    }
    if abstract:
        record["abstract"] = abstract
    return Found(where, name, record, changes={"raised": count}, flaws=flaws_of(converter, where))


def _add_abstract(converter: Converter, abstract: Any, tree: Any) -> Any:
    """Append an abstract under its heading; what it says, as an element."""
    heading = element("h2", tree)
    title = child(abstract, "title")
    if title is not None:
        converter.fill(title, heading)
        abstract.remove(title)
    else:
        japanese = (abstract.get("{http://www.w3.org/XML/1998/namespace}lang") or "").startswith("ja")
        append_text(heading, "概要" if japanese else "Abstract")
    made = element("div", tree)
    converter.fill(abstract, made)
    converter.put_notes(made)
    return made


READER = Reader(name="jats", suffixes=(".xml", ".nxml"), read=read, documents=True, recognises=is_jats)
