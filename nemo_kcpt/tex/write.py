"""TeX as Markdown: the writer walks through the expanded tokens of a document and keeps what a reader of the page sees.

What commands and environments mean is in tables that the modules beside this one fill (`Table`); the writer itself
knows characters, paragraphs, formulas within a line, labels and notes. Numbers of sections, formulas, figures and
notes are counted as LaTeX counts them, since the text refers to them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemo_kcpt.cleaning.marks import NEAR
from nemo_kcpt.tex.labels import Label, Labels
from nemo_kcpt.tex.lexer import Token
from nemo_kcpt.tex.macros import Program
from nemo_kcpt.tex.symbols import ACCENTS, LIGATURES, symbol
from nemo_kcpt.tex.tokens import TooMuch
from nemo_kcpt.tex.works import Works
from nemo_kcpt.text.spaces import close_up

DEEPEST = 60
"""Environments and arguments within each other."""
PAR, LINE = "\x01", "\x02"
_DOLLAR = "\x10"
"""Stands for a dollar sign of the text until it is known whether formulas stand beside it."""
_BLOCK = re.compile("\x03(\\d+)\x03")
_PARTS = re.compile("(\x03\\d+\x03|\x01)")
_LIGATURE = re.compile("|".join(map(re.escape, LIGATURES)))


@dataclass
class State:
    """What a document has said so far."""

    fields: dict[str, str] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels)
    unknown: Counter[str] = field(default_factory=Counter)
    """Commands and environments without a meaning."""
    notes: list[str] = field(default_factory=list)
    """Footnotes that wait for the end of their paragraph."""
    theorems: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Environment -> its heading and its counter."""
    pictures: int = 0
    """Formulas and drawings that are left out."""
    japanese: bool = False
    chapters: bool = False
    float: str = ""
    """Of what the caption is that may follow: figure, table, …"""
    columns: dict[str, int] = field(default_factory=dict)
    """Types of columns that the document defines, with the number of their arguments."""
    units: str = "power"
    """How units are divided: power, symbol or fraction, as siunitx calls it."""
    own_units: dict[str, str] = field(default_factory=dict)
    resumed: dict[int, int] = field(default_factory=dict)


Handler = Callable[["Writer", str], None]


@dataclass(frozen=True)
class Table:
    """What commands, environments and dollar signs mean."""

    commands: Mapping[str, Handler]
    environments: Mapping[str, Handler]
    formula: Callable[[Writer], None]
    """What a dollar sign begins."""


class Writer:
    """Writes a program's tokens as Markdown.

    Args:
        program: the document.
        table: what its commands and environments mean.
        works: its list of references.
    """

    def __init__(self, program: Program, table: Table, works: Works) -> None:
        self.program = program
        self.table = table
        self.works = works
        self.state = State()
        self.label = Label("", "")
        """What the next \\label marks."""
        self.blocks: list[str] = []
        self.out: list[str] = []
        self.depth = 0
        self.begun = False
        """Whether \\begin{document} has been read."""
        self.lists: list[Any] = []
        """The lists that are being read, the outermost first (lists.py)."""
        self.ends = 0

    # putting out

    def put(self, text: str) -> None:
        """Append text to the line."""
        self.out.append(text)

    def paragraph(self) -> None:
        """End the paragraph; at the outermost level its footnotes follow."""
        self.out.append(PAR)
        if self.depth == 0:
            for note in self.state.notes:
                self.block(note)
            self.state.notes.clear()

    def block(self, text: str) -> None:
        """Append something that is a block of its own and final."""
        if text.strip():
            self.blocks.append(text)
            self.out.append(f"\x03{len(self.blocks) - 1}\x03")

    def before(self) -> str:
        """The end of the line so far."""
        text = ""
        for piece in reversed(self.out):
            text = piece + text
            if len(text) >= NEAR:
                break
        return re.split("[\x01-\x03\n]", text)[-1][-NEAR:]

    def after(self) -> str:
        """The beginning of the line that follows, where it is plain text."""
        token = self.program.raw()
        if token is None:
            return ""
        self.program.push([token])
        return token.text if token.kind in ("text", "space") else ""

    # reading

    def body(self, name: str) -> str:
        """What stands up to \\end{name}, unfinished (`paragraphs` and `line` finish it)."""
        return self._inner(name)

    def render(self, tokens: Iterable[Token]) -> str:
        """What tokens become, unfinished."""
        self.ends += 1
        mark = Token("end", str(self.ends))
        depth = len(self.program.undo)
        self.program.push([mark])
        self.program.push(tokens)
        text = self._inner("", mark)
        del self.program.undo[depth:]
        return text

    def _inner(self, name: str, mark: Token | None = None) -> str:
        if self.depth >= DEEPEST:
            raise TooMuch(f"environments and arguments stand more than {DEEPEST} deep in each other")
        outer, self.out = self.out, []
        self.depth += 1
        try:
            self.run(name, mark)
            return "".join(self.out)
        finally:
            self.out = outer
            self.depth -= 1

    def text(self, tokens: Iterable[Token]) -> str:
        """What tokens become, on one line."""
        return self.line(self.render(tokens))

    def run(self, name: str = "", mark: Token | None = None) -> None:
        """Write tokens up to the end of an environment, or to a mark, or to the end of the document."""
        while (token := self.program.next()) is not None:
            kind = token.kind
            if kind == "text":
                self.out.append(_LIGATURE.sub(lambda match: LIGATURES[match[0]], token.text))
            elif kind == "space":
                self.out.append(token.text)
            elif kind == "par":
                self.paragraph()
            elif kind == "cmd":
                if token.text == "end" and self._ended(name):
                    return
                if token.text != "end":
                    self.command(token)
            elif kind == "$":
                self.table.formula(self)
            elif kind == "code":
                self._code(token)
            elif kind in ("raw", "^", "_"):
                self.out.append(token.text)
            elif kind in ("~", "&"):
                self.out.append(" ")
            elif kind == "end":
                if token == mark:
                    return
                self.program.push([token])
                return

    def _ended(self, name: str) -> bool:
        ended = self.program.word()
        if ended == "document":
            self.program.stack.clear()
            return True
        return ended == name

    def command(self, token: Token) -> None:
        """Write what a command means."""
        name = token.text
        if (handler := self.table.commands.get(name)) is not None:
            if token.more:
                self.program.push([Token("{", "{"), Token("raw", token.more), Token("}", "}")])
            handler(self, name)
        elif name == "begin":
            self._begin(self.program.word())
        elif name in ("$", "textdollar"):
            self.put(_DOLLAR)
        elif name in ACCENTS:
            self._accent(ACCENTS[name])
        elif (sign := symbol(name)) is not None:
            self.put(sign)
        elif name.endswith("*") and len(name) > 1:
            self.program.push(
                [Token("cmd", name[:-1]), *([] if name[:-1] in self.table.commands else [Token("text", "*")])]
            )
        else:
            self._unknown(name)

    def _unknown(self, name: str) -> None:
        """A command without a meaning: braces after it are read, else its name stays to be seen."""
        self.state.unknown[f"\\{name}"] += 1
        following = self.program.raw()
        if following is not None:
            self.program.push([following])
        optional = following is not None and following.kind == "text" and following.text.startswith("[")
        if (following is None or following.kind != "{") and not optional:
            self.put(f"\\{name} " if name[-1:].isalpha() else f"\\{name}")

    def _begin(self, name: str) -> None:
        handler = self.table.environments.get(name)
        if handler is not None:
            handler(self, name)
            return
        if name in self.state.theorems:
            self.table.environments["theorem"](self, name)
            return
        self.state.unknown[f"\\begin{{{name}}}"] += 1
        self.program.option()
        self.transparent(name)

    def transparent(self, name: str) -> None:
        """An environment that only changes how its content looks."""
        self.paragraph()
        self.put(self.body(name))
        self.paragraph()

    def _accent(self, combining: str) -> None:
        base = self.text(self.program.argument())
        base = {"ı": "i", "ȷ": "j"}.get(base, base)
        letter, rest = (base[0], base[1:]) if base else (" ", "")
        self.put(unicodedata.normalize("NFC", letter + combining) + rest)

    def _code(self, token: Token) -> None:
        if token.more == "inline":
            self.put(f"`{token.text}`" if "`" not in token.text else token.text)
            return
        self.paragraph()
        if caption := re.search(r"caption\s*=\s*(\{[^{}]*\}|[^,\]]*)", token.more):
            self.put(caption[1].strip("{} "))
            self.paragraph()
        fence = "```"
        while fence in token.text:
            fence += "`"
        if token.text.strip():
            self.block(f"{fence}\n{token.text}\n{fence}")
        self.paragraph()

    # finishing

    def paragraphs(self, text: str) -> list[str]:
        """Finished blocks of unfinished text."""
        finished = []
        for part in _PARTS.split(text):
            if block := _BLOCK.fullmatch(part):
                finished.append(self.blocks[int(block[1])])
            elif part != PAR:
                lines = (close_up(line).strip() for line in part.split(LINE))
                if joined := "\n".join(filter(None, lines)):
                    finished.append(joined.replace(_DOLLAR, r"\$" if "$" in joined else "$"))
        return finished

    def line(self, text: str) -> str:
        """Unfinished text on one line."""
        return " ".join(" ".join(self.paragraphs(text)).split())
