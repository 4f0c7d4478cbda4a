"""The slides of a presentation, parted by form feeds as the pages of a PDF are.

A slide's title is a heading, its shapes follow by where they are, its notes as a quotation. Hidden slides are left out,
slides that are only pictures are named, or have the text that an OCR engine read in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nemo_kcpt.documents.base import Place
from nemo_kcpt.documents.ocr_texts import texts_of
from nemo_kcpt.logs import LOG
from nemo_kcpt.office.drawings import drawing_lines
from nemo_kcpt.office.package import LEFT_OUT, Contents, Package, alternative, attribute, child, descendants, local
from nemo_kcpt.office.pieces import on_one_line
from nemo_kcpt.office.pptx.order import Box, reading_order
from nemo_kcpt.office.pptx.text import Bullets, joined, lines_of, table_text

HIDDEN = "slides and shapes that are hidden and left out"
PICTURES = "slides that are only pictures"
_FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")
_TITLES = ("title", "ctrTitle")
_SHAPES = ("sp", "grpSp", "graphicFrame", "pic", "cxnSp", "contentPart")


def slides_of(package: Package) -> tuple[str, list[str]]:
    """The part that holds a presentation, and those of its slides in their order."""
    part = package.related("", "officeDocument")
    listed = child(package.xml(part), "sldIdLst")
    return part, [package.target(part, node.get(_ID)) for node in (listed if listed is not None else ())]


def fill(package: Package, contents: Contents, place: Place) -> None:
    """Read a presentation."""
    texts: list[str] = []
    pictures: list[int] = []
    read: list[int] = []
    ocr = texts_of(place, package.container.path)
    for number, name in enumerate(slides_of(package)[1], 1):
        root = package.xml(name)
        if attribute(root, "show") in ("0", "false"):
            contents.flaw(HIDDEN, f"slide {number}", "unhide it in PowerPoint to have it read")
            continue
        slide = Slide(package, contents, name, root)
        texts.append(slide.text())
        contents.title = contents.title or slide.title
        for hidden in slide.hidden:
            contents.flaw(HIDDEN, f"slide {number}", f"shape {hidden}; unhide it in PowerPoint to have it read")
        if not slide.pictures or texts[-1]:
            continue
        if number in ocr.pages:
            read.append(number)
            texts[-1] = ocr.pages[number].replace("\f", "\n")
        else:
            pictures.append(number)
            contents.flaw(PICTURES, f"slide {number}", "its text would need OCR")
    contents.text = "\f".join(texts) if any(texts) else ""
    contents.fields["slides"] = len(texts)
    if pictures:
        contents.fields["image_slides"] = pictures
    if read:
        contents.fields |= {"ocr_slides": read, "ocr_model": ocr.model}
        contents.changes["ocr"] += len(read)
        source, slides = place.relative(package.container.path), ", ".join(map(str, read))
        LOG.warning("corpus: %s: the text of slide %s is what an OCR engine read, and not stored text", source, slides)


_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


class Slide:
    """A slide.

    Args:
        package: the file.
        contents: takes what is to be said of it.
        part: the slide's part.
        root: of that part.
    """

    def __init__(self, package: Package, contents: Contents, part: str, root: Any) -> None:
        self.package, self.contents, self.part, self.root = package, contents, part, root
        self.title = ""
        self.pictures = 0
        self.hidden: list[str] = []
        """Names of shapes with text that are hidden."""
        layout = package.related(part, "slideLayout")
        master = package.related(layout, "slideMaster") if layout else ""
        self._above = [package.shared_xml(name) for name in (layout, master) if name]
        self._placeholders: dict[int, list[tuple[Any, str, str]]] = {}
        self._followed: dict[Any, list[Any]] = {}
        self._vertical = 0

    def text(self) -> str:
        """The slide as Markdown; empty if there is no text on it."""
        blocks = self._blocks(child(self.root, "cSld", "spTree"))
        self.pictures += child(self.root, "cSld", "bg", "bgPr", "blipFill") is not None
        notes = self.package.related(self.part, "notesSlide")
        if notes and (text := self._notes(self.package.xml(notes))):
            blocks.append(text)
        return "\n\n".join(blocks)

    def _notes(self, root: Any) -> str:
        """What the speaker has noted, as a quotation."""
        texts = []
        tree = child(root, "cSld", "spTree")
        for shape in tree if tree is not None else ():
            if _placeholder(shape)[0] == "body":
                texts.append(joined(lines_of(child(shape, "txBody"), Bullets([]), self.contents)))
        text = "\n\n".join(filter(None, texts))
        return "\n".join(f"> {line}".rstrip() for line in text.split("\n")) if text else ""

    def _blocks(self, tree: Any) -> list[str]:
        """The blocks of the shapes in a tree or a group, the title first."""
        shapes = list(shapes_of(tree))
        titles = [shape for shape in shapes if _placeholder(shape)[0] in _TITLES]
        others = [(shape, self.box(shape)) for shape in shapes if shape not in titles]
        ways = [attribute(child(shape, "txBody", "bodyPr"), "vert") or "" for shape, _ in others]
        vertical = [way for way in ways if way.startswith("eaVert")]
        ordered = reading_order(others, from_right=2 * len(vertical) > len(others))
        return [text for shape in [*titles, *ordered] if (text := self._shape(shape))]

    def _shape(self, shape: Any) -> str:
        name = local(shape)
        kind, _ = _placeholder(shape)
        if kind in _FURNITURE:
            return ""
        if (about := _about(shape)) is not None and attribute(about, "hidden") in ("1", "true"):
            if name == "graphicFrame" or any((element.text or "").strip() for element in shape.iter("{*}t")):
                self.hidden.append(attribute(about, "name") or "without a name")
            return ""
        if name == "grpSp":
            return "\n\n".join(self._blocks(shape))
        if name == "pic":
            self.pictures += 1
            self.contents.pictures += 1
            return ""
        if name == "graphicFrame":
            return self._frame(shape)
        if child(shape, "spPr", "blipFill") is not None:
            self.pictures += 1
        lines = lines_of(child(shape, "txBody"), self._bullets(shape), self.contents)
        if kind not in _TITLES:
            return joined(lines)
        title = on_one_line("\n".join(line.text.removeprefix("- ") for line in lines))
        self.title = self.title or title
        return f"# {title}" if title else ""

    def _frame(self, frame: Any) -> str:
        """A table, chart, diagram or embedded object."""
        for element in descendants(frame):
            if local(element) == "tbl":
                return table_text(element, self.contents)
            if local(element) == "oleObj":
                self.pictures += 1
                detail = "what is embedded is not read; save it as a file of its own"
                self.contents.flaw(LEFT_OUT, f"object {attribute(element, 'progId') or 'embedded'}", detail)
                return ""
        return "\n".join(drawing_lines(frame, self.package, self.part, self.contents))

    def _bullets(self, shape: Any) -> Bullets:
        """Where a shape's bullets are set: its own list style, its placeholders', the master's."""
        styles = [child(shape, "txBody", "lstStyle")]
        kind, _ = _placeholder(shape)
        if not kind:
            return Bullets(styles)
        styles += [child(placeholder, "txBody", "lstStyle") for placeholder in self._inherited(shape)]
        name = "titleStyle" if kind in _TITLES else "bodyStyle" if kind in ("body", "obj", "subTitle") else "otherStyle"
        return Bullets([*styles, *(child(root, "txStyles", name) for root in self._above[1:])])

    def _inherited(self, shape: Any) -> list[Any]:
        """The placeholders of the layout and the master that a placeholder follows."""
        if shape in self._followed:
            return self._followed[shape]
        kind, number = _placeholder(shape)
        followed = self._followed[shape] = []
        for index in range(len(self._above)):
            for placeholder, other, other_number in self._placeholders_above(index):
                if other and (number == other_number if index == 0 else _same_kind(kind, other)):
                    followed.append(placeholder)
                    kind = other if kind == "obj" else kind
                    break
        return followed

    def _placeholders_above(self, index: int) -> list[tuple[Any, str, str]]:
        """The shapes of the layout (0) or the master (1), each with its kind and number as a placeholder."""
        if index not in self._placeholders:
            shapes = shapes_of(child(self._above[index], "cSld", "spTree"))
            self._placeholders[index] = [(shape, *_placeholder(shape)) for shape in shapes]
        return self._placeholders[index]

    def box(self, shape: Any) -> Box | None:
        """Where a shape is, by itself or by the placeholder that it follows."""
        for source in [shape, *(self._inherited(shape) if _placeholder(shape)[0] else [])]:
            at = child(source, "grpSpPr", "xfrm") if local(source) == "grpSp" else child(source, "spPr", "xfrm")
            at = child(source, "xfrm") if local(source) == "graphicFrame" else at
            offset, extent = child(at, "off"), child(at, "ext")
            if offset is not None and extent is not None:
                left, top = (float(attribute(offset, name) or 0) for name in "xy")
                wide, high = (float(attribute(extent, name) or 0) for name in ("cx", "cy"))
                return Box(left, top, left + wide, top + high)
        return None


def shapes_of(tree: Any) -> Iterator[Any]:
    """The shapes of a tree or a group, in the order of the file."""
    for shape in tree if tree is not None else ():
        if local(shape) == "AlternateContent":
            yield from shapes_of(alternative(shape))
        elif local(shape) in _SHAPES:
            yield shape


def _placeholder(shape: Any) -> tuple[str, str]:
    """The kind and number of a placeholder; empty texts if a shape is none."""
    for element in shape:
        if local(element).startswith("nv"):
            ph = child(element, "nvPr", "ph")
            return (attribute(ph, "type") or "obj", attribute(ph, "idx") or "0") if ph is not None else ("", "")
    return "", ""


def _same_kind(kind: str, other: str) -> bool:
    """Whether a placeholder follows one of the master: titles are one kind, all that holds content another."""
    if kind in _TITLES:
        return other == "title"
    return other == kind or (kind in ("obj", "subTitle", "body", "tbl", "chart", "dgm") and other == "body")


def _about(shape: Any) -> Any:
    """The element with a shape's name, or None."""
    return next((child(element, "cNvPr") for element in shape if local(element).startswith("nv")), None)
