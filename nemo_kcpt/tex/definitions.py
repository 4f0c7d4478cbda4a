"""What TeX documents define: macros of every form, environments, operators, flags."""

from __future__ import annotations

from collections.abc import Sequence

from nemo_kcpt.tex.lexer import CLOSE, OPEN, Token, written
from nemo_kcpt.tex.macros import Macro, Program

_NO_VALUE = (Token("cmd", "NoValue"),)


def name_of(tokens: Sequence[Token]) -> str:
    """The first command among tokens."""
    return next((token.text for token in tokens if token.kind == "cmd"), "")


def new_command(program: Program, name: str) -> None:
    """\\newcommand and its relatives."""
    program.star()
    target = name_of(program.argument())
    number = written(program.option() or ()).strip()
    default = program.option()
    body = program.argument()
    forms = ["m"] * (int(number) if number.isdigit() else 0)
    defaults: dict[int, Sequence[Token]] = {}
    if default is not None and forms:
        forms[0], defaults[0] = "O", default
    if name.startswith("provide") and target in program.macros:
        return
    program.define(target, Macro(body, forms, defaults))


def new_document_command(program: Program, name: str) -> None:
    """\\NewDocumentCommand and its relatives."""
    target = name_of(program.argument())
    forms, defaults = _forms(program.argument())
    program.define(target, Macro(program.argument(), forms, defaults))


def _forms(specification: Sequence[Token]) -> tuple[list[str], dict[int, Sequence[Token]]]:
    """The arguments that xparse's letters stand for."""
    forms: list[str] = []
    defaults: dict[int, Sequence[Token]] = {}
    depth = 0
    for token in specification:
        depth += (token.kind == "{") - (token.kind == "}")
        if depth:
            if token.kind != "{" and forms:
                defaults[len(forms) - 1] = [*defaults.get(len(forms) - 1, ()), token]
        elif token.kind == "text":
            forms += [
                {"m": "m", "v": "m", "s": "s", "o": "o", "O": "o"}[sign] for sign in token.text if sign in "mvsoO"
            ]
    for number, form in enumerate(forms):
        if form == "o":
            defaults.setdefault(number, _NO_VALUE)
    return forms, defaults


def new_environment(program: Program, name: str) -> None:
    """\\newenvironment."""
    program.star()
    target = program.word()
    number = written(program.option() or ()).strip()
    default = program.option()
    begin, end = program.argument(), program.argument()
    forms = ["m"] * (int(number) if number.isdigit() else 0)
    defaults: dict[int, Sequence[Token]] = {}
    if default is not None and forms:
        forms[0], defaults[0] = "O", default
    if f"begin{target}" not in program.kept:
        program.environments[target] = (Macro(begin, forms, defaults), end)


def new_document_environment(program: Program, name: str) -> None:
    """\\NewDocumentEnvironment."""
    target = program.word()
    forms, defaults = _forms(program.argument())
    begin, end = program.argument(), program.argument()
    if f"begin{target}" not in program.kept:
        program.environments[target] = (Macro(begin, forms, defaults), end)


def def_(program: Program, name: str) -> None:
    """\\def, with parameters of any form."""
    program.skip_space()
    target = program.raw()
    if target is None or target.kind != "cmd":
        return
    parameters: list[str | Sequence[Token]] = []
    between: list[Token] = []
    while (token := program.raw()) is not None and token.kind not in ("{", "end"):
        if token.kind == "arg":
            if between:
                parameters.append(between)
                between = []
            parameters.append("m")
        elif token.kind == "text":
            between += [Token("text", sign) for sign in token.text]
        else:
            between.append(token)
    if between:
        parameters.append(between)
    program.push([OPEN])
    body = program.argument()
    delimited = any(not isinstance(parameter, str) for parameter in parameters)
    program.define(target.text, Macro(body, parameters, delimited=delimited), everywhere=name in ("gdef", "xdef"))


def let(program: Program, name: str) -> None:
    """\\let."""
    program.skip_space()
    target = program.raw()
    program.skip_space()
    token = program.raw()
    if token is not None and token.kind == "text" and token.text.startswith("="):
        if token.text[1:]:
            program.push([Token("text", token.text[1:])])
        program.skip_space()
        token = program.raw()
    if target is None or token is None or target.kind != "cmd":
        return
    if token.kind == "text" and len(token.text) > 1:
        program.push([Token("text", token.text[1:])])
        token = Token("text", token.text[0])
    known = program.macros.get(token.text) if token.kind == "cmd" else None
    meaning = program.meanings.get(token.text, token.text)
    if token.kind == "cmd" and known is None:
        if target.text not in program.kept and target.text != meaning:
            program.macros.pop(target.text, None)
            program.meanings[target.text] = meaning
        return
    program.define(target.text, known or Macro([token]))


def operator(program: Program, name: str) -> None:
    """\\DeclareMathOperator."""
    target = name_of(program.argument())
    star = "*" if name.endswith("*") else ""
    program.define(target, Macro([Token("cmd", f"operatorname{star}"), OPEN, *program.argument(), CLOSE]))


def new_if(program: Program, name: str) -> None:
    """\\newif: a flag, and the commands that set it."""
    program.skip_space()
    target = program.raw()
    if target is not None and target.kind == "cmd":
        flag = target.text
        program.flags.setdefault(flag, False)
        stem = flag.removeprefix("if")
        for value in ("true", "false"):
            program.define(
                f"{stem}{value}", Macro([Token("cmd", "kcptflag"), OPEN, Token("text", f"{flag}={value}"), CLOSE]), True
            )


def set_flag(program: Program, name: str) -> None:
    """What the commands of \\newif do."""
    flag, _, value = "".join(token.text for token in program.argument()).partition("=")
    program.flags[flag] = value == "true"
