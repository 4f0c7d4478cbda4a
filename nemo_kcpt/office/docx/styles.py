"""Styles of a .docx: what a paragraph and its runs inherit, by ECMA-376 part 1, 17.7."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from nemo_kcpt.office.package import attribute, child, local

_HEADING = re.compile(r"(?:heading|見出し|标题|標題|제목|überschrift|titre)\s*([1-9１-９])", re.I)
_TITLE = re.compile(r"(?:title|表題|标题|標題|제목)", re.I)
_CONTENTS = re.compile(
    r"(?:toc|目次)\s*(?:\d|heading|見出し)|table of (?:figures|authorities|contents)|図表目次|toa heading|index \d",
    re.I,
)
_OFF = ("0", "false", "off")
_TOGGLES = {"vanish": "hidden", "caps": "capitals", "strike": "struck", "dstrike": "struck"}
TOGGLES = ("hidden", "capitals", "struck")
BODY = 9
"""The outline level of text that is no heading."""


class Look(NamedTuple):
    """How a run is set."""

    way: str
    """super, sub, or empty."""
    hidden: bool
    capitals: bool
    struck: bool
    font: str
    size: float
    """In half points; 0 if nothing says it."""
    shift: float
    """In half points, upwards."""


NOTHING = Look("", False, False, False, "", 0, 0)


class Styles:
    """The styles of a document.

    Args:
        root: of styles.xml, or None if there is none.
    """

    def __init__(self, root: Any) -> None:
        nodes = [node for node in (root if root is not None else ()) if local(node) == "style"]
        self._styles = {attribute(node, "styleId") or "": node for node in nodes}
        paragraphs = (node for node in nodes if attribute(node, "type") == "paragraph")
        defaults = (node for node in paragraphs if attribute(node, "default") in ("1", "true", "on"))
        self._default = attribute(next(defaults, None), "styleId") or ""
        self._document = child(root, "docDefaults", "rPrDefault", "rPr") if root is not None else None
        self._chains: dict[str, tuple[Any, ...]] = {}
        self._looks: dict[tuple[str, str], Look] = {}

    def _chain(self, name: str) -> tuple[Any, ...]:
        """A style and those that it is based on."""
        if name not in self._chains:
            chain: list[Any] = []
            base = name
            while (node := self._styles.get(base)) is not None and node not in chain:
                chain.append(node)
                base = attribute(child(node, "basedOn")) or ""
            self._chains[name] = tuple(chain)
        return self._chains[name]

    def of_paragraph(self, properties: Any) -> tuple[Any, ...]:
        """The styles of a paragraph with such properties (pPr, or None), the nearest first."""
        return self._chain(self._name(properties))

    def _name(self, properties: Any) -> str:
        return (attribute(child(properties, "pStyle")) if properties is not None else None) or self._default

    def names(self, properties: Any) -> list[str]:
        """The names of a paragraph's styles."""
        return [attribute(child(node, "name")) or "" for node in self.of_paragraph(properties)]

    def property(self, properties: Any, *names: str) -> Any:
        """A paragraph's property, its own or that of its nearest style that has it; None if there is none."""
        own = child(properties, *names) if properties is not None else None
        if own is not None:
            return own
        of_styles = (child(node, "pPr", *names) for node in self.of_paragraph(properties))
        return next((node for node in of_styles if node is not None), None)

    def level(self, properties: Any) -> int:
        """1 to 9 for a heading, 0 for other text: by the outline level, else by the name of a style."""
        outline = attribute(self.property(properties, "outlineLvl"))
        if outline is not None and outline.isdecimal():
            return int(outline) + 1 if int(outline) < BODY else 0
        named = (_HEADING.fullmatch(name.strip()) for name in self.names(properties))
        return next((int(match[1]) for match in named if match), 0)

    def is_title(self, properties: Any) -> bool:
        """Whether a paragraph is the document's title."""
        return any(_TITLE.fullmatch(name.strip()) for name in self.names(properties))

    def is_contents(self, properties: Any) -> bool:
        """Whether a paragraph is part of a table of contents."""
        return any(_CONTENTS.match(name.strip()) for name in self.names(properties)[:1])

    def look(self, run: Any, paragraph: Any) -> Look:
        """How a run is set.

        Args:
            run: its properties (rPr), or None.
            paragraph: the properties (pPr) of its paragraph, or None.
        """
        style = attribute(child(run, "rStyle")) if run is not None and len(run) else None
        inherited = self._inherited(style or "", self._name(paragraph))
        return _with(inherited, run) if run is not None and len(run) else inherited

    def _inherited(self, run_style: str, paragraph_style: str) -> Look:
        if (run_style, paragraph_style) not in self._looks:
            self._looks[run_style, paragraph_style] = self._look_of(run_style, paragraph_style)
        return self._looks[run_style, paragraph_style]

    def _look_of(self, run_style: str, paragraph_style: str) -> Look:
        """How runs are set that say nothing themselves: toggles of two kinds of styles cancel each other (17.7.3)."""
        document = _with(NOTHING, self._document) if self._document is not None else NOTHING
        looks = []
        for style in (paragraph_style, run_style):
            look = NOTHING
            for node in reversed(self._chain(style)):
                look = _with(look, child(node, "rPr"))
            looks.append(look)
        paragraph, run = looks
        toggled = {name: getattr(paragraph, name) != getattr(run, name) or getattr(document, name) for name in TOGGLES}
        others = {
            name: getattr(run, name) or getattr(paragraph, name) or getattr(document, name)
            for name in ("way", "font", "size", "shift")
        }
        return Look(**toggled, **others)


def _with(look: Look, properties: Any) -> Look:
    """A look with what properties (rPr, or None) say besides."""
    changed: dict[str, Any] = {}
    for node in properties if properties is not None else ():
        name = local(node)
        if name in _TOGGLES:
            changed[_TOGGLES[name]] = attribute(node) not in _OFF
        elif name == "vertAlign":
            changed["way"] = {"superscript": "super", "subscript": "sub"}.get(attribute(node) or "", "")
        elif name == "rFonts":
            changed["font"] = attribute(node, "ascii") or attribute(node, "hAnsi") or look.font
        elif name in ("sz", "position"):
            changed["size" if name == "sz" else "shift"] = _number(attribute(node))
    return look._replace(**changed)


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0
