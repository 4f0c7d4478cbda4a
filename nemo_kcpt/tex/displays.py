"""LaTeX's displayed formulas: kept as TeX, own macros expanded, each with the number that the page shows as its
\\tag."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nemo_kcpt.tex.formulas import inline_formula, math_tokens
from nemo_kcpt.tex.labels import Label
from nemo_kcpt.tex.lexer import Token, tokens_of, written
from nemo_kcpt.tex.macros import Macro
from nemo_kcpt.tex.write import Handler, Writer

_SINGLE = ("equation", "multline", "math", "displaymath", "dmath")
"""Environments with one number."""
_ROWS = ("align", "gather", "alignat", "flalign", "eqnarray", "IEEEeqnarray", "xalignat")
_PLAIN = ("math", "displaymath")
_KNOWN = {"flalign": "align", "IEEEeqnarray": "eqnarray", "dmath": "equation", "xalignat": "alignat"}
"""What the cleaning knows as formulas under another name."""


def _display(writer: Writer, name: str) -> None:
    kind = name.rstrip("*")
    before = ""
    if kind in ("alignat", "xalignat"):
        before = f"{{{writer.program.word()}}}"
    elif kind == "IEEEeqnarray":
        writer.program.option()
        writer.program.argument()
    elif kind == "dmath":
        writer.program.option()
    tokens = math_tokens(writer, f"end {name}")
    numbered = not name.endswith("*") and kind not in _PLAIN
    rows = _split(tokens) if kind in _ROWS else [tokens]
    made = [_row(writer, row, numbered and bool(written(row).strip("\\ \n"))) for row in rows]
    tex = r" \\ ".join(made).strip()
    if kind == "math":
        inline_formula(writer, tex)
        return
    writer.paragraph()
    if not tex:
        return
    if kind in ("align", "gather", "eqnarray", "alignat", "flalign", "IEEEeqnarray", "xalignat", "multline"):
        environment = f"{_KNOWN.get(kind, kind)}*" if not name.endswith("*") else _KNOWN.get(kind, kind) + "*"
        if "\\tag" in tex or numbered:
            environment = environment.rstrip("*")
        writer.block(f"\\begin{{{environment}}}{before} {tex} \\end{{{environment}}}")
    else:
        writer.block(f"$${tex}$$")
    writer.paragraph()


def _split(tokens: Sequence[Token]) -> list[list[Token]]:
    """The rows of a formula, apart at \\\\ outside of braces and other environments."""
    rows: list[list[Token]] = [[]]
    braces = inner = 0
    for token in tokens:
        braces += (token.kind == "{") - (token.kind == "}")
        if token.kind == "cmd" and token.text in ("begin", "end"):
            inner += 1 if token.text == "begin" else -1
        if token.kind == "cmd" and token.text == "\\" and not braces and not inner:
            rows.append([])
        else:
            rows[-1].append(token)
    return rows


def _row(writer: Writer, tokens: Sequence[Token], numbered: bool) -> str:
    """A row as TeX: its label gives way to the number that it shows."""
    kept: list[Token] = []
    labels: list[str] = []
    given = ""
    silent = False
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if token.kind == "cmd" and token.text in ("label", "tag", "tag*") and index < len(tokens):
            content, index = _braces(tokens, index)
            if token.text == "label":
                labels.append(written(content))
            else:
                given = written(content)
        elif token.kind == "cmd" and token.text in ("nonumber", "notag"):
            silent = True
        else:
            kept.append(token)
    number = given
    if numbered and not silent and not given:
        writer.program.step("equation")
        number = writer.text(tokens_of(r"\theequation"))
    writer.label = Label(number, "equation")
    for label in labels:
        writer.state.labels.mark(label, writer.label)
    tag = f" \\tag{{{number}}}" if number and (labels or given) else ""
    return f"{_closed(written(kept))}{tag}"


def _closed(tex: str) -> str:
    return re.sub(r"^\[[^\]]{0,12}(?:pt|mm|em|ex|cm)\]\s*", "", tex.strip())


def _braces(tokens: Sequence[Token], index: int) -> tuple[list[Token], int]:
    """What braces hold from an index on, and the index behind them."""
    while index < len(tokens) and tokens[index].kind == "space":
        index += 1
    if index >= len(tokens) or tokens[index].kind != "{":
        return [], index
    depth = 0
    content: list[Token] = []
    for number in range(index, len(tokens)):
        depth += (tokens[number].kind == "{") - (tokens[number].kind == "}")
        if not depth:
            return content, number + 1
        if number > index:
            content.append(tokens[number])
    return content, len(tokens)


def _bracket(writer: Writer, name: str) -> None:
    tex = _row(writer, math_tokens(writer, "]"), False)
    writer.paragraph()
    writer.block(f"$${tex}$$" if tex else "")
    writer.paragraph()


def _sub_equations(writer: Writer, name: str) -> None:
    """Formulas numbered 3a, 3b, …"""
    program = writer.program
    program.step("equation")
    parent = writer.text(tokens_of(r"\theequation"))
    outer, number = program.macros.get("theequation"), program.counters["equation"]
    writer.label = Label(parent, "equation")
    program.counters["equation"] = 0
    program.define("theequation", Macro(tokens_of(rf"{parent}\alph{{equation}}")), everywhere=True)
    writer.transparent(name)
    program.counters["equation"] = number
    if outer is not None:
        program.define("theequation", outer, everywhere=True)


COMMANDS: dict[str, Handler] = {"[": _bracket}
ENVIRONMENTS: dict[str, Handler] = {
    **{f"{kind}{star}": _display for kind in (*_SINGLE, *_ROWS) for star in ("", "*")},
    "subequations": _sub_equations,
}
