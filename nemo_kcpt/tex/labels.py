"""What a TeX document refers to: labels with the numbers that they mark, and references, which may come before them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_REFERENCE = re.compile("\x04([^\x04\x05]*)\x05([^\x04\x05]*)\x04")


@dataclass
class Label:
    """What \\label marks: how its number is shown, and of what kind it is (section, equation, figure, …)."""

    number: str
    kind: str
    title: str = ""


@dataclass
class Labels:
    """The labels of a document."""

    known: dict[str, Label] = field(default_factory=dict)
    japanese: bool = False

    def mark(self, name: str, label: Label) -> None:
        """Let a label mark what was numbered last."""
        self.known[" ".join(name.split())] = label

    def reference(self, form: str, name: str) -> str:
        """A reference to a label that may come later; `form` is ref, eqref, autoref, …"""
        return f"\x04{form}\x05{' '.join(name.split())}\x04"

    def resolved(self, text: str) -> str:
        """Text with its references written out; of a label that is nowhere its name stays."""
        return _REFERENCE.sub(lambda match: self._resolve(match[1], match[2]), text)

    def _resolve(self, form: str, name: str) -> str:
        label = self.known.get(name)
        if label is None or (form == "nameref" and not label.title):
            return f"[{name}]"
        if form == "nameref":
            return label.title
        number = (
            f"({label.number})" if form == "eqref" or (label.kind == "equation" and form in _NAMED) else label.number
        )
        if form not in _NAMED or not label.kind:
            return number or f"[{name}]"
        return f"{kind_name(label.kind, form, self.japanese)} {number}"


_NAMED = ("autoref", "cref", "Cref")


def kind_name(kind: str, form: str, japanese: bool) -> str:
    """What hyperref (autoref) and cleveref (cref, Cref) call a kind."""
    if japanese:
        names = {"figure": "図", "table": "表", "equation": "式", "section": "節", "chapter": "章"}
        return names.get(kind, kind)
    short = {"equation": "eq.", "figure": "fig."}
    if form == "autoref":
        return kind.capitalize() if kind in ("figure", "table", "equation", "theorem") else kind
    return short.get(kind, kind) if form == "cref" else kind.capitalize()
