"""What .docx, .pptx and .xlsx share: parts and how they refer to each other, metadata, macros, one way to fail.

Their parts are read by lxml as they are stored. Libraries that make a model of a document first (python-docx,
python-pptx, openpyxl) leave out what the model has no place for: text boxes, notes, formulas, counted numbers,
diagrams. Nothing outside of the file is ever opened: a relation that leads there is never followed.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from nemo_kcpt.documents.base import LEFT_OUT as LEFT_OUT
from nemo_kcpt.documents.base import Flaw, Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.zipped import BadContainer, Container, parse_xml

MACROS = "files with macros, of which only the text was read"
"""Kind of a flaw; the others are named where they are found."""
UNEXPECTED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a file raises that no Office has made."""
_STRICT = re.compile(rb"(?<==[\"'])http://purl\.oclc\.org/ooxml/([A-Za-z]+)/")
_OPEN = rb"http://schemas.openxmlformats.org/\1/2006/"
"""Namespaces of strict files -> those of all others."""
_CORE = {
    "title": "title",
    "creator": "author",
    "modified": "date",
    "created": "created",
    "language": "language",
    "subject": "subject",
    "keywords": "keywords",
}
"""Property of core.xml -> field."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Relation(NamedTuple):
    """What a part refers to."""

    kind: str
    """The last part of its type: slide, image, footnotes, …"""
    target: str
    """A part's name; an address if it is outside of the file."""
    outside: bool


class Package:
    """The parts of a document in an open ZIP file."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._relations: dict[str, dict[str, Relation]] = {}
        self._roots: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.container

    def xml(self, name: str) -> Any:
        """The root element of a part; a strict file's namespaces become those of all others.

        Raises:
            BadContainer: there is no such part, or it cannot be read.
        """
        if name not in self.container:
            raise BadContainer(f"its part {name or 'that holds the document'} is missing: damaged; save it anew")
        return parse_xml(_STRICT.sub(_OPEN, self.container.read(name)), name)

    def shared_xml(self, name: str) -> Any:
        """The same for a part that many others refer to: it is read once and must not be changed."""
        if name not in self._roots:
            self._roots[name] = self.xml(name)
        return self._roots[name]

    def relations(self, part: str = "") -> dict[str, Relation]:
        """Id -> relation of a part, of the whole file without one; empty if it has none."""
        if part not in self._relations:
            folder, name = posixpath.split(part)
            path = posixpath.join(folder, "_rels", f"{name}.rels")
            nodes = self.xml(path) if path in self.container else ()
            self._relations[part] = {node.get("Id", ""): _relation(node, folder) for node in nodes if node.get("Type")}
        return self._relations[part]

    def related(self, part: str, kind: str) -> str:
        """The first part of a kind that a part refers to; empty if there is none in the file."""
        targets = (relation.target for relation in self.relations(part).values() if relation.kind == kind)
        return next((target for target in targets if target in self.container), "")

    def target(self, part: str, key: str | None) -> str:
        """The part that a relation of `part` leads to; empty if there is none in the file."""
        relation = self.relations(part).get(key or "")
        return relation.target if relation and not relation.outside and relation.target in self.container else ""

    @property
    def has_macros(self) -> bool:
        """Whether there is a VBA project or a sheet of Excel 4 macros in it."""
        return any(
            name.rpartition("/")[2].casefold() == "vbaproject.bin" or "/macrosheets/" in name.casefold()
            for name in self.container.names
        )

    def metadata(self) -> dict[str, str]:
        """Title, author, date (the last change, as a day), language and the like, where the file has them."""
        part = self.related("", "core-properties")
        fields: dict[str, str] = {}
        for node in self.xml(part) if part else ():
            name, text = _CORE.get(local(node), ""), " ".join("".join(node.itertext()).split())
            if name and text:
                fields[name] = text
        for name in ("date", "created"):
            if name in fields:
                day = _DAY.match(fields[name])
                fields |= {name: day[0]} if day else {}
        if "date" not in fields and "created" in fields:
            fields["date"] = fields["created"]
        return fields


@dataclass
class Contents:
    """What a document holds."""

    text: str = ""
    title: str = ""
    is_named_by_file: bool = False
    """Whether the file's name is the title where there is no other: headings are names of sheets, say."""
    pictures: int = 0
    """Pictures, of which no text is read."""
    fields: dict[str, Any] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)
    flaws: list[tuple[str, str, str]] = field(default_factory=list)
    """Kind, part of the file, detail."""

    def flaw(self, kind: str, part: str, detail: str) -> None:
        """Add a flaw, once."""
        if (kind, part, detail) not in self.flaws:
            self.flaws.append((kind, part, detail))


Fill = Callable[[Package, Contents, Place], None]
"""Reads a document of a format."""


def documents(place: Place, piece: Piece, wanted: str, fill: Fill) -> Iterator[Found]:
    """The document of a file; whatever is wrong with it is its problem, and never that of the corpus."""
    path = one_file(piece.paths)
    source = place.relative(path)
    contents = Contents()
    try:
        with Container(path, place, wanted) as container:
            package = Package(container)
            metadata = package.metadata()
            fill(package, contents, place)
            if package.has_macros:
                contents.flaw(MACROS, "", f"its macros were not run; to be rid of them save it as {wanted}")
        record = _record(path, source, contents, metadata, place)
    except BadContainer as error:
        yield Found(str(path), source, {}, str(error))
        return
    except RecursionError:
        yield Found(str(path), source, {}, "is nested too deeply to be a document; save it anew")
        return
    except UNEXPECTED as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        yield Found(str(path), source, {}, f"is damaged, or is what this reader does not know ({what}); save it anew")
        return
    flaws = [Flaw(kind, f"{path}, {part}" if part else str(path), detail) for kind, part, detail in contents.flaws]
    yield Found(str(path), source, record, changes=contents.changes, flaws=flaws)


def _record(path: Path, source: str, contents: Contents, metadata: dict[str, str], place: Place) -> dict[str, Any]:
    text = contents.text.strip("\n")
    if not text.strip():
        if contents.pictures:
            raise BadContainer(
                f"holds only pictures ({contents.pictures:,}); save it as a PDF and run OCR, for instance ocrmypdf -l "
                "jpn in.pdf out.pdf"
            )
        left_out = f" ({contents.flaws[0][0]}: {contents.flaws[0][1]})" if contents.flaws else ""
        raise BadContainer(f"there is no text in it{left_out}")
    if len(text.encode("utf-8", "replace")) > place.max_bytes:
        raise BadContainer(too_large(len(text.encode("utf-8", "replace")), place))
    title = contents.title or title_of(metadata.pop("title", ""), text[:3000])
    title = title or (path.stem if contents.is_named_by_file else "")
    return {**metadata, **contents.fields, "paper_id": source, "title": title, "text": text}


def title_of(title: str, beginning: str) -> str:
    """The title of the metadata if the document begins with it: many are a template's, or a file's name."""
    key = _letters(title)
    return title if len(key) >= 4 and key in _letters(beginning) else ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _relation(node: Any, folder: str) -> Relation:
    kind, target = node.get("Type").rpartition("/")[2], node.get("Target", "")
    if node.get("TargetMode", "").casefold() == "external":
        return Relation(kind, target, True)
    joined = target if target.startswith("/") else posixpath.join(folder, target)
    return Relation(kind, posixpath.normpath(unquote(joined)).strip("/"), False)


def local(node: Any) -> str:
    """An element's name without its namespace; empty for None, and for what is no element."""
    tag = None if node is None else node.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child(node: Any, *names: str) -> Any:
    """The element that a path of names leads to, or None."""
    for name in names:
        if node is None:
            return None
        node = next(node.iterchildren(f"{{*}}{name}"), None)
    return node


def attribute(node: Any, name: str = "val") -> str | None:
    """An element's attribute, whatever its namespace; None if there is no element or no attribute."""
    if node is None:
        return None
    if (value := node.get(name)) is not None:
        return str(value)
    end = f"}}{name}"
    return next((str(value) for key, value in node.items() if key.endswith(end)), None)


def attributes(node: Any) -> dict[str, str]:
    """All of an element's attributes by their names, as `attribute` gives each; for those who ask for several."""
    values: dict[str, str] = {}
    for key, value in node.items():
        _, namespace, name = key.rpartition("}")
        if namespace:
            values.setdefault(name, value)
        else:
            values[name] = value
    return values


def first_of_each(node: Any) -> dict[str, Any]:
    """The first element of each name directly in one, as `child` gives each; for those who ask for several."""
    elements: dict[str, Any] = {}
    for element in node:
        elements.setdefault(local(element), element)
    return elements


def alternative(node: Any) -> Any:
    """Of an mc:AlternateContent the one child to read, which is there twice else; None if it is empty."""
    choices = [choice for choice in node if local(choice) in ("Choice", "Fallback") and len(choice)]
    return choices[0] if choices else None


def descendants(node: Any, stop: Sequence[str] = ()) -> Iterator[Any]:
    """The elements below one, in order, of alternatives only the one to read; not below those named in `stop`."""
    for element in node:
        if local(element) == "AlternateContent":
            chosen = alternative(element)
            if chosen is not None:
                yield from descendants(chosen, stop)
            continue
        yield element
        if local(element) not in stop:
            yield from descendants(element, stop)
