"""Characters that TeX writes by commands: accents, ligatures, and the signs that pylatexenc's table knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    '"': "\u0308",
    "~": "\u0303",
    "=": "\u0304",
    ".": "\u0307",
    "u": "\u0306",
    "v": "\u030c",
    "H": "\u030b",
    "c": "\u0327",
    "d": "\u0323",
    "b": "\u0331",
    "k": "\u0328",
    "r": "\u030a",
}
"""Accent -> the character that combines with a letter."""
LIGATURES = {"---": "—", "--": "–", "``": "“", "''": "”", "`": "‘", "'": "’", "!`": "¡"}
"""What TeX's fonts make of characters in a row, longest first."""
_OWN = {
    "%": "%", "&": "&", "#": "#", "_": "_", "{": "{", "}": "}", "$": "$", " ": " ", ",": "\u2009", ";": " ", ":": " ",
    "!": "", "/": "", "-": "", "@": "", "(": "(", ")": ")", "|": "‖", ">": " ", "quad": " ", "qquad": " ",
    "enspace": " ",
    "thinspace": "\u2009", "enskip": " ", "space": " ", "nobreakspace": " ", "slash": "/", "TeX": "TeX",
    "LaTeX": "LaTeX",
    "LaTeXe": "LaTeX2ε", "BibTeX": "BibTeX", "pLaTeX": "pLaTeX", "XeTeX": "XeTeX", "LuaLaTeX": "LuaLaTeX", "P": "¶",
    "S": "§", "copyright": "©", "pounds": "£", "i": "ı", "j": "ȷ", "euro": "€", "EUR": "€", "texteuro": "€",
    "degree": "°", "celsius": "°C", "textcelsius": "°C", "textminus": "−", "textbackslash": "\\", "textbar": "|",
    "textless": "<", "textgreater": ">", "textasciitilde": "~", "textasciicircum": "^", "textunderscore": "_",
    "textbraceleft": "{", "textbraceright": "}", "textdollar": "$", "textquotesingle": "'", "textquotedbl": '"',
    "checkmark": "✓", "cmark": "✓", "textendash": "–", "textemdash": "—", "textpm": "±", "texttimes": "×",
    "lq": "‘", "rq": "’", "dots": "…", "ldots": "…", "textellipsis": "…", "cdots": "⋯", "textmu": "µ", "mu": "μ",
    "perthousand": "‰", "textperthousand": "‰", "upmu": "μ", "BooleanTrue": "", "BooleanFalse": "", "NoValue": "",
    "empty": "", "@empty": "", "sim": "∼", "circ": "∘", "ast": "*", "bullet": "•",
    "circledcirc": "⊚", "guillemotleft": "«", "guillemotright": "»", "og": "«", "fg": "»", "aa": "å", "AA": "Å",
    "angstrom": "Å", "micro": "µ", "ohm": "Ω", "textohm": "Ω", "textangstrom": "Å", "textregistered": "®",
    "registered": "®", "texttrademark": "™", "trademark": "™", "lbrack": "[", "rbrack": "]", "lbrace": "{",
    "rbrace": "}",
    "backslash": "\\", "colon": ":", "lt": "<", "gt": ">", "textdegree": "°",
}  # fmt: skip
"""Signs that the table does not have, or has otherwise than the page shows."""


@lru_cache(maxsize=1)
def _table() -> Mapping[str, str]:
    from pylatexenc.latex2text import get_default_latex_context_db

    database = get_default_latex_context_db()
    signs = {}
    for category in ("advanced-symbols", "latex-base"):
        for specification in database.iter_macro_specs(categories=[category]):
            sign = specification.simplify_repl
            if isinstance(sign, str) and sign.strip() and len(sign) <= 3 and "%" not in sign:
                signs[specification.macroname] = sign
    return signs


@lru_cache(maxsize=4096)
def symbol(name: str) -> str | None:
    """The character that a command without arguments stands for, or None."""
    own = _OWN.get(name)
    return own if own is not None else _table().get(name)
