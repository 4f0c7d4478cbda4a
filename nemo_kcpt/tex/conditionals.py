"""TeX's conditionals and those of ifthen, etoolbox and xparse; a test whose answer nobody can know does not hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nemo_kcpt.tex.definitions import name_of
from nemo_kcpt.tex.lexer import Token, written
from nemo_kcpt.tex.macros import Program

_RELATION = re.compile(r"\s*([-+]?\d+)\s*([<>=])\s*([-+]?\d+)\s*")


def csname_text(program: Program) -> str:
    """The name that stands before \\endcsname."""
    text = ""
    while (token := program.next()) is not None and token.text != "endcsname":
        if token.kind == "end":
            program.push([token])
            break
        text += token.text
    return text


def boolean(program: Program, name: str) -> None:
    """Flags of ifthen and etoolbox."""
    flag = f"if{program.word()}"
    if name in ("newboolean", "newtoggle", "providebool", "newbool", "providetoggle"):
        program.flags.setdefault(flag, False)
    elif name in ("setboolean", "setbool", "settoggle"):
        program.flags[flag] = program.word() == "true"
    else:
        program.flags[flag] = name.endswith("true")


def if_(program: Program, name: str) -> None:
    """A conditional whose answer is known, or cannot be: then what holds otherwise is read."""
    program.branch(name in ("iftrue", "ifpdf", "ifPDFTeX", "ifhmode"), name)


def if_math(program: Program, name: str) -> None:
    """\\ifmmode."""
    program.branch(program.math, name)


def _single_token(program: Program) -> Token | None:
    """The next token; of a run of characters the first."""
    token = program.raw()
    if token is not None and token.kind == "text" and len(token.text) > 1:
        program.push([Token("text", token.text[1:])])
        return Token("text", token.text[0])
    return token


def ifx(program: Program, name: str) -> None:
    """\\ifx, \\if and \\ifcat."""
    program.skip_space()
    first = _single_token(program)
    if name == "ifx":
        program.skip_space() if first is not None and first.kind == "cmd" else None
    second = _single_token(program)
    program.branch(_alike(program, first, second), name)


def _alike(program: Program, first: Token | None, second: Token | None) -> bool:
    if first is None or second is None or first.kind != second.kind:
        return False
    if first.kind != "cmd":
        return first.text == second.text
    macro, other = program.macros.get(first.text), program.macros.get(second.text)
    known = {name for name in (first.text, second.text) if name in program.kept or name in program.acts}
    if first.text == second.text or (macro is None and other is None and not known):
        return True
    return macro is not None and other is not None and list(macro.body) == list(other.body)


def ifnum(program: Program, name: str) -> None:
    """\\ifnum."""
    text = ""
    while len(text) < 60 and (token := program.next()) is not None:
        if token.kind == "text":
            match = _RELATION.match(text + token.text)
            if match and match.end() < len(text + token.text):
                program.push([Token("text", (text + token.text)[match.end() :])])
                text = match[0]
                break
            text += token.text
        elif token.kind == "space" and not _RELATION.fullmatch(text):
            text += " "
        else:
            program.push([token]) if token.kind != "space" and token.text != "relax" else None
            break
    match = _RELATION.fullmatch(text)
    holds = bool(match) and {"<": int.__lt__, ">": int.__gt__, "=": int.__eq__}[match[2]](int(match[1]), int(match[3]))  # type: ignore[index]
    program.branch(holds, name)


def if_defined(program: Program, name: str) -> None:
    """\\ifdefined and \\ifcsname."""
    if name == "ifcsname":
        target = csname_text(program)
    else:
        token = program.raw()
        target = token.text if token is not None else ""
    program.branch(target in program.macros or target in program.kept or target in program.acts, name)


def unless(program: Program, name: str) -> None:
    """\\unless: the next test the other way round."""
    program.unless = True


def else_(program: Program, name: str) -> None:
    """\\else and \\or, where a branch that held ends."""
    if program.open_ifs:
        program.skip(stop_at_else=False)


def fi(program: Program, name: str) -> None:
    """\\fi."""
    if program.open_ifs:
        program.open_ifs.pop()


def if_then_else(program: Program, name: str) -> None:
    """\\ifthenelse."""
    test, then, otherwise = program.argument(), program.argument(), program.argument()
    program.push(then if _holds(program, test) else otherwise)


def _holds(program: Program, test: Sequence[Token]) -> bool:
    text = written(test)
    if text.startswith(("\\NOT", "\\not")):
        return not _holds(program, [token for token in test if token.text not in ("NOT", "not")])
    if match := re.fullmatch(r"\\boolean\{(.+)\}", text):
        return program.flags.get(f"if{match[1]}", False)
    if match := re.fullmatch(r"\\equal\{(.*)\}\{(.*)\}", text):
        return match[1] == match[2]
    if match := re.fullmatch(r"\\isundefined\{?\\(\w+)\}?", text):
        return match[1] not in program.macros
    numbers = _RELATION.fullmatch(
        re.sub(r"\\value\{(\w+)\}", lambda reference: str(program.counters[reference[1]]), text)
    )
    if numbers is None:
        return False
    return {"<": int.__lt__, ">": int.__gt__, "=": int.__eq__}[numbers[2]](int(numbers[1]), int(numbers[3]))


def choose(program: Program, name: str) -> None:
    """Commands that take a test and what is to be read in either case."""
    given = program.argument()
    text = written(given)
    if name == "iftoggle" or name == "ifbool":
        holds = program.flags.get(f"if{text}", False)
    elif name.startswith("IfBoolean"):
        holds = text == r"\BooleanTrue"
    elif name.startswith(("IfNoValue", "IfValue")):
        holds = (text == r"\NoValue") == name.startswith("IfNoValue")
    elif name in ("ifdef", "ifundef"):
        holds = (name_of(given) in program.macros) == (name == "ifdef")
    elif name in ("ifstrequal",):
        holds = text == written(program.argument())
    else:  # ifblank, ifstrempty
        holds = not text.strip()
    then = program.argument() if not name.endswith("F") or name.endswith("TF") else []
    otherwise = program.argument() if not name.endswith("T") else []
    program.push(then if holds else otherwise)


def if_next_char(program: Program, name: str) -> None:
    """\\@ifnextchar and \\@ifstar: what is read depends on what follows, which \\@ifstar takes away."""
    program.skip_space()
    wanted = Token("text", "*") if name == "@ifstar" else _single_token(program)
    then, otherwise = program.argument(), program.argument()
    program.skip_space()
    following = _single_token(program)
    if wanted is not None and wanted.kind == "cmd" and wanted.text in ("bgroup", "egroup"):
        wanted = Token("{" if wanted.text == "bgroup" else "}", "{" if wanted.text == "bgroup" else "}")
    holds = wanted is not None and following is not None and wanted[:2] == following[:2]
    if following is not None and not (holds and name == "@ifstar"):
        program.push([following])
    program.push(then if holds else otherwise)
