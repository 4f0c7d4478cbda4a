"""Numbers that Word counts and no text holds: of headings, articles and lists, by ECMA-376 part 1, 17.9."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from nemo_kcpt.office.package import attribute, child, local
from nemo_kcpt.text.counting import counted

LEVELS = 9
_PLACE = re.compile(r"%([1-9])")


class Label(NamedTuple):
    """What stands before a numbered paragraph."""

    text: str
    """The number as it is shown; empty for a bullet."""
    level: int
    """0 to 8."""
    unknown: str = ""
    """The form of counting, if it is not known: the number is then a plain one."""


class _Level(NamedTuple):
    start: int
    form: str
    text: str
    restart: int | None
    """Levels above this one (1-based) start it again; None: every one above."""
    plain: bool
    """All numbers in its text are plain ones."""
    style: str


class Numbers:
    """Counts the numbered paragraphs of a document, which must be asked for in order.

    Args:
        root: of numbering.xml, or None if there is none.
    """

    def __init__(self, root: Any) -> None:
        nodes = list(root) if root is not None else []
        self._abstract = {attribute(node, "abstractNumId"): node for node in nodes if local(node) == "abstractNum"}
        self._numbers = {attribute(node, "numId"): node for node in nodes if local(node) == "num"}
        self._levels: dict[tuple[str, int], _Level | None] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._begun: set[tuple[str, int]] = set()

    def label(self, number: str, level: int) -> Label | None:
        """The label of the next paragraph of a list; None if the list or its level is not there.

        Args:
            number: the id of the list (numId).
            level: 0 to 8.
        """
        definition = self._level(number, level)
        if definition is None:
            return None
        counts = self._counts.setdefault(self._list(number), [None] * LEVELS)
        for upper in range(level):
            if counts[upper] is None:
                above = self._level(number, upper)
                counts[upper] = above.start if above else 1
        override = self._override(number, level)
        if override is not None and (number, level) not in self._begun:
            counts[level] = override
        else:
            counts[level] = definition.start if (last := counts[level]) is None else last + 1
        self._begun.add((number, level))
        for lower in range(level + 1, LEVELS):
            below = self._level(number, lower)
            if below is None or below.restart is None or (below.restart and level < below.restart):
                counts[lower] = None
        if definition.form == "bullet":
            return Label("", level)
        return self._written(number, level, definition, counts)

    def level_of_style(self, number: str, style: str) -> int | None:
        """The level of a list that is tied to a paragraph style; None if none is."""
        for level in range(LEVELS):
            definition = self._level(number, level)
            if definition and style and definition.style == style:
                return level
        return None

    def _written(self, number: str, level: int, definition: _Level, counts: list[int | None]) -> Label:
        unknown = ""

        def write(match: re.Match[str]) -> str:
            nonlocal unknown
            index = int(match[1]) - 1
            other = self._level(number, index)
            form = "decimal" if definition.plain or other is None else other.form
            if index > level or form == "bullet":
                return ""
            text = counted(counts[index] or 0, form)
            unknown = unknown if text is not None else form
            return str(counts[index] or 0) if text is None else text

        return Label(" ".join(_PLACE.sub(write, definition.text).split()), level, unknown)

    def _list(self, number: str) -> str:
        """The list that a number counts: several numbers may share one."""
        return attribute(child(self._numbers.get(number), "abstractNumId")) or ""

    def _node(self, number: str) -> Any:
        """The abstractNum of a number; of one that only names a style, the one that defines it."""
        node = self._abstract.get(self._list(number))
        link = attribute(child(node, "numStyleLink")) if node is not None else None
        if not link:
            return node
        defined = (abstract for abstract in self._abstract.values() if attribute(child(abstract, "styleLink")) == link)
        return next(defined, node)

    def _override(self, number: str, level: int) -> int | None:
        """What a number starts at instead of what its list says."""
        node = self._overridden(number, level)
        start = attribute(child(node, "startOverride")) if node is not None else None
        return _int(start, 1) if start is not None else None

    def _overridden(self, number: str, level: int) -> Any:
        nodes = self._numbers.get(number)
        overrides = (node for node in (nodes if nodes is not None else ()) if local(node) == "lvlOverride")
        return next((node for node in overrides if attribute(node, "ilvl") == str(level)), None)

    def _level(self, number: str, level: int) -> _Level | None:
        key = (number, level)
        if key not in self._levels:
            self._levels[key] = self._read_level(number, level)
        return self._levels[key]

    def _read_level(self, number: str, level: int) -> _Level | None:
        overridden = self._overridden(number, level)
        node = child(overridden, "lvl") if overridden is not None else None
        if node is None:
            base = self._node(number)
            levels = (element for element in (base if base is not None else ()) if local(element) == "lvl")
            node = next((element for element in levels if attribute(element, "ilvl") == str(level)), None)
        if node is None:
            return None
        form = next((element for element in node.iter() if local(element) == "numFmt"), None)
        restart, plain = attribute(child(node, "lvlRestart")), child(node, "isLgl")
        return _Level(
            start=_int(attribute(child(node, "start")), 0),
            form=attribute(form) or "decimal",
            text=attribute(child(node, "lvlText")) or "",
            restart=None if restart is None else _int(restart, 0),
            plain=plain is not None and attribute(plain) not in ("0", "false", "off"),
            style=attribute(child(node, "pStyle")) or "",
        )


def _int(text: str | None, default: int) -> int:
    try:
        return int(text or "")
    except ValueError:
        return default
