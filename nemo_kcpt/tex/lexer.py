"""TeX's text as tokens: comments dropped, and what is to be taken as it is written (verbatim, addresses) in one
piece."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

VERBATIM = [
    "verbatim",
    "verbatim*",
    "Verbatim",
    "Verbatim*",
    "lstlisting",
    "minted",
    "alltt",
    "filecontents",
    "filecontents*",
    "comment",
]
"""Environments whose content is no TeX; `comment` and `filecontents` are no text either."""
_DROPPED = frozenset({"comment", "filecontents", "filecontents*"})
_ADDRESSES = frozenset({"url", "path", "nolinkurl", "href"})
"""Commands whose first argument may hold % and #."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f]")
"""Characters that are no text, and that the writer uses for marks of its own."""
_RUN = re.compile(r"[^\\{}$&#^_~% \t\n]+")
_SPACE = re.compile(r"[ \t\r\n]+")
_COMMENT = re.compile(r"%[^\n]*(?:\n[ \t]*|$)")
_NAME = re.compile(r"\\([A-Za-z]+\*?|[^A-Za-z]|$)", re.S)
_NAME_AT = re.compile(r"\\([A-Za-z@]+\*?|[^A-Za-z@]|$)", re.S)
_BEGIN = re.compile(r"[ \t]*\{([A-Za-z]+\*?)\}")
_BLANK = re.compile(r"\n[ \t]*\n")
_OPTION = re.compile(r"[ \t]*(\[[^\]]*\])?")


class Token(NamedTuple):
    """A piece of TeX.

    `kind` is cmd (a command, `text` its name), text (a run of characters), space (`text` as written), par (a blank
    line), one of the signs {, }, $, &, ^, _, ~, arg (`text` the number of a macro's argument), code (verbatim, `more`
    its options), raw (text that is final), or end (a mark of the program's own).
    """

    kind: str
    text: str = ""
    more: str = ""


OPEN, CLOSE = Token("{", "{"), Token("}", "}")
SPACE = Token("space", " ")
_SIGNS = {sign: Token(sign, sign) for sign in "{}$&^_"} | {"~": Token("~", "~")}


class Lexer:
    """The tokens of a piece of TeX, one at a time, since a macro may change how what follows is read.

    Args:
        text: the source.
        where: the file, for messages.
    """

    def __init__(self, text: str, where: str = "", at_is_letter: bool = False) -> None:
        self.text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        self.where = where
        self.position = 0
        self.at_is_letter = at_is_letter
        self.verbatim = set(VERBATIM)
        """Environments that are read as they are; a document may name more."""

    def next(self) -> Token | None:
        """The next token, or None at the end."""
        text = self.text
        while self.position < len(text):
            sign = text[self.position]
            if sign == "%":
                self._skip_comment()
                continue
            if sign in " \t\n":
                return self._space()
            if sign == "\\":
                return self._command()
            if sign == "#":
                return self._parameter()
            if sign in _SIGNS:
                self.position += 1
                return _SIGNS[sign]
            match = _RUN.match(text, self.position)
            assert match is not None
            self.position = match.end()
            return Token("text", match[0])
        return None

    def _skip_comment(self) -> None:
        match = _COMMENT.match(self.text, self.position)
        assert match is not None
        self.position = match.end()
        if self.text[self.position : self.position + 1] == "\n":  # a blank line after the comment
            self.position -= 1

    def _space(self) -> Token:
        match = _SPACE.match(self.text, self.position)
        assert match is not None
        self.position = match.end()
        if match[0].count("\n") > 1:
            return Token("par", "\n\n")
        return Token("space", "\n" if "\n" in match[0] else " ")

    def _parameter(self) -> Token:
        following = self.text[self.position + 1 : self.position + 2]
        if following.isdigit():
            self.position += 2
            return Token("arg", following)
        if following == "#":
            self.position += 2
            return Token("arg", f"#{self._digit()}")
        self.position += 1
        return Token("text", "#")

    def _digit(self) -> str:
        following = self.text[self.position : self.position + 1]
        if following.isdigit():
            self.position += 1
            return following
        return ""

    def _command(self) -> Token:
        match = (_NAME_AT if self.at_is_letter else _NAME).match(self.text, self.position)
        assert match is not None
        name = match[1]
        self.position = match.end()
        if name == "verb" or name == "verb*" or name == "lstinline":
            return self._inline_code(name)
        if name == "begin" and (taken := self._environment()) is not None:
            return taken
        if name in ("makeatletter", "makeatother"):
            self.at_is_letter = name == "makeatletter"
        if name and (name[0].isalpha() or name[0] == "@"):
            if not name.endswith("*"):
                self._skip_space()
        elif name in (" ", "\n", "\t", ""):
            return Token("cmd", " ")
        if name in _ADDRESSES and self.text[self.position : self.position + 1] == "{":
            return Token("cmd", name, self._address())
        return Token("cmd", name)

    def _skip_space(self) -> None:
        """White space after a command's name, but not a blank line."""
        match = _SPACE.match(self.text, self.position)
        if match is None:
            return
        blank = _BLANK.search(match[0])
        self.position = match.start() + blank.start() if blank else match.end()

    def _inline_code(self, name: str) -> Token:
        if name == "lstinline":
            match = _OPTION.match(self.text, self.position)
            self.position = match.end() if match else self.position
        sign = self.text[self.position : self.position + 1]
        end = self.text.find("}" if sign == "{" else sign, self.position + 1) if sign else -1
        line = self.text.find("\n", self.position)
        if end < 0 or 0 <= line < end:
            return Token("text", "")
        code = self.text[self.position + 1 : end]
        self.position = end + 1
        return Token("code", code, "inline")

    def _environment(self) -> Token | None:
        """A verbatim environment as one token; None if another one begins."""
        match = _BEGIN.match(self.text, self.position)
        if match is None or match[1] not in self.verbatim:
            return None
        name = match[1]
        end = re.compile(r"\\end[ \t]*\{" + re.escape(name) + r"\}").search(self.text, match.end())
        stop = end.start() if end else len(self.text)
        content = self.text[match.end() : stop]
        self.position = end.end() if end else stop
        if name in _DROPPED:
            return Token("space", " ")
        options = ""
        if content.startswith("["):
            options, _, content = content[1:].partition("]")
        if name == "minted":
            content = re.sub(r"^\s*\{[^}]*\}", "", content)
        return Token("code", content.lstrip(" \t").removeprefix("\n").rstrip(), options or "block")

    def _address(self) -> str:
        """The braces after \\url and the like, as they are written."""
        depth, start = 0, self.position
        while self.position < len(self.text):
            sign = self.text[self.position]
            depth += (sign == "{") - (sign == "}")
            self.position += 2 if sign == "\\" else 1
            if not depth:
                return self.text[start + 1 : self.position - 1]
        return self.text[start + 1 :]


def tokens_of(text: str) -> list[Token]:
    """All tokens of a short piece of TeX."""
    lexer = Lexer(text)
    return list(iter(lexer.next, None))


def written(tokens: Iterable[Token]) -> str:
    """Tokens as TeX again, white space closed up."""
    return "".join(_pieces(tokens)).strip()


def _pieces(tokens: Iterable[Token]) -> Iterator[str]:
    word = False  # whether a command's name ends what is written so far
    last = ""
    for token in tokens:
        if token.kind in ("space", "par"):
            if last not in (" ", ""):
                yield " "
            last, word = " ", False
            continue
        if token.kind == "cmd":
            text = f"\\{token.text}" + (f"{{{token.more}}}" if token.more else "")
        elif token.kind == "arg":
            text = f"#{token.text}"
        else:
            text = token.text
        if not text:
            continue
        if word and (text[0].isalpha() or text[0] == "@"):
            yield " "
        yield text
        last = text[-1]
        word = token.kind == "cmd" and token.text[-1:].isalpha() and not token.more
