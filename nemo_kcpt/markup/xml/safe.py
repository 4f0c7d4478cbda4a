"""XML read safely: entities are never expanded and nothing is ever fetched, whatever a document declares.

A DOCTYPE is tolerated and not loaded, since every JATS file has one. What it names by the standard names (`&alpha;`,
`&nbsp;`) are characters of HTML's and MathML's own table. A document that declares text entities of its own is refused:
that is how a file of one kilobyte becomes gigabytes, or a part of another file.
"""

from __future__ import annotations

import html.entities
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from xml.parsers import expat

from nemo_kcpt.documents.memory import remembered
from nemo_kcpt.errors import BadInput
from nemo_kcpt.text.encodings import BrokenUtf8, UnknownEncoding, check_name, decode, detect_head

HEAD = 1 << 16
"""Bytes of a file in which its root element must begin."""
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*\?>")
_DECLARED = re.compile(rb"""<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""")
_ENTITIES = 5
"""Names of entities that a message shows."""


class BadXml(ValueError):
    """A file is no XML that is read; says why, and what would help."""


class Root(NamedTuple):
    """How an XML document begins."""

    name: str
    """Name of the root element, without its prefix; empty if the file does not begin as XML does."""
    namespace: str = ""
    attributes: frozenset[str] = frozenset()
    doctype: str = ""
    """The public and system identifiers of its DOCTYPE."""
    first: str = ""
    """The first element within the root."""
    entities: tuple[str, ...] = ()
    """Text entities that the document declares itself."""


class _Enough(Exception):
    """The beginning of a document is known."""


def decoded(data: bytes, encoding: str = "auto") -> str:
    """An XML document as text without its declaration: in the encoding its bytes are surely in, else the declared one.

    Raises:
        BadXml: it is no text, or its encoding cannot be told.
    """
    try:
        text = decode(data, encoding).text
    except BrokenUtf8 as error:
        raise BadXml(str(error)) from None
    except UnknownEncoding as error:
        match = _DECLARED.search(data[:1024]) if encoding == "auto" else None
        if match is None:
            raise BadXml(str(error)) from None
        try:
            text = decode(data, check_name(match[1].decode())).text
        except (BadInput, UnknownEncoding):
            raise BadXml(str(error)) from None
    return _DECLARATION.sub("", text, count=1)


@remembered
def root_of(path: Path) -> Root:
    """How a file begins; never raises, so that a reader's `recognises` can ask."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return Root("")
    return root_in(_head_text(head))


def _head_text(head: bytes) -> str:
    try:
        encoding = detect_head(head)
    except UnknownEncoding:
        declared = _DECLARED.search(head)
        encoding = declared[1].decode() if declared else "utf-8"
    try:
        text = head.decode(encoding, "replace")
    except LookupError:
        text = head.decode("utf-8", "replace")
    return _DECLARATION.sub("", text.removeprefix("\ufeff"), count=1)


def root_in(text: str) -> Root:
    """How a document begins; declarations are looked at and never used."""
    fields: dict[str, Any] = {"name": "", "doctype": "", "entities": []}
    parser = expat.ParserCreate(namespace_separator="\n")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def doctype(name: str, system: str | None, public: str | None, internal: bool) -> None:
        fields["doctype"] = f"{public or ''} {system or ''}".strip()

    def entity(name: str, parameter: bool, value: str | None, base: Any, system: Any, public: Any, kind: Any) -> None:
        if kind is None:  # with one it is a picture's name, which no text refers to
            fields["entities"].append(name)

    def start(name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition("\n")
        if fields["name"]:
            fields["first"] = local
            raise _Enough
        fields.update(name=local, namespace=namespace, attributes=frozenset(attributes))

    parser.StartDoctypeDeclHandler = doctype
    parser.EntityDeclHandler = entity
    parser.StartElementHandler = start
    with suppress(_Enough, expat.ExpatError):
        parser.Parse(text.encode("utf-8", "replace"), False)
    return Root(**{**fields, "entities": tuple(fields["entities"])})


def parse(text: str) -> Any:
    """The root element (lxml) of a document that `decoded` gave, its entities resolved by the standard table alone.

    Raises:
        BadXml: it declares text entities, is not well-formed, or refers to an entity that no table has.
    """
    import lxml.etree

    root = root_in(text[:HEAD])
    if not root.name:
        raise BadXml(f"no XML element begins in its first {HEAD >> 10} KiB: is it XML at all?")
    if root.entities:
        names = ", ".join(root.entities[:_ENTITIES]) + (", …" if len(root.entities) > _ENTITIES else "")
        raise BadXml(
            f"declares entities of its own ({names}), which are never expanded: they may hold other files, or grow "
            "without end. Write the text out in their places (xmllint --noent, if you trust the file)"
        )
    try:
        tree = lxml.etree.fromstring(text.encode("utf-8", "replace"), parser())
    except lxml.etree.XMLSyntaxError as error:
        raise BadXml(f"is not well-formed XML ({error.msg}); it may be cut off: fetch it anew, or repair it") from None
    resolve(tree)
    return tree


def parse_file(path: Path, encoding: str, roots: Sequence[str], expected: str) -> Any:
    """The root element of a file, which must be one of `roots`.

    Raises:
        BadXml: it cannot be parsed, or has another root; `expected` says which was, as "of TEI, <TEI>".
    """
    root = parse(decoded(path.read_bytes(), encoding))
    if local(root) not in roots:
        raise BadXml(f"has the root element <{local(root)}>; {expected} was expected")
    return root


def parser() -> Any:
    """lxml's parser without entities, DTDs and network; elements nest 256 deep at most."""
    import lxml.etree

    return lxml.etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=False,
    )


def resolve(tree: Any) -> None:
    """Replace references to the characters that HTML and MathML name, in place.

    Raises:
        BadXml: a reference is to something else.
    """
    import lxml.etree

    for node in list(tree.iter(lxml.etree.Entity)):
        name = node.text.strip("&;")
        sign = html.entities.html5.get(f"{name};")
        if sign is None:
            raise BadXml(f"refers to the entity &{name};, which only its DTD may know; write the text in its place")
        previous, parent, tail = node.getprevious(), node.getparent(), node.tail or ""
        parent.remove(node)
        if previous is not None:
            previous.tail = f"{previous.tail or ''}{sign}{tail}"
        else:
            parent.text = f"{parent.text or ''}{sign}{tail}"


def local(node: Any) -> str:
    """The name of an element without its namespace; empty for what is no element."""
    return str(node.tag).rpartition("}")[2] if isinstance(node.tag, str) else ""
