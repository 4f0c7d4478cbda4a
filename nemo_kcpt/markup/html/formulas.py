"""HTML's formulas: TeX where the page has it, else MathML as a line of text (10⁶ of <msup>, x₁, (a+b)/c, √(…))."""

from __future__ import annotations

import re
from typing import Any

from nemo_kcpt.text.raised import lowered, raised

_TEX = ".//*[local-name()='annotation'][@encoding='application/x-tex']//text()"
_INVISIBLE = re.compile("[\u2061-\u2064\u200b]")
_TIMES = re.compile(r"(?<=\d)\u2062(?=\d)")
_SPACED = frozenset("=<>≤≥≈≠→←∈∼±×⋅+-−")
_SIGNS = frozenset("+-−±")
_OPENING = frozenset("([{|,;=<>≤≥≈≠→←∈∼±×⋅+-−/:")
_ACCENTS = {
    "¯": "\u0304",
    "‾": "\u0304",
    "ˉ": "\u0304",
    "^": "\u0302",
    "ˆ": "\u0302",
    "~": "\u0303",
    "˜": "\u0303",
    "˙": "\u0307",
    "→": "\u20d7",
}
"""What MathML sets above a letter -> the character that combines with it."""


def write_formulas(tree: Any) -> int:
    """Replace a page's formulas by text, in place; returns how many there are of which it has no TeX."""
    import lxml.etree

    count = 0
    for node in tree.xpath("//*[local-name()='math']"):
        tex = (node.get("alttext") or "".join(node.xpath(_TEX))).strip()
        count += not tex
        new = lxml.etree.Element("span")
        new.text, new.tail = f"${tex}$" if tex else plain_formula(node), node.tail
        node.getparent().replace(node, new)
    return count


def plain_formula(node: Any) -> str:
    """A formula in MathML as a line of text."""
    return " ".join(_INVISIBLE.sub("", _TIMES.sub("·", _formula(node))).split())


def _formula(node: Any) -> str:
    name = _name(node)
    parts = [_formula(child).strip() for child in node if isinstance(child.tag, str)]
    if name in ("annotation", "annotation-xml", ""):
        return ""
    if name == "semantics":
        return parts[0] if parts else ""
    if name == "mover" and len(parts) == 2 and len(parts[0]) == 1 and parts[1] in _ACCENTS:
        return parts[0] + _ACCENTS[parts[1]]
    if name in ("msup", "mover") and len(parts) == 2:
        return parts[0] + ("°" if parts[1] in "∘◦" else raised(parts[1]))
    if name in ("msub", "munder") and len(parts) == 2:
        return parts[0] + lowered(parts[1])
    if name in ("msubsup", "munderover") and len(parts) == 3:
        return parts[0] + lowered(parts[1]) + raised(parts[2])
    if name == "mmultiscripts" and parts:
        return _with_scripts(node)
    if name == "mfrac" and len(parts) == 2:
        if node.get("linethickness", "").strip() in ("0", "0px", "0pt", "0em"):
            return f"binom({', '.join(parts)})"
        return "/".join(part if re.fullmatch(r"[\w.]+", part) else f"({part})" for part in parts)
    if name == "msqrt":
        return f"√({_row(node)})"
    if name == "mroot" and len(parts) == 2:
        return f"{raised(parts[1])}√({parts[0]})"
    if name == "mfenced":
        return f"{node.get('open', '(')}{', '.join(parts)}{node.get('close', ')')}"
    if name in ("mtr", "mlabeledtr"):
        return " " + ", ".join(parts) + ";"
    if name == "mspace":
        return " "
    if name == "mphantom":
        return ""
    if not parts:
        text = node.text or ""
        if name == "mtext":
            return " ".join(f"|{text}|".split())[1:-1]
        return f" {text.strip()} " if name == "mo" and text.strip() in _SPACED else text.strip()
    return _row(node)


def _name(node: Any) -> str:
    return str(node.tag).rpartition("}")[2].rpartition(":")[2] if isinstance(node.tag, str) else ""


def _row(node: Any) -> str:
    """Elements side by side: a fraction behind a number is a part of it (2 1/2), a sign stands close to its number."""
    text, last = "", ""
    for child in node:
        piece, name = (_formula(child), _inner(child)) if isinstance(child.tag, str) else ("", "")
        if not piece:
            continue
        before = text.rstrip()
        if piece.strip() in _SIGNS and (not before or before[-1] in _OPENING):
            piece = f"{' ' if before and text[-1:] == ' ' else ''}{piece.strip()}"
        elif name == "mfrac" or last == "mfrac":
            text, piece = _beside(text, piece, name, last)
        text, last = text + piece, name
    return text


def _beside(text: str, piece: str, name: str, last: str) -> tuple[str, str]:
    """A row so far and what follows it, kept apart where one of them is a fraction."""
    if name == "mfrac" and last == "mn" and re.fullmatch(r"\d+/\d+", piece):
        return text, f" {piece}"
    if name == "mfrac" and text[-1:].isalnum():
        return text, f"({piece})"
    if last == "mfrac" and piece[:1].isalnum() and re.search(r"\d \d+/\d+$", text):
        return text, f" {piece}"
    if last == "mfrac" and piece[:1].isalnum() and (match := re.search(r"[\w.]+/[\w.]+$", text)):
        return f"{text[: match.start()]}({match[0]})", piece
    return text, piece


def _inner(node: Any) -> str:
    """The name of an element, or of the only one in it."""
    children = [child for child in node if isinstance(child.tag, str)]
    return _inner(children[0]) if _name(node) in ("mrow", "mstyle", "mpadded") and len(children) == 1 else _name(node)


def _with_scripts(node: Any) -> str:
    """²³⁵U of a nuclide: what stands before the base first; lowered before raised."""
    base, *rest = [child for child in node if isinstance(child.tag, str)]
    names = [_name(child) for child in rest]
    border = names.index("mprescripts") if "mprescripts" in names else len(rest)

    def written(scripts: list[Any]) -> tuple[str, str]:
        texts = [_formula(script).strip() if _name(script) != "none" else "" for script in scripts]
        return "".join(map(lowered, texts[::2])), "".join(map(raised, texts[1::2]))

    below, above = written(rest[:border])
    before_below, before_above = written(rest[border + 1 :])
    return f"{before_above}{before_below}{_formula(base).strip()}{below}{above}"
