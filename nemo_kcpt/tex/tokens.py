"""A stack of TeX's tokens, with arguments as commands take them: in braces, in brackets, or one token."""

from __future__ import annotations

from collections.abc import Iterable

from nemo_kcpt.tex.lexer import Lexer, Token, written

TOKENS = 12_000_000
"""Tokens that their expansions may hold together."""


class TooMuch(ValueError):
    """A document's macros expand without end, or its files include each other without end."""


class Tokens:
    """Tokens that are still to be read: files within files, and what macros put before them.

    Args:
        text: the source.
        where: its file.
    """

    def __init__(self, text: str, where: str) -> None:
        first = Lexer(text, where)
        self.stack: list[Lexer | list[Token]] = [first]
        self.verbatim = first.verbatim
        """Environments that are read as they are."""
        self.size = 0

    def push(self, tokens: Iterable[Token]) -> None:
        """Put tokens before what is still to be read."""
        listed = list(tokens)
        listed.reverse()
        self.size += len(listed)
        if self.size > TOKENS:
            raise TooMuch(f"its macros expand to more than {TOKENS:,} tokens")
        if listed:
            self.stack.append(listed)

    def raw(self) -> Token | None:
        """The next token as it is written."""
        while self.stack:
            top = self.stack[-1]
            if isinstance(top, list):
                if top:
                    return top.pop()
            elif (token := top.next()) is not None:
                return token
            self.stack.pop()
        return None

    def skip_space(self) -> None:
        """Read past white space and comments."""
        while (token := self.raw()) is not None:
            if token.kind != "space":
                self.push([token])
                return

    def argument(self) -> list[Token]:
        """An argument: what braces hold, or one token."""
        self.skip_space()
        token = self.raw()
        if token is None or token.kind in ("par", "end"):
            if token is not None:
                self.push([token])
            return []
        if token.kind == "{":
            return self._balanced()
        if token.kind == "}":
            self.push([token])
            return []
        if token.kind == "text" and len(token.text) > 1:
            self.push([Token("text", token.text[1:])])
            return [Token("text", token.text[0])]
        return [token]

    def _balanced(self) -> list[Token]:
        depth, tokens = 1, []
        while (token := self.raw()) is not None:
            if token.kind == "end":
                self.push([token])
                break
            depth += (token.kind == "{") - (token.kind == "}")
            if not depth:
                break
            tokens.append(token)
        return tokens

    def option(self, left: str = "[", right: str = "]") -> list[Token] | None:
        """An argument in brackets, or None."""
        spaces = []
        while (token := self.raw()) is not None and token.kind == "space":
            spaces.append(token)
        if token is None or token.kind != "text" or not token.text.startswith(left):
            self.push([*spaces, *([token] if token is not None else [])])
            return None
        if len(token.text) > 1:
            self.push([Token("text", token.text[1:])])
        tokens: list[Token] = []
        braces = brackets = 0
        while (token := self.raw()) is not None:
            if token.kind == "end" or (token.kind == "}" and not braces):
                self.push([token])
                break
            braces += (token.kind == "{") - (token.kind == "}")
            if token.kind == "text" and not braces:
                for index, sign in enumerate(token.text):
                    brackets += (sign == left) - (sign == right)
                    if brackets < 0:
                        tokens.append(Token("text", token.text[:index]))
                        if rest := token.text[index + 1 :]:
                            self.push([Token("text", rest)])
                        return [part for part in tokens if part.text]
            tokens.append(token)
        return tokens

    def word(self) -> str:
        """An argument as text: the name of a file, an environment, a counter."""
        return written(self.argument()).strip()

    def star(self) -> bool:
        """Read past a star."""
        token = self.raw()
        if token is not None and token.kind == "text" and token.text.startswith("*"):
            if token.text[1:]:
                self.push([Token("text", token.text[1:])])
            return True
        if token is not None:
            self.push([token])
        return False
