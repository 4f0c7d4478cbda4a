"""What TeX's own commands do before anything is set: definitions, conditionals, counters, files."""

from __future__ import annotations

import re

from nemo_kcpt.tex import conditionals, definitions
from nemo_kcpt.tex.lexer import CLOSE, OPEN, Token, tokens_of, written
from nemo_kcpt.tex.macros import Act, Macro, Program
from nemo_kcpt.text.counting import roman

_SYMBOLS = "*†‡§¶‖"


def _csname(program: Program, name: str) -> None:
    program.push([Token("cmd", conditionals.csname_text(program))])


def _nameuse(program: Program, name: str) -> None:
    program.push([Token("cmd", program.word())])


def _namedef(program: Program, name: str) -> None:
    program.push([Token("cmd", "def"), Token("cmd", program.word())])


def _expandafter(program: Program, name: str) -> None:
    first, second = program.raw(), program.raw()
    if first is None or second is None:
        program.push([token for token in (first, second) if token is not None])
        return
    if second.kind == "cmd" and second.text in program.macros:
        macro = program.macros[second.text]
        if not macro.parameters:
            program.count()
            program.push(macro.body)
        else:
            program.push([second])
    elif second.text == "csname":
        program.push([Token("cmd", conditionals.csname_text(program))])
    else:
        program.push([second])
    program.push([first])


def _nothing(program: Program, name: str) -> None:
    """A command without a trace in the text."""


def _one_argument(program: Program, name: str) -> None:
    """A command without a trace, with its argument."""
    program.argument()


def _input(program: Program, name: str) -> None:
    program.skip_space()
    token = program.raw()
    if token is None:
        return
    program.push([token])
    if token.kind == "{":
        words = [program.word()]
    else:
        words = [""]
        while (token := program.raw()) is not None and token.kind in ("text", "_", "~", "^"):
            words[0] += token.text
        if token is not None:
            program.push([token])
    if name.rstrip("*") in ("import", "subimport", "includefrom", "subincludefrom", "inputfrom", "subinputfrom"):
        words.append(program.word())
    if (lexer := program.opener(name.rstrip("*"), words)) is not None:
        page = [Token("par")] if name == "include" else []
        program.push(page)
        program.include(lexer)
        program.push(page)


def _use_package(program: Program, name: str) -> None:
    options = written(program.option() or ())
    for package in program.word().split(","):
        if (lexer := program.opener(name, [package.strip(), options])) is not None:
            program.include(lexer)


def _end_input(program: Program, name: str) -> None:
    while program.stack and isinstance(program.stack[-1], list):
        program.stack.pop()
    if program.stack:
        program.stack.pop()


def _new_counter(program: Program, name: str) -> None:
    counter = program.word()
    outer = written(program.option() or ()).strip()
    program.counters[counter] = 0
    if outer:
        program.within.setdefault(outer, []).append(counter)
    program.define(f"the{counter}", Macro(tokens_of(rf"\arabic{{{counter}}}")), everywhere=True)


def _alias_counter(program: Program, name: str) -> None:
    """\\newaliascnt: another name of a counter, so that theorems of several kinds are counted together."""
    counter, other = program.word(), program.word()
    program.same[counter] = program.same.get(other, other)
    program.define(f"the{counter}", Macro([Token("cmd", f"the{other}")]), everywhere=True)


def _math_choice(program: Program, name: str) -> None:
    """\\mathchoice: the form for formulas within a line."""
    program.argument()
    chosen = program.argument()
    program.argument(), program.argument()
    program.push(chosen)


def _number_within(program: Program, name: str) -> None:
    counter, outer = program.word(), program.word()
    program.within.setdefault(outer, []).append(counter)
    program.define(f"the{counter}", Macro(tokens_of(rf"\the{outer}.\arabic{{{counter}}}")), everywhere=True)


def _add_to_reset(program: Program, name: str) -> None:
    counter, outer = program.word(), program.word()
    program.within.setdefault(outer, []).append(counter)


def _number_without(program: Program, name: str) -> None:
    counter, outer = program.word(), program.word()
    program.within[outer] = [other for other in program.within.get(outer, ()) if other != counter]
    program.define(f"the{counter}", Macro(tokens_of(rf"\arabic{{{counter}}}")), everywhere=True)


def _set_counter(program: Program, name: str) -> None:
    counter, value = program.word(), program.argument()
    text = re.sub(r"\\value\{(\w+)\}", lambda match: str(program.counters[match[1]]), written(value))
    if re.fullmatch(r"\s*[-+]?\d+\s*", text):
        program.counters[counter] = int(text) + (program.counters[counter] if name == "addtocounter" else 0)


def _step(program: Program, name: str) -> None:
    program.step(program.word())


def numeral(number: int, form: str) -> str:
    """A counter's value as \\arabic, \\roman, \\alph and the like show it."""
    if form in ("roman", "Roman"):
        return roman(number).upper() if form == "Roman" else roman(number)
    if form in ("alph", "Alph") and 0 < number < 27:
        return chr(ord("a" if form == "alph" else "A") + number - 1)
    if form == "fnsymbol" and 0 < number <= len(_SYMBOLS):
        return _SYMBOLS[number - 1]
    return str(number)


def _numeral(program: Program, name: str) -> None:
    program.push([Token("text", numeral(program.counters[program.word()], name))])


def _drop_environment(program: Program, name: str) -> None:
    target = program.word()
    (program.dropped.discard if name == "includecomment" else program.dropped.add)(target)
    if name == "includecomment":
        program.environments[target] = (Macro([]), ())


def _verbatim_environment(program: Program, name: str) -> None:
    if name == "lstnewenvironment":
        target = program.word()
        program.option(), program.option(), program.argument(), program.argument()
    else:
        program.option()
        target = program.word()
        program.argument(), program.argument()
    program.verbatim.add(target)


def _xspace(program: Program, name: str) -> None:
    token = program.raw()
    if token is not None:
        program.push([token])
        if token.kind in ("text", "$", "cmd") and not (
            token.kind == "text" and token.text[0] in ".,;:!?)]'’”/-、。，．"
        ):
            program.push([Token("space", "\n")])


def _group(program: Program, name: str) -> None:
    program.push([OPEN if name in ("bgroup", "begingroup") else CLOSE])


def _each(names: str, act: Act) -> dict[str, Act]:
    return dict.fromkeys(names.split(), act)


ACTS: dict[str, Act] = {
    **_each("newcommand newcommand* renewcommand renewcommand* providecommand providecommand* DeclareRobustCommand "
            "DeclareRobustCommand* newrobustcmd renewrobustcmd", definitions.new_command),
    **_each("NewDocumentCommand RenewDocumentCommand ProvideDocumentCommand DeclareDocumentCommand "
            "NewExpandableDocumentCommand", definitions.new_document_command),
    **_each("newenvironment newenvironment* renewenvironment renewenvironment*", definitions.new_environment),
    **_each(
        "NewDocumentEnvironment RenewDocumentEnvironment DeclareDocumentEnvironment",
        definitions.new_document_environment),
    **_each("def gdef edef xdef", definitions.def_),
    **_each("let futurelet", definitions.let),
    **_each("DeclareMathOperator DeclareMathOperator*", definitions.operator),
    **_each(
        "newboolean setboolean newtoggle providetoggle settoggle toggletrue togglefalse newbool "
        "providebool setbool booltrue boolfalse", conditionals.boolean),
    **_each(
        "iftrue iffalse ifdim ifodd ifcase ifeof ifvmode ifhmode ifinner ifvoid ifhbox ifvbox ifpdf "
        "ifxetex ifluatex iftutex ifPDFTeX ifXeTeX ifLuaTeX ifpTeX ifupTeX", conditionals.if_),
    **_each("ifx if ifcat", conditionals.ifx),
    **_each("ifdefined ifcsname", conditionals.if_defined),
    **_each("iftoggle ifbool ifdef ifundef ifstrequal ifblank ifstrempty IfBooleanTF IfBooleanT IfBooleanF IfNoValueTF "
            "IfNoValueT IfNoValueF IfValueTF IfValueT IfValueF", conditionals.choose),
    **_each(
        "long outer global protected noexpand relax makeatletter makeatother unskip ignorespaces "
        "ignorespacesafterend the number protect leavevmode", _nothing),
    **_each("input include subfile subfileinclude import subimport includefrom subincludefrom inputfrom subinputfrom "
            "import* subimport* InputIfFileExists", _input),
    **_each("usepackage RequirePackage", _use_package),
    **_each("setcounter addtocounter", _set_counter),
    **_each("arabic roman Roman alph Alph fnsymbol value", _numeral),
    **_each("excludecomment includecomment specialcomment", _drop_environment),
    **_each("lstnewenvironment DefineVerbatimEnvironment newminted", _verbatim_environment),
    **_each("bgroup egroup begingroup endgroup", _group),
    **_each("numberwithin counterwithin", _number_within),
    **_each("counterwithout", _number_without),
    **_each("@ifnextchar kernel@ifnextchar @ifstar", conditionals.if_next_char),
    "newaliascnt": _alias_counter, "aliascntresetthe": _one_argument, "mathchoice": _math_choice,
    "newif": definitions.new_if, "kcptflag": definitions.set_flag, "ifmmode": conditionals.if_math,
    "ifnum": conditionals.ifnum, "unless": conditionals.unless, "else": conditionals.else_,
    "or": conditionals.else_, "fi": conditionals.fi, "ifthenelse": conditionals.if_then_else, "csname": _csname,
    "@nameuse": _nameuse, "@namedef": _namedef,
    "expandafter": _expandafter, "endinput": _end_input, "@addtoreset": _add_to_reset, "newcounter": _new_counter,
    "stepcounter": _step,
    "xspace": _xspace,
}  # fmt: skip
"""Command -> what it does."""
