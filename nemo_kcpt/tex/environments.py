"""What LaTeX's environments around text mean: floats, theorems, algorithms, boxes, and drawings, which are no text."""

from __future__ import annotations

from dataclasses import replace

from nemo_kcpt.tex.labels import Label
from nemo_kcpt.tex.lexer import tokens_of
from nemo_kcpt.tex.write import LINE, Handler, Writer

_FLOATS = {
    "figure": "figure",
    "table": "table",
    "wrapfigure": "figure",
    "wraptable": "table",
    "sidewaysfigure": "figure",
    "sidewaystable": "table",
    "SCfigure": "figure",
    "SCtable": "table",
    "algorithm": "algorithm",
    "algorithm2e": "algorithm",
    "threeparttable": "",
    "listing": "listing",
    "floatrow": "",
    "margintable": "table",
    "marginfigure": "figure",
    "teaserfigure": "figure",
    "figurehere": "figure",
    "tablehere": "table",
}
_ARGUMENTS = {
    "wrapfigure": 2, "wraptable": 2, "minipage": 1, "multicols": 1, "adjustbox": 1, "subfigure": 1, "subtable": 1,
    "spacing": 1,
    "CJK": 2, "CJK*": 2, "textblock": 1, "scope": 0, "column": 1, "block": 0, "adjustwidth": 2, "minipage*": 1,
    "otherlanguage": 1,
    "otherlanguage*": 1, "floatingfigure": 1, "strip": 0, "resizebox": 2, "tabbing": 0,
}  # fmt: skip
"""Environments that change how their content looks, with the number of their arguments."""
_DRAWINGS = [
    "tikzpicture",
    "pspicture",
    "picture",
    "axis",
    "tikzcd",
    "forest",
    "circuitikz",
    "asy",
    "feynmandiagram",
    "fmffile",
    "pgfpicture",
    "dependency",
    "CCSXML",
    "overpic",
    "tikzpicture*",
    "filecontents",
    "psmatrix",
    "chart",
    "gnuplot",
    "sidebyside",
]
_TRANSPARENT = [
    "center",
    "flushleft",
    "flushright",
    "raggedright",
    "small",
    "footnotesize",
    "large",
    "landscape",
    "titlepage",
    "figurenotes",
    "tablenotes",
    "sloppypar",
    "frontmatter",
    "appendices",
    "appendix",
    "samepage",
    "acknowledgements",
    "acknowledgments",
    "acks",
    "ack",
    "columns",
    "cases*",
    "table-notes",
    "singlespace",
    "doublespace",
    "onehalfspace",
    "mdframed",
    "tcolorbox",
    "framed",
    "shaded",
    "subfigures",
    "summary",
    "widetext",
    "ruledtabular",
    "spacing*",
    "teaser",
    "mainmatter",
    "tabbing",
    "highlights",
    "flushleft*",
    "raggedleft",
    "scriptsize",
    "tiny",
    "normalsize",
    "Huge",
    "fullwidth",
    "quoting",
    "body",
    "IEEEbiography",
    "biography",
    "IEEEbiographynophoto",
    "letter",
    "comment*",
    "changemargin",
    "floatnote",
    "displaytext",
    "acknowledgement",
    "addendum",
]
_CONTROL = {
    "State": "", "STATE": "", "Statex": "", "Require": "Require: ", "REQUIRE": "Require: ", "Ensure": "Ensure: ",
    "ENSURE": "Ensure: ", "Input": "Input: ", "Output": "Output: ", "INPUT": "Input: ", "OUTPUT": "Output: ",
    "Return": "return ", "RETURN": "return ", "Else": "else", "ELSE": "else", "EndIf": "end if", "ENDIF": "end if",
    "EndFor": "end for", "ENDFOR": "end for", "EndWhile": "end while", "ENDWHILE": "end while", "Repeat": "repeat",
    "REPEAT": "repeat", "EndFunction": "end function", "EndProcedure": "end procedure", "Loop": "loop",
    "EndLoop": "end loop",
}  # fmt: skip
_WITH_TEST = {
    "If": ("if ", " then"),
    "IF": ("if ", " then"),
    "ElsIf": ("else if ", " then"),
    "ELSIF": ("else if ", " then"),
    "For": ("for ", " do"),
    "FOR": ("for ", " do"),
    "ForAll": ("for all ", " do"),
    "FORALL": ("for all ", " do"),
    "While": ("while ", " do"),
    "WHILE": ("while ", " do"),
    "Until": ("until ", ""),
    "UNTIL": ("until ", ""),
    "KwIn": ("Input: ", ""),
    "KwOut": ("Output: ", ""),
    "KwData": ("Data: ", ""),
    "KwResult": ("Result: ", ""),
    "KwRet": ("return ", ""),
}
_WITH_BODY = {
    "For": "for",
    "ForEach": "for each",
    "ForAll": "for all",
    "While": "while",
    "If": "if",
    "uIf": "if",
    "lIf": "if",
    "eIf": "if",
    "ElseIf": "else if",
    "uElseIf": "else if",
}


def _float(writer: Writer, name: str) -> None:
    """Figures, tables and the like: what they hold, captions where they stand."""
    program, state = writer.program, writer.state
    _drop_arguments(writer, name.rstrip("*"))
    outer, state.float = state.float, _FLOATS[name.rstrip("*")] or state.float
    program.counters["subfigure"] = 0
    writer.transparent(name)
    state.float = outer


def _drop_arguments(writer: Writer, name: str) -> None:
    while writer.program.option() is not None:
        pass
    for _ in range(_ARGUMENTS.get(name, 0)):
        writer.program.argument()
        while writer.program.option() is not None:
            pass


def _around(writer: Writer, name: str) -> None:
    _drop_arguments(writer, name)
    writer.transparent(name)


def _drawing(writer: Writer, name: str) -> None:
    writer.program.drop(name)
    writer.state.pictures += 1


def _theorem(writer: Writer, name: str) -> None:
    program = writer.program
    title, counter = writer.state.theorems[name]
    note = program.option()
    number = ""
    if counter:
        program.step(counter)
        number = writer.text(tokens_of(f"\\the{counter}"))
    writer.label = Label(number, title)
    said = f" ({writer.text(note)})" if note is not None else ""
    writer.paragraph()
    writer.put(f"{title}{f' {number}' if number else ''}{said}. ")
    writer.put(writer.body(name))
    writer.paragraph()


def _proof(writer: Writer, name: str) -> None:
    title = writer.program.option()
    writer.paragraph()
    writer.put(f"{writer.text(title) if title is not None else '証明' if writer.state.japanese else 'Proof'}. ")
    writer.put(writer.body(name))
    writer.paragraph()


def _frame(writer: Writer, name: str) -> None:
    program = writer.program
    program.option("<", ">")
    program.option()
    program.skip_space()
    token = program.raw()
    if token is not None:
        program.push([token])
    writer.paragraph()
    if token is not None and token.kind == "{":
        text = writer.text(program.argument())
        writer.block(f"### {text}" if text else "")
    writer.transparent(name)


def _block(writer: Writer, name: str) -> None:
    """A titled box of a slide."""
    writer.paragraph()
    writer.put(writer.render(writer.program.argument()))
    writer.transparent(name)


def _headed(title: str) -> Handler:
    def headed(writer: Writer, name: str) -> None:
        writer.paragraph()
        writer.block(f"## {title}")
        writer.transparent(name)

    return headed


def _keywords(writer: Writer, name: str) -> None:
    writer.state.fields["keywords"] = writer.line(writer.body(name))


def _algorithmic(writer: Writer, name: str) -> None:
    """Steps, one a line."""
    writer.program.option()
    outer = writer.table
    writer.table = replace(outer, commands={**outer.commands, **_STEPS})
    text = writer.body(name)
    writer.table = outer
    writer.paragraph()
    writer.put(text)
    writer.paragraph()


def _step(writer: Writer, name: str) -> None:
    writer.program.option()
    writer.put(f"{LINE}{_CONTROL[name]}")


def _step_with_test(writer: Writer, name: str) -> None:
    before, after = _WITH_TEST[name]
    writer.put(f"{LINE}{before}{writer.render(writer.program.argument())}{after}{LINE}")


def _step_with_body(writer: Writer, name: str) -> None:
    """algorithm2e's \\For{…}{…}."""
    test = writer.render(writer.program.argument())
    writer.put(f"{LINE}{_WITH_BODY[name]} {test}:{LINE}{writer.render(writer.program.argument())}{LINE}")
    if name == "eIf":
        writer.put(f"else:{LINE}{writer.render(writer.program.argument())}{LINE}")


def _algorithm2e(writer: Writer, name: str) -> None:
    outer = writer.table
    writer.table = replace(outer, commands={**outer.commands, **_STEPS, **dict.fromkeys(_WITH_BODY, _step_with_body)})
    _float(writer, name)
    writer.table = outer


def _comment(writer: Writer, name: str) -> None:
    writer.put(f" ▷ {writer.render(writer.program.argument())}")


def _procedure(writer: Writer, name: str) -> None:
    kind = name.lower()
    title, arguments = writer.text(writer.program.argument()), writer.text(writer.program.argument())
    writer.put(f"{LINE}{kind} {title}({arguments}){LINE}")


def _end_of_step(writer: Writer, name: str) -> None:
    writer.put(LINE)


_STEPS: dict[str, Handler] = {
    **dict.fromkeys(_CONTROL, _step),
    **dict.fromkeys(_WITH_TEST, _step_with_test),
    **dict.fromkeys(("Comment", "COMMENT", "tcp", "tcc"), _comment),
    **dict.fromkeys(("Function", "Procedure"), _procedure),
    ";": _end_of_step,
}
ENVIRONMENTS: dict[str, Handler] = {
    **{f"{name}{star}": _float for name in _FLOATS for star in ("", "*")},
    **dict.fromkeys(_TRANSPARENT, _around),
    **dict.fromkeys(_ARGUMENTS, _around),
    **dict.fromkeys(_DRAWINGS, _drawing),
    **dict.fromkeys(("algorithm", "algorithm*", "algorithm2e", "procedure", "function"), _algorithm2e),
    **dict.fromkeys(("algorithmic", "algorithmic*", "pseudocode"), _algorithmic),
    **dict.fromkeys(("block", "alertblock", "exampleblock"), _block),
    **dict.fromkeys(("keyword", "keywords", "IEEEkeywords"), _keywords),
    **dict.fromkeys(
        ("acknowledgements", "acknowledgments", "acks", "ack", "acknowledgement"), _headed("Acknowledgements")
    ),
    "wrapfigure": _float,
    "wraptable": _float,
    "theorem": _theorem,
    "proof": _proof,
    "frame": _frame,
}
