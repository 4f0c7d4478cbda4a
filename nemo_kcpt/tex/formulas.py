"""TeX's formulas: kept as TeX with own macros expanded; what is only raised, lowered or one sign becomes characters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nemo_kcpt.cleaning.marks import write_raised
from nemo_kcpt.tex.lexer import Token, written
from nemo_kcpt.tex.symbols import symbol
from nemo_kcpt.tex.write import Writer
from nemo_kcpt.text.raised import lowered

_WRITTEN_OUT = frozenset(
    ["ref", "eqref", "cref", "Cref", "autoref", "cite", "SI", "qty", "num", "si", "unit", "ang", "SIrange"]
)
"""Commands that mean the same in a formula as in text."""
_SCRIPT = re.compile(r"([\^_])(?:\{([^{}]*)\}|([^\s\\{}])|(\\[A-Za-z]+))$")
_WORDS = re.compile(r"\\(?:mathrm|rm|text|textrm|mathit|mathsf|scriptstyle)\b\s*")


def formula(writer: Writer) -> None:
    """What a dollar sign begins."""
    following = writer.program.raw()
    if following is not None and following.kind == "$":
        tex = math(writer, "$$")
        writer.paragraph()
        writer.block(f"$${tex}$$" if tex else "")
        return
    if following is not None:
        writer.program.push([following])
    inline_formula(writer, math(writer, "$"))


def inline_formula(writer: Writer, tex: str) -> None:
    """A formula within a line; one that is only raised, lowered or one sign is written in characters."""
    writer.put(_in_characters(writer, tex) or (f"${tex}$" if tex else ""))


def _in_characters(writer: Writer, tex: str) -> str:
    tex = tex.strip()
    tex = tex.removeprefix("{}")
    if match := _SCRIPT.fullmatch(tex):
        content = _WORDS.sub("", match[2] or match[3] or match[4] or "").strip()
        content = re.sub(r"\\([A-Za-z]+)\s*", lambda command: symbol(command[1]) or command[0], content)
        content = {"∘": "°", "◦": "°"}.get(content, content).replace("∗", "*")
        if "\\" in content or not content:
            return ""
        if match[1] == "_":
            return lowered(content)
        return "°" if content == "°" else write_raised(content, writer.before(), writer.after())
    if match := re.fullmatch(r"\\([A-Za-z]+|%)", tex):
        sign = symbol(match[1])
        return sign if sign is not None and len(sign) == 1 else ""
    return {"-": "−", "+": "+", "<": "<", ">": ">", "=": "=", "*": "*", "/": "/", "|": "|"}.get(tex, "")


def math(writer: Writer, end: str) -> str:
    """A formula as TeX, up to `end`: $, $$, or a command's name (")", "]")."""
    return written(math_tokens(writer, end))


def math_tokens(writer: Writer, end: str) -> list[Token]:
    """The tokens of a formula, own macros expanded, references written out."""
    tokens: list[Token] = []
    braces = 0
    outer, writer.program.math = writer.program.math, True
    while (token := writer.program.next()) is not None:
        kind = token.kind
        braces += (kind == "{") - (kind == "}")
        if kind == "$" and braces <= 0:
            if end == "$$":
                following = writer.program.raw()
                if following is not None and following.kind != "$":
                    writer.program.push([following])
            break
        if kind == "end" or (kind == "par" and end == "$"):
            writer.program.push([token])
            break
        if kind == "cmd":
            if token.text == end:
                break
            if end.startswith("end ") and token.text == "end":
                name = writer.program.word()
                if name == end[4:]:
                    break
                tokens += [token, Token("{", "{"), Token("text", name), Token("}", "}")]
                continue
            if _in_formula(writer, token, tokens):
                continue
        tokens.append(token)
    writer.program.math = outer
    return tokens


def _in_formula(writer: Writer, token: Token, tokens: list[Token]) -> bool:
    """Whether a command within a formula means something to the writer."""
    name = token.text
    if name == "ensuremath":
        tokens += expanded_math(writer, writer.program.argument())
    elif name in _WRITTEN_OUT:
        outer, writer.out = writer.out, []
        writer.table.commands[name](writer, name)
        text = "".join(writer.out)
        writer.out = outer
        tokens.append(Token("raw", text))
    elif name in ("footnote", "todo", "vspace", "vspace*", "hspace", "hspace*"):
        if name == "footnote":
            writer.table.commands[name](writer, name)
            return True
        writer.program.argument()
    else:
        return name in ("allowbreak", "nobreak", "displaystyle", "noindent", "centering")
    return True


def expanded_math(writer: Writer, tokens: Sequence[Token]) -> list[Token]:
    """A piece of a formula, own macros expanded."""
    writer.ends += 1
    mark = Token("end", str(writer.ends))
    writer.program.push([mark])
    writer.program.push(tokens)
    expanded = math_tokens(writer, "")
    writer.program.raw()  # the mark
    return expanded
