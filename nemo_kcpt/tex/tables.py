"""LaTeX's tables as Markdown: spans, what the description of columns puts between and around cells, repeated heads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nemo_kcpt.tex.lexer import Token, tokens_of, written
from nemo_kcpt.tex.write import Handler, Writer
from nemo_kcpt.text import markdown_tables

_ARGUMENTS = {"tabular*": 1, "tabularx": 1, "tabulary": 1, "xltabular": 1, "tabularx*": 1}
"""Arguments before the description of the columns."""
_RULES = frozenset(["hline", "toprule", "midrule", "bottomrule", "cline", "cmidrule", "hhline", "specialrule",
"addlinespace", "noalign", "rowcolor", "rowfont", "endfirsthead", "endhead", "endfoot", "endlastfoot", "firsthline",
"lasthline", "Xhline", "hdashline", "cdashline", "arrayrulecolor", "morecmidrules"])  # fmt: skip
_WIDEST = 400
"""Columns."""


@dataclass
class Column:
    """A column: TeX before and after each of its cells, and the text between it and the next one."""

    before: list[Token] = field(default_factory=list)
    after: list[Token] = field(default_factory=list)
    between: str = ""


def columns_of(writer: Writer, tokens: Sequence[Token]) -> tuple[list[Column], str]:
    """The columns that a description names, and the text before the first."""
    columns: list[Column] = []
    prefix: list[Token] = []
    first = ""
    rest = list(tokens)

    def argument() -> list[Token]:
        while rest and rest[0].kind == "space":
            rest.pop(0)
        if not rest:
            return []
        token = rest.pop(0)
        if token.kind != "{":
            if len(token.text) > 1:
                rest.insert(0, Token("text", token.text[1:]))
            return [Token("text", token.text[:1])]
        depth, content = 1, []
        while rest:
            token = rest.pop(0)
            depth += (token.kind == "{") - (token.kind == "}")
            if not depth:
                break
            content.append(token)
        return content

    while rest and len(columns) < _WIDEST:
        token = rest.pop(0)
        if token.kind != "text":
            continue
        sign = token.text[0]
        if token.text[1:]:
            rest.insert(0, Token("text", token.text[1:]))
        if sign == "*":
            number, again = written(argument()), argument()
            rest = [*(again * (min(int(number), _WIDEST) if number.isdigit() else 1)), *rest]
        elif sign in "@!":
            between = writer.text(argument())
            if re.search(r"\w|[±×–—−./,:%()\[\]$]", between):
                if columns:
                    columns[-1].between += between
                else:
                    first += between
        elif sign == ">":
            prefix = argument()
        elif sign == "<":
            if columns:
                columns[-1].after = argument()
            else:
                argument()
        elif sign == "|":
            continue
        elif sign == "[":
            while rest and "]" not in rest[0].text:
                rest.pop(0)
            if rest:
                rest[0] = Token("text", rest[0].text.partition("]")[2])
                if not rest[0].text:
                    rest.pop(0)
        elif sign.isalpha():
            for _ in range(_arguments_of(writer, sign)):
                argument()
            columns.append(Column(before=prefix))
            prefix = []
    return columns, first


def _arguments_of(writer: Writer, sign: str) -> int:
    return writer.state.columns.get(sign, {"p": 1, "m": 1, "b": 1, "D": 3, "w": 2, "W": 2}.get(sign, 0))


def _tabular(writer: Writer, name: str) -> None:
    program = writer.program
    for _ in range(_ARGUMENTS.get(name, 0)):
        program.argument()
    program.option()
    columns, first = columns_of(writer, program.argument())
    rows = _rows(writer, name)
    table = [_row(writer, cells, columns, first) for cells in rows]
    rows_there = [row for row in table if any(cell for cell in row)]
    if writer.depth == 0 or not _is_stack(rows_there):
        writer.block(markdown_tables.table(rows_there))
    else:  # some lines in one cell
        writer.put(" " + " ".join(row[0] for row in rows_there) + " ")


def _is_stack(rows: Sequence[Sequence[str]]) -> bool:
    return all(len(row) == 1 for row in rows)


def _rows(writer: Writer, name: str) -> list[list[list[Token]]]:
    """The cells of an environment as tokens, without the heads that a long table repeats."""
    program = writer.program
    rows: list[list[list[Token]]] = [[[]]]
    heads: list[list[list[list[Token]]]] = []
    braces = inner = 0
    while (token := program.next()) is not None:
        if token.kind == "end":
            program.push([token])
            break
        braces += (token.kind == "{") - (token.kind == "}")
        if token.kind == "cmd" and token.text in ("begin", "end"):
            kind = program.word()
            if token.text == "end" and not inner and kind in (name, "document"):
                break
            inner += 1 if token.text == "begin" else -1
            rows[-1][-1] += [token, Token("{", "{"), Token("text", kind), Token("}", "}")]
            continue
        outer = braces <= 0 and inner <= 0
        if token.kind == "&" and outer:
            rows[-1].append([])
        elif token.kind == "cmd" and token.text in ("\\", "tabularnewline", "cr") and outer:
            program.star()
            program.option()
            rows.append([[]])
        elif token.kind == "cmd" and token.text in ("endfirsthead", "endhead", "endfoot", "endlastfoot") and outer:
            taken, rows = rows[:-1], [[[]]]
            if token.text == "endfirsthead" or (token.text == "endhead" and not heads):
                heads.append(taken)
        elif token.kind == "cmd" and token.text in ("caption", "caption*", "label") and outer:
            outer_float, writer.state.float = writer.state.float, "table"
            writer.command(token)
            writer.state.float = outer_float
        elif token.kind == "cmd" and token.text in _RULES:
            _drop_rule(writer, token.text)
        else:
            rows[-1][-1].append(token)
    return [row for part in heads for row in part] + rows


def _drop_rule(writer: Writer, name: str) -> None:
    program = writer.program
    if name in ("cmidrule", "cline", "cdashline", "rowcolor", "arrayrulecolor", "noalign", "hhline"):
        program.option()
        program.option("(", ")")
        program.argument()
        if name == "rowcolor":
            program.option()
    elif name == "specialrule":
        for _ in range(3):
            program.argument()
    else:
        program.option()


def _row(writer: Writer, cells: Sequence[Sequence[Token]], columns: Sequence[Column], first: str) -> list[str]:
    """The cells of a row as text; neighbours are one cell where the description puts text between them."""
    made: list[str] = []
    joined = False
    index = 0
    for tokens in cells:
        column = columns[index] if index < len(columns) else Column()
        span = _span(writer, tokens)
        if span is not None:
            width, content, specification = span
            inner, _ = columns_of(writer, specification)
            own = inner[0] if inner else Column()
            text, between = _cell(writer, [*own.before, *content, *own.after]), ""
        else:
            width, between = 1, column.between
            text = _cell(
                writer,
                [*column.before, *tokens, *column.after] if any(token.kind != "space" for token in tokens) else [],
            )
        if not made and first and text:
            text = f"{first}{text}"
        if joined and made:
            made[-1] = f"{made[-1]}{text}"
        else:
            made.append(text)
        hidden = sum(bool(spanned.between) for spanned in columns[index : index + width - 1]) if span is not None else 0
        made += [""] * (width - 1 - hidden)
        joined = bool(between) and index + 1 < len(columns)
        if joined and (text or len(cells) > index + 1) and any(token.kind != "space" for token in tokens):
            made[-1] = f"{made[-1]}{between if not text.endswith(between) else ''}"
        index += width
    return made


def _cell(writer: Writer, tokens: Sequence[Token]) -> str:
    return writer.line(writer.render(tokens)) if tokens else ""


def _span(writer: Writer, tokens: Sequence[Token]) -> tuple[int, list[Token], list[Token]] | None:
    """The width, content and description of a cell that spans columns; None for any other."""
    there = [token for token in tokens if token.kind not in ("space", "par")]
    if not there or there[0] != Token("cmd", "multicolumn"):
        return None
    mark = Token("end", "span")
    start = next(number for number, token in enumerate(tokens) if token.kind == "cmd")
    writer.program.push([mark])
    writer.program.push(tokens[start + 1 :])
    number, specification, content = writer.program.word(), writer.program.argument(), writer.program.argument()
    rest = []
    while (token := writer.program.raw()) is not None and token != mark:
        rest.append(token)
    return min(int(number), _WIDEST) if number.isdigit() else 1, [*content, *rest], specification


def _multirow(writer: Writer, name: str) -> None:
    program = writer.program
    program.option()
    program.argument()
    program.option()
    program.argument()
    program.option()
    writer.put(writer.render(program.argument()))


def _multicolumn(writer: Writer, name: str) -> None:
    writer.program.argument()
    writer.program.argument()
    writer.put(writer.render(writer.program.argument()))


def _stacked(writer: Writer, name: str) -> None:
    """Lines in one cell (makecell, shortstack)."""
    writer.program.star()
    writer.program.option()
    writer.put(f" {writer.text(writer.program.argument())} ")


def _diagonal(writer: Writer, name: str) -> None:
    writer.program.option()
    writer.put(writer.text([*writer.program.argument(), *tokens_of(" / "), *writer.program.argument()]))


COMMANDS: dict[str, Handler] = {
    "multirow": _multirow,
    "multicolumn": _multicolumn,
    "makecell": _stacked,
    "shortstack": _stacked,
    "thead": _stacked,
    "specialcell": _stacked,
    "backslashbox": _diagonal,
    "diagbox": _diagonal,
    "slashbox": _diagonal,
    **dict.fromkeys(_RULES, lambda writer, name: _drop_rule(writer, name)),
}
ENVIRONMENTS: dict[str, Handler] = dict.fromkeys(
    (
        "tabular",
        "tabular*",
        "tabularx",
        "tabulary",
        "longtable",
        "supertabular",
        "xltabular",
        "longtabu",
        "tabu",
        "array",
    ),
    _tabular,
)
