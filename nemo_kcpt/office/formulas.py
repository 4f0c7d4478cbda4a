"""Formulas of Office (OMML, ECMA-376 part 1, chapter 22.1) as TeX.

What is written is TeX that amsmath knows, without bars (`\\vert` instead), so that a formula may be in a table.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from nemo_kcpt.office.package import local

_SIGNS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "ϑ": "vartheta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "µ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "ϱ": "varrho", "σ": "sigma", "ς": "varsigma", "τ": "tau", "υ": "upsilon", "φ": "varphi",
    "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda",
    "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "∆": "Delta",
    "±": "pm", "∓": "mp", "×": "times", "÷": "div", "⋅": "cdot", "·": "cdot", "∙": "cdot", "∗": "ast", "∘": "circ",
    "≤": "le", "≦": "leqq", "⩽": "leqslant", "≥": "ge", "≧": "geqq", "⩾": "geqslant", "≠": "ne", "≈": "approx",
    "≃": "simeq", "≅": "cong", "≡": "equiv", "∼": "sim", "∝": "propto", "≪": "ll", "≫": "gg", "∞": "infty",
    "→": "to", "←": "leftarrow", "↔": "leftrightarrow", "⇒": "Rightarrow", "⇐": "Leftarrow", "⇔": "Leftrightarrow",
    "↦": "mapsto", "↑": "uparrow", "↓": "downarrow", "⇌": "rightleftharpoons", "∈": "in", "∉": "notin", "∋": "ni",
    "⊂": "subset", "⊃": "supset", "⊆": "subseteq", "⊇": "supseteq", "∪": "cup", "∩": "cap", "∖": "setminus",
    "∅": "emptyset", "∀": "forall", "∃": "exists", "¬": "neg", "∧": "wedge", "∨": "vee", "⊕": "oplus", "⊗": "otimes",
    "∂": "partial", "∇": "nabla", "ℏ": "hbar", "ℓ": "ell", "ℜ": "Re", "ℑ": "Im", "ℵ": "aleph", "′": "prime",
    "…": "ldots", "⋯": "cdots", "⋮": "vdots", "⋱": "ddots", "∠": "angle", "⊥": "perp", "∥": "parallel", "⊢": "vdash",
    "⊨": "models", "∴": "therefore", "∵": "because", "|": "vert", "∣": "mid", "‖": "Vert", "⟨": "langle",
    "⟩": "rangle", "〈": "langle", "〉": "rangle", "⌊": "lfloor", "⌋": "rfloor", "⌈": "lceil", "⌉": "rceil",
    "\\": "backslash", "√": "surd", "°": "degree", "∑": "sum", "∏": "prod", "∐": "coprod", "∫": "int", "∬": "iint",
    "∭": "iiint", "∮": "oint", "⋃": "bigcup", "⋂": "bigcap", "⋁": "bigvee", "⋀": "bigwedge", "⨁": "bigoplus",
    "⨂": "bigotimes",
}  # fmt: skip
"""Sign -> TeX's word for it."""
_PLAIN = {
    "−": "-",
    "‐": "-",
    "–": "-",
    "\u2062": "",
    "\u2061": "",
    "\u2063": "",
    "\u200b": "",
    "\u2009": r"\,",
    "\u2002": r"\ ",
    "\u2003": r"\quad ",
    "\xa0": "~",
    " ": r"\ ",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": "",
    "_": r"\_",
    "~": r"\sim ",
    "^": r"\hat{}",
}
"""Sign -> what is written for it; "&" only aligns."""
_ACCENTS = {
    "\u0302": "hat",
    "^": "hat",
    "ˆ": "hat",
    "\u0303": "tilde",
    "~": "tilde",
    "˜": "tilde",
    "\u0304": "bar",
    "\u0305": "overline",
    "¯": "bar",
    "‾": "overline",
    "\u0307": "dot",
    "˙": "dot",
    "\u0308": "ddot",
    "¨": "ddot",
    "\u20db": "dddot",
    "\u20d7": "vec",
    "→": "vec",
    "\u0301": "acute",
    "´": "acute",
    "\u0300": "grave",
    "`": "grave",
    "\u030c": "check",
    "\u0306": "breve",
    "\u20d6": "overleftarrow",
    "\u20e1": "overleftrightarrow",
    "\u030a": "mathring",
}
_GROUPS = {
    "⏞": "overbrace",
    "⏟": "underbrace",
    "⏜": "overparen",
    "⏝": "underparen",
    "→": "xrightarrow",
    "←": "xleftarrow",
}
_SCRIPTS = {
    "double-struck": "mathbb",
    "script": "mathcal",
    "fraktur": "mathfrak",
    "sans-serif": "mathsf",
    "monospace": "mathtt",
}
_FUNCTIONS = frozenset(
    re.findall(
        r"\S+",
        "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan exp log ln lg max min sup inf lim limsup "
        "liminf det dim ker deg gcd arg hom Pr",
    )
)
_CJK = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]+")
_WORD = re.compile(r"\\[A-Za-z]+$")
_DELIMITERS = frozenset("()[]/.")
_SPECIAL = re.compile(r"([#$%&_{}])")


def tex(node: Any) -> str:
    """A formula (m:oMath, or what is in it) as TeX, without dollar signs; empty if there is nothing to see."""
    return " ".join(_tex(node).split()).strip()


def _child(node: Any, *names: str) -> Any:
    """The element that a path of names leads to, or None."""
    for name in names:
        node = next((child for child in node if local(child) == name), None) if node is not None else None
    return node


def _value(node: Any, *names: str) -> str | None:
    """The m:val of the property that a path leads to; an empty text if it has none, None if there is no property."""
    element = _child(node, *names)
    if element is None:
        return None
    return next((value for name, value in element.attrib.items() if name.rpartition("}")[2] == "val"), "")


def _is_on(node: Any, *names: str) -> bool:
    return _value(node, *names) in ("", "1", "on", "true")


def _tex(node: Any) -> str:
    name = local(node)
    if name.endswith("Pr") or name in ("del", "moveFrom"):
        return ""
    write = _WRITERS.get(name)
    return write(node) if write else _row(node)


def _row(node: Any) -> str:
    text = ""
    for child in node:
        text = _joined(text, _tex(child))
    return text


def _joined(left: str, right: str) -> str:
    """Two pieces side by side: a word of TeX does not run into a letter."""
    return f"{left} {right}" if _WORD.search(left) and right[:1].isalpha() and right[:1].isascii() else left + right


def _part(node: Any, name: str) -> str:
    part = _child(node, name)
    return _row(part).strip() if part is not None else ""


def _run(node: Any) -> str:
    text = "".join(child.text or "" for child in node if local(child) == "t")
    if _is_on(node, "rPr", "nor"):
        return rf"\text{{{_SPECIAL.sub(_escaped, text)}}}" if text.strip() else text
    style = _value(node, "rPr", "sty")
    script = _SCRIPTS.get(_value(node, "rPr", "scr") or "")
    if style == "p" and text.strip() in _FUNCTIONS:
        return rf"\{text.strip()}"
    letters = _characters(text)
    if script:
        return rf"\{script}{{{letters}}}"
    if style in ("b", "bi") and text.strip():
        return rf"\mathbf{{{letters}}}" if text.isascii() and text.isalnum() else rf"\boldsymbol{{{letters}}}"
    return rf"\mathrm{{{letters}}}" if style == "p" and len(text) > 1 and text.isalpha() and text.isascii() else letters


def _escaped(match: re.Match[str]) -> str:
    return "\\" + match[0]


def _characters(text: str) -> str:
    """Text within a formula: letters of Japanese as text, signs by TeX's names."""
    pieces, start = "", 0
    for match in _CJK.finditer(text):
        pieces = _joined(pieces, _signs(text[start : match.start()]))
        pieces, start = pieces + rf"\text{{{match[0]}}}", match.end()
    return _joined(pieces, _signs(text[start:]))


def _signs(text: str) -> str:
    signs = ""
    for sign in text:
        if "\U0001d400" <= sign <= "\U0001d7ff":
            sign = unicodedata.normalize("NFKC", sign)
        signs = _joined(signs, _sign(sign))
    return signs


def _sign(sign: str) -> str:
    return rf"\{_SIGNS[sign]}" if sign in _SIGNS else _PLAIN.get(sign, sign)


def _fraction(node: Any) -> str:
    over, under = _part(node, "num"), _part(node, "den")
    kind = _value(node, "fPr", "type")
    if kind == "noBar":
        return rf"\genfrac{{}}{{}}{{0pt}}{{}}{{{over}}}{{{under}}}"
    if kind == "lin":
        return f"{_grouped(over)}/{_grouped(under)}"
    return rf"\frac{{{over}}}{{{under}}}"


def _grouped(text: str) -> str:
    return text if len(text) == 1 or text.isalnum() else f"{{({text})}}"


def _scripts(node: Any) -> str:
    base, below, above = _part(node, "e"), _part(node, "sub"), _part(node, "sup")
    return _base(base) + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")


def _base(text: str) -> str:
    return text if len(text) == 1 or re.fullmatch(r"\\[A-Za-z]+(?:\{[^{}]*\})?", text) else f"{{{text}}}"


def _before(node: Any) -> str:
    return f"{{}}_{{{_part(node, 'sub')}}}^{{{_part(node, 'sup')}}}{_part(node, 'e')}"


def _radical(node: Any) -> str:
    degree = "" if _is_on(node, "radPr", "degHide") else _part(node, "deg")
    return rf"\sqrt{f'[{degree}]' if degree else ''}{{{_part(node, 'e')}}}"


def _nary(node: Any) -> str:
    sign = _value(node, "naryPr", "chr")
    text = _sign("∫" if sign is None else sign) if sign != "" else ""
    if _value(node, "naryPr", "limLoc") == "undOvr" and text.endswith("int"):
        text += r"\limits"
    for name, hide, mark in (("sub", "subHide", "_"), ("sup", "supHide", "^")):
        limit = "" if _is_on(node, "naryPr", hide) else _part(node, name)
        text += f"{mark}{{{limit}}}" if limit else ""
    return f"{text} {_part(node, 'e')}"


def _delimited(node: Any) -> str:
    begin, end, between = (
        default if (value := _value(node, "dPr", name)) is None else value
        for name, default in (("begChr", "("), ("endChr", ")"), ("sepChr", "|"))
    )
    parts = [_row(child).strip() for child in node if local(child) == "e"]
    inner = rf" {_sign(between)} ".join(parts)
    return rf"\left{_delimiter(begin)} {inner}\right{_delimiter(end)}"


def _delimiter(sign: str) -> str:
    return sign if sign in _DELIMITERS and sign else (_sign(sign) if sign.strip() else ".")


def _matrix(node: Any) -> str:
    rows = [" & ".join(_row(cell).strip() for cell in row if local(cell) == "e") for row in node if local(row) == "mr"]
    return _stacked(rows)


def _stacked(rows: list[str]) -> str:
    inner = r" \\ ".join(rows)
    return rf"\begin{{matrix}}{inner}\end{{matrix}}"


def _lines(node: Any) -> str:
    rows = [_row(child).strip() for child in node if local(child) == "e"]
    return _stacked(rows)


def _accent(node: Any) -> str:
    sign = _value(node, "accPr", "chr")
    name = _ACCENTS.get("\u0302" if sign is None else sign)
    return rf"\{name}{{{_part(node, 'e')}}}" if name else rf"\overset{{{_signs(sign or '')}}}{{{_part(node, 'e')}}}"


def _bar(node: Any) -> str:
    return rf"\{'overline' if _value(node, 'barPr', 'pos') == 'top' else 'underline'}{{{_part(node, 'e')}}}"


def _function(node: Any) -> str:
    name = _part(node, "fName")
    name = rf"\{name}" if name in _FUNCTIONS else name
    return _joined(name if name.endswith("}") else f"{name} ", _part(node, "e"))


def _limit(node: Any) -> str:
    base, limit, below = _part(node, "e"), _part(node, "lim"), local(node) == "limLow"
    base = rf"\{base}" if base in _FUNCTIONS else base
    if (base.startswith("\\") and base[1:] in _FUNCTIONS) or base.startswith((r"\underbrace", r"\overbrace")):
        return f"{base}{'_' if below else '^'}{{{limit}}}"
    return rf"\{'underset' if below else 'overset'}{{{limit}}}{{{base}}}"


def _group(node: Any) -> str:
    sign = _value(node, "groupChrPr", "chr")
    name = _GROUPS.get("⏟" if sign is None else sign)
    top = _value(node, "groupChrPr", "pos") == "top"
    return rf"\{name or ('overline' if top else 'underline')}{{{_part(node, 'e')}}}"


def _phantom(node: Any) -> str:
    return _part(node, "e") if _value(node, "phantPr", "show") not in ("0", "off", "false") else ""


_WRITERS: dict[str, Callable[[Any], str]] = {
    "r": _run, "f": _fraction, "sSup": _scripts, "sSub": _scripts, "sSubSup": _scripts, "sPre": _before,
    "rad": _radical, "nary": _nary, "d": _delimited, "m": _matrix, "eqArr": _lines, "acc": _accent, "bar": _bar,
    "func": _function, "limLow": _limit, "limUpp": _limit, "groupChr": _group, "phant": _phantom,
    "borderBox": lambda node: rf"\boxed{{{_part(node, 'e')}}}", "br": lambda node: r" \\ ",
}  # fmt: skip
"""Element -> what writes it; any other is a row of what it holds."""
