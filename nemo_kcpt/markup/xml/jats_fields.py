"""What the front of a JATS article says of it, as fields: authors, date, journal, DOI, licence, keywords, abstract."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nemo_kcpt.markup.xml.elements import below, child, children, plain

_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_HREF = "{http://www.w3.org/1999/xlink}href"
_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/(?:licenses/([a-z-]+)/(\d\.\d)|publicdomain/zero/(\d\.\d))")
_EARLIER = ("epub", "pub", "ppub", "epub-ppub", "collection")
"""Kinds of dates, the one of publication first."""


def title_of(meta: Any) -> Any:
    """The element with an article's title, or None."""
    group = child(meta, "title-group")
    title = child(group if group is not None else meta, "article-title")
    return title if title is not None and plain(title) else None


def fields_of_article(article: Any, front: Any, meta: Any) -> dict[str, Any]:
    """The fields that an article has, under the names that other readers give them."""
    if meta is None:
        return {}
    journal = child(front, "journal-meta")
    title = next((plain(node) for node in below(journal, "journal-title")), "")
    language = article.get(_LANG, "")
    fields: dict[str, Any] = {
        "author": "; ".join(_authors(meta)),
        "date": _date(meta),
        "language": language[:2].lower(),
        "journal": title,
        **{name: plain(child(meta, name)) for name in ("volume", "issue")},
        "pages": "–".join(filter(None, (plain(child(meta, name)) for name in ("fpage", "lpage")))),
        **{
            _id_name(identifier): plain(identifier)
            for identifier in children(meta, "article-id")
            if _id_name(identifier)
        },
        "license": license_of(meta),
        "keywords": [
            plain(keyword) for group in children(meta, "kwd-group") for keyword in below(group, "kwd") if plain(keyword)
        ],
    }
    return {name: value for name, value in fields.items() if value}


def _id_name(node: Any) -> str:
    kind = node.get("pub-id-type", "")
    return {"doi": "doi", "pmid": "pmid", "pmc": "pmcid", "pmcid": "pmcid", "arxiv": "arxiv"}.get(kind, "")


def _authors(meta: Any) -> Iterator[str]:
    for person in below(meta, "contrib"):
        if person.get("contrib-type", "author") != "author":
            continue
        names = [node for node in person.iterchildren() if isinstance(node.tag, str)]
        alternatives = [inner for node in names if node.tag.endswith("name-alternatives") for inner in node]
        for name in [*alternatives, *names]:
            if written := name_of(name):
                yield written
                break


def name_of(node: Any) -> str:
    """A person's or a group's name: given names first, but family first in Japanese and Chinese writing."""
    kind = str(node.tag).rpartition("}")[2]
    if kind in ("collab", "string-name", "on-behalf-of") and child(node, "surname") is None:
        return plain(node)
    if kind not in ("name", "string-name"):
        return ""
    family, given = plain(child(node, "surname")), plain(child(node, "given-names"))
    eastern = node.get("name-style") == "eastern" or bool(re.match("[\u3040-\u30ff\u4e00-\u9fff]", family))
    parts = [family, given] if eastern else [plain(child(node, "prefix")), given, family, plain(child(node, "suffix"))]
    return " ".join(filter(None, parts))


def _date(meta: Any) -> str:
    """The date of publication, as exact as it is given."""
    dates = children(meta, "pub-date")

    def rank(node: Any) -> int:
        kind = node.get("pub-type") or node.get("date-type") or ""
        return _EARLIER.index(kind) if kind in _EARLIER else len(_EARLIER)

    for node in sorted(dates, key=rank):
        year, month, day = (plain(child(node, name)) for name in ("year", "month", "day"))
        if year:
            whole = [year, *(part.zfill(2) for part in (month, day) if part.isdigit())]
            return "-".join(whole if month.isdigit() else [year])
    return ""


def license_of(node: Any) -> str:
    """The licence that a front names: Creative Commons by its short name, else its address or its words."""
    for candidate in below(node, "license", "license_ref", "licence", "ext-link"):
        address = candidate.get(_HREF) or candidate.get("target") or plain(candidate)
        if match := _CREATIVE_COMMONS.search(address):
            return f"CC {match[1].upper()} {match[2]}" if match[1] else f"CC0 {match[3]}"
    return next((candidate.get(_HREF) or plain(candidate) for candidate in below(node, "license", "licence")), "")[:300]
