"""TeX's macros and conditionals: what a document defines is expanded, within bounds, and what it switches off is
skipped.

The program stands between the lexer and the writer, as TeX's gullet does. It knows \\newcommand and its relatives,
\\def with parameters of any form, \\let, environments, \\newif and the conditionals, counters as macros show them,
and \\input. Definitions are local to their group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nemo_kcpt.tex.lexer import CLOSE, OPEN, Lexer, Token, tokens_of
from nemo_kcpt.tex.tokens import Tokens, TooMuch

EXPANSIONS = 2_000_000
"""Macros that a document may expand."""
DEPTH = 25
"""Files that may be open within each other."""

IFS = frozenset(
    [
        "if",
        "ifx",
        "ifnum",
        "ifdim",
        "ifodd",
        "ifcase",
        "ifcat",
        "ifdefined",
        "ifcsname",
        "iftrue",
        "iffalse",
        "ifmmode",
        "ifvmode",
        "ifhmode",
        "ifinner",
        "ifvoid",
        "ifhbox",
        "ifvbox",
        "ifeof",
        "ifpdf",
        "ifxetex",
        "ifluatex",
        "iftutex",
        "ifPDFTeX",
        "ifXeTeX",
        "ifLuaTeX",
        "ifpTeX",
        "ifupTeX",
        "unless",
    ]
)
"""TeX's conditionals, which are counted where a branch is skipped."""


Opener = Callable[[str, Sequence[str]], "Lexer | None"]
Act = Callable[["Program", str], None]


@dataclass
class Macro:
    """A macro: what stands between its arguments, their defaults, and what it becomes."""

    body: Sequence[Token]
    parameters: Sequence[str | Sequence[Token]] = ()
    """Of each argument its form: m, o, s or O (with a default); or the tokens that TeX's \\def wants to see."""
    defaults: dict[int, Sequence[Token]] = field(default_factory=dict)
    delimited: bool = False


class Program(Tokens):
    """The tokens of a document after expansion.

    Args:
        text: the source.
        where: its file.
        opener: what \\input and its relatives read: (command, arguments) -> a lexer of the file, or None where there is
            none, which the opener has noted.
        acts: what the program itself does, by command (primitives.py).
        kept: commands that a document cannot redefine, since the writer knows what they mean.
    """

    def __init__(self, text: str, where: str, opener: Opener, acts: Mapping[str, Act], kept: frozenset[str]) -> None:
        super().__init__(text, where)
        self.opener = opener
        self.acts = acts
        self.kept = kept
        self.macros: dict[str, Macro] = {}
        self.environments: dict[str, tuple[Macro, Sequence[Token]]] = {}
        self.flags: dict[str, bool] = {}
        self.counters: Counter[str] = Counter()
        self.within: dict[str, list[str]] = {}
        """Counter -> those that begin anew when it goes up."""
        self.same: dict[str, str] = {}
        """Counter -> the one that it is another name of."""
        self.math = False
        """Whether a formula is being read."""
        self.unless = False
        self.meanings: dict[str, str] = {}
        """What \\let made of a command that is no macro: the command whose meaning it has, whatever becomes of that."""
        self.dropped: set[str] = set()
        """Environments of the package comment that a document switches off."""
        self.undo: list[dict[str, Macro | None]] = []
        self.expansions = 0
        self.open_ifs: list[str] = []

    def next(self) -> Token | None:
        """The next token after expansion; None at the end."""
        while (token := self.raw()) is not None:
            if token.kind == "cmd":
                meaning = self.meanings.get(token.text)
                if meaning is not None:
                    token = token._replace(text=meaning)
                if (meaning is None and not self._expanded(token)) or (
                    meaning is not None and not self._primitive(token)
                ):
                    return token
            else:
                if token.kind == "{":
                    self.undo.append({})
                elif token.kind == "}" and self.undo:
                    self._restore()
                return token
        return None

    def _restore(self) -> None:
        for name, macro in self.undo.pop().items():
            if macro is None:
                self.macros.pop(name, None)
            else:
                self.macros[name] = macro

    # expansion

    def _primitive(self, token: Token) -> bool:
        """Whether a command is one of the program's own, and done; macros of its name do not matter."""
        act = self.acts.get(token.text)
        if act is not None:
            act(self, token.text)
        elif token.text in ("begin", "end"):
            return self._environment(token.text)
        return act is not None

    def _expanded(self, token: Token) -> bool:
        """Whether a command was one of the program's, and done."""
        name = token.text
        if name in self.macros:
            self._call(self.macros[name])
            return True
        if (act := self.acts.get(name)) is not None:
            act(self, name)
            return True
        if name in self.flags:
            self.branch(self.flags[name], name)
            return True
        if name in ("begin", "end"):
            return self._environment(name)
        if name.endswith("*") and name[:-1] in self.macros and name not in self.kept:
            self.push([Token("cmd", name[:-1]), Token("text", "*")])
            return True
        return False

    def include(self, lexer: Lexer) -> None:
        """Read a file next.

        Raises:
            TooMuch: too many are open.
        """
        if sum(isinstance(source, Lexer) for source in self.stack) >= DEPTH:
            raise TooMuch(f"its files include each other {DEPTH} deep; does one of them include itself?")
        lexer.verbatim = self.verbatim
        self.stack.append(lexer)

    def step(self, counter: str) -> None:
        """Let a counter go up by one."""
        counter = self.same.get(counter, counter)
        self.counters[counter] += 1
        for other in self.within.get(counter, ()):
            self.counters[other] = 0

    def count(self) -> None:
        """Count an expansion.

        Raises:
            TooMuch: there were too many.
        """
        self.expansions += 1
        if self.expansions > EXPANSIONS:
            raise TooMuch(f"it expands more than {EXPANSIONS:,} macros; does one of them call itself?")

    def _call(self, macro: Macro) -> None:
        self.count()
        self.push(self.filled(macro.body, self._arguments(macro)))

    def _arguments(self, macro: Macro) -> list[Sequence[Token]]:
        if macro.delimited:
            return self._delimited(macro.parameters)
        arguments: list[Sequence[Token]] = []
        for number, form in enumerate(macro.parameters):
            if form == "m":
                arguments.append(self.argument())
            elif form == "s":
                arguments.append(tokens_of(r"\BooleanTrue" if self.star() else r"\BooleanFalse"))
            else:
                given = self.option()
                arguments.append(macro.defaults.get(number, ()) if given is None else given)
        return arguments

    def _delimited(self, parameters: Sequence[str | Sequence[Token]]) -> list[Sequence[Token]]:
        """The arguments of a macro that \\def made: each ends where the tokens come that its parameters name."""
        arguments: list[Sequence[Token]] = []
        for number, form in enumerate(parameters):
            following = parameters[number + 1] if number + 1 < len(parameters) else "m"
            if not isinstance(form, str):
                if number == 0:
                    self._until(form)
                continue
            arguments.append(self.argument() if isinstance(following, str) else self._until(following))
        return arguments

    def _until(self, wanted: Sequence[Token]) -> list[Token]:
        tokens: list[Token] = []
        depth = 0
        while (token := self.raw()) is not None:
            if token.kind in ("end", "par"):
                self.push([token])
                break
            if token.kind == "text" and len(token.text) > 1:
                self.push([Token("text", sign) for sign in token.text[1:]])
                token = Token("text", token.text[0])
            depth += (token.kind == "{") - (token.kind == "}")
            tokens.append(token)
            if depth <= 0 and len(tokens) >= len(wanted) and _same(tokens[-len(wanted) :], wanted):
                del tokens[-len(wanted) :]
                break
        if len(tokens) > 1 and tokens[0].kind == "{" and tokens[-1].kind == "}":
            tokens = tokens[1:-1]
        return tokens

    def filled(self, body: Sequence[Token], arguments: Sequence[Sequence[Token]]) -> list[Token]:
        """A macro's body with its arguments in their places."""
        made: list[Token] = []
        for token in body:
            if token.kind != "arg":
                made.append(token)
            elif token.text.isdigit():
                number = int(token.text)
                made += arguments[number - 1] if 0 < number <= len(arguments) else []
            else:
                made.append(Token("arg", token.text[1:]) if token.text[1:] else Token("text", "#"))
        return made

    def define(self, name: str, macro: Macro, everywhere: bool = False) -> None:
        """Give a command a meaning until the group ends."""
        if name in self.kept or name in self.acts:
            return
        self.meanings.pop(name, None)
        if self.undo and not everywhere:
            self.undo[-1].setdefault(name, self.macros.get(name))
        self.macros[name] = macro

    # environments

    def _environment(self, way: str) -> bool:
        name = self.word()
        if name in self.dropped and way == "begin":
            self.drop(name)
            return True
        known = self.environments.get(name)
        if known is None:
            self.push([OPEN, Token("text", name), CLOSE])
            return False
        self.count()
        if way == "begin":
            self.undo.append({})
            arguments = self._arguments(known[0])
            self.push(self.filled(known[0].body, arguments))
        else:
            if self.undo:
                self._restore()
            self.push(self.filled(known[1], ()))
        return True

    def drop(self, name: str) -> None:
        """Read past the end of an environment."""
        while (token := self.raw()) is not None:
            if token == Token("cmd", "end"):
                if self.word() == name:
                    return
            elif token.kind == "end":
                self.push([token])
                return

    # conditionals

    def branch(self, holds: bool, name: str) -> None:
        """Begin a conditional: what does not hold is skipped."""
        self.open_ifs.append(name)
        holds, self.unless = holds != self.unless, False
        if not holds:
            self.skip(stop_at_else=True)

    def skip(self, stop_at_else: bool) -> None:
        """Read past a branch that does not hold."""
        depth = 0
        while (token := self.raw()) is not None:
            if token.kind == "end":
                self.push([token])
                return
            if token.kind != "cmd":
                continue
            if token.text in IFS - {"unless"} or token.text in self.flags:
                depth += 1
            elif token.text == "fi":
                if not depth:
                    if self.open_ifs:
                        self.open_ifs.pop()
                    return
                depth -= 1
            elif token.text == "else" and not depth and stop_at_else:
                return


def _same(tokens: Sequence[Token], wanted: Sequence[Token]) -> bool:
    return all(token[:2] == other[:2] or token.kind == other.kind == "space" for token, other in zip(tokens, wanted))
