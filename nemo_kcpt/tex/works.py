"""The list of references of a TeX document: which works it has, their numbers, and how the text may name them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from nemo_kcpt.tex.lexer import Lexer, Token, written

_AUTHOR_YEAR = re.compile(
    r"(?P<short>.*?)\((?P<year>\d{4}[a-z]?|n\.d\.|in press|to appear|forthcoming)\)(?P<long>.*)", re.S
)
_ENTRY = re.compile(r"\\entry\{([^{}]*)\}\{([^{}]*)\}\{[^{}]*\}(?:\{[^{}]*\})?(.*?)\\endentry", re.S)
_FIELD = re.compile(r"\\(?:field|strng|list)\{(\w+)\}(?:\{[^{}]*\})*?\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_NAMES = re.compile(r"\\name\{author\}\{\d+\}\{[^{}]*\}\{(.*?)\n\s*\}%?\n", re.S)
_PERSON = re.compile(r"family=\{((?:[^{}]|\{[^{}]*\})*)\}.*?(?:given=\{((?:[^{}]|\{[^{}]*\})*)\}|\}\})", re.S)
_VERBATIM = re.compile(r"\\verb\{(\w+)\}\s*\\verb (.*?)\n\s*\\endverb", re.S)


@dataclass
class Work:
    """What citations need to know of a work."""

    number: int
    short: str = ""
    """Its authors as the text names them, if the list says so."""
    year: str = ""
    label: str = ""
    """A label of its own, as [ABC+20]."""


@dataclass
class Works:
    """The list of references."""

    known: dict[str, Work] = field(default_factory=dict)
    by_author: bool = False
    """Whether the text names authors and years."""
    entries: list[tuple[str, str]] = field(default_factory=list)
    """biblatex's entries: key and text (TeX)."""


def works_of(texts: Iterable[str]) -> Works:
    """The works that the sources of a document list: its own TeX, then its .bbl."""
    works = Works()
    for text in texts:
        if "\\entry{" in text:
            _read_biblatex(text, works)
        elif "\\bibitem" in text:
            _read_items(text, works)
    known = works.known.values()
    works.by_author = bool(known) and sum(bool(work.year) for work in known) * 2 > len(known)
    return works


def _read_items(text: str, works: Works) -> None:
    lexer = Lexer(text)
    tokens = list(iter(lexer.next, None))
    for index, token in enumerate(tokens):
        if token != Token("cmd", "bibitem"):
            continue
        label, key = _arguments(tokens, index + 1)
        match = _AUTHOR_YEAR.fullmatch(label.strip("{} ")) if label else None
        number = len(works.known) + 1
        if match:
            works.known.setdefault(key, Work(number, match["short"], match["year"]))
        else:
            works.known.setdefault(key, Work(number, label=label))


def _arguments(tokens: list[Token], index: int) -> tuple[str, str]:
    """The label and the key of a \\bibitem, as TeX."""
    label: list[Token] = []
    while index < len(tokens) and tokens[index].kind == "space":
        index += 1
    if index < len(tokens) and tokens[index].kind == "text" and tokens[index].text.startswith("["):
        depth = 0
        while index < len(tokens):
            token = tokens[index]
            depth += (token.kind == "{") - (token.kind == "}")
            label.append(token)
            index += 1
            if token.kind == "text" and "]" in token.text and not depth:
                break
    while index < len(tokens) and tokens[index].kind == "space":
        index += 1
    key = []
    for token in tokens[index + 1 : index + 40]:
        if token.kind == "}":
            break
        key.append(token)
    text = written(label)
    return text[1:].rpartition("]")[0] if text else "", written(key)


def _read_biblatex(text: str, works: Works) -> None:
    """biblatex's .bbl: its fields, in the order of the list."""
    for match in _ENTRY.finditer(text):
        key, content = match[1], match[3]
        if key in works.known:
            continue
        fields = dict(_FIELD.findall(content))
        fields |= {name: value.strip() for name, value in _VERBATIM.findall(content)}
        names = _NAMES.search(content + "\n")
        people = [(family, given or "") for family, given in _PERSON.findall(names[1])] if names else []
        number = len(works.known) + 1
        families = [family for family, _ in people]
        short = " and ".join(families) if len(families) < 3 else f"{families[0]} et~al."
        works.known[key] = Work(number, short, fields.get("year", ""), fields.get("labelalpha", ""))
        works.entries.append((key, _entry(people, fields)))


def _entry(people: list[tuple[str, str]], fields: dict[str, str]) -> str:
    authors = ", ".join(f"{given} {family}".strip() for family, given in people)
    title = ": ".join(filter(None, (fields.get("title"), fields.get("subtitle"))))
    source = fields.get("journaltitle") or fields.get("booktitle") or fields.get("publisher") or ""
    volume = fields.get("volume", "") + (f"({fields['number']})" if "number" in fields else "")
    pages = re.sub(r"\\bibrangedash\s*", "--", fields.get("pages", ""))
    year = f"({fields['year']})" if "year" in fields else ""
    numbers = ":".join(filter(None, (volume, pages)))
    ids = [f"{name}:{fields[name]}" for name in ("doi", "eprint") if name in fields]
    return ". ".join(filter(None, [authors, title, source, " ".join(filter(None, (numbers, year))), *ids]))
