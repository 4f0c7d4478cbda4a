"""Raised and lowered text that is in a text as HTML: `10<sup>6</sup>` becomes 10⁶, `24<sup>3)</sup>` 24[^3].

Markdown has no signs of its own for it, so its authors write HTML. What is raised and what is only a note's mark is
decided in marks.py, as for every format. A tag that is never closed stays, and so does everything in code.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection

from nemo_kcpt.cleaning.changed import Changed
from nemo_kcpt.cleaning.marks import NEAR, is_marked, is_note, mark, write_lowered, write_raised
from nemo_kcpt.cleaning.regions import outside
from nemo_kcpt.text.raised import fractions

LONGEST = 300
"""Characters between the tags at most."""

_ANY = re.compile(r"<su[pb]\b|<a\b[^<>]*>", re.I)
_TAG = re.compile(r"<(?P<close>/?)(?P<name>su[pb])\b(?P<attributes>[^<>]{0,500})>", re.I)
_NOTED = re.compile(
    r"^[ \t>]*(?:<(?:p|li|div|small)\b[^<>]*>)?[ \t]*<sup\b[^<>]*>(?P<mark>[^<>]{1,6})</sup>", re.I | re.M
)
"""A note, which begins with its mark."""
_ATTRIBUTE = re.compile(r"""([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_LINK = re.compile(r"<a\b([^<>]{0,500})>", re.I)
_INNER_TAG = re.compile(r"</?[a-z][^<>]*>", re.I)
_MARKDOWN_LINK = re.compile(r"\[((?:[^\[\]\n]|\[[^\[\]\n]{0,40}\]|\\[\[\]]){1,60})\]\(([^()\s]{0,300})\)")
_EMPHASIS = re.compile(r"^([*_]{1,3})(?=[^\s*_])(.*[^\s*_])\1$")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LINKED = re.compile(
    r"<a\b(?P<link>[^<>]{0,500})>\s*<sup\b(?P<own>[^<>]{0,300})>(?P<text>[^<>]{1,60})</sup\s*>\s*</a\s*>"
    r"|\[\s*<sup\b(?P<own2>[^<>]{0,300})>(?P<text2>[^<>]{1,60})</sup\s*>\s*\]\((?P<address>#[^()\s]{0,300})\)",
    re.I,
)
_NOTE = re.compile(r"<a\b(?P<attributes>[^<>]{1,500})>(?P<text>[^<>]{1,40})</a\s*>", re.I)


def raised(text: str) -> Changed:
    """Raised and lowered text (<sup>, <sub>) as Unicode's characters, else as ^(…), _(…); notes' marks as [^3]."""
    if not _ANY.search(text):
        return Changed(text, 0)
    count = 0
    noted = frozenset(match["mark"].strip() for match in _NOTED.finditer(text))

    def change(part: str) -> str:
        nonlocal count
        if not _ANY.search(part):
            return part
        part, pairs = _written(_LINKED.sub(_with_link, part), noted)
        part, notes = _notes(part)
        count += pairs + notes
        return fractions(part) if pairs else part

    return Changed(outside(text, change), count)


def _with_link(match: re.Match[str]) -> str:
    """A raised link as a raised element that says where it leads."""
    if match["address"]:
        return f'<sup{match["own2"]} href="{match["address"]}">{match["text2"]}</sup>'
    return f"<sup{match['own']} {match['link']}>{match['text']}</sup>"


def _written(text: str, noted: Collection[str]) -> tuple[str, int]:
    """The text without pairs of tags, each the innermost first; and how many there were."""
    pieces: list[str] = []
    opened: list[tuple[str, str, int, int]] = []  # name, attributes, index in `pieces`, offset after the tag
    start = count = 0
    for match in _TAG.finditer(text):
        pieces.append(text[start : match.start()])
        start = match.end()
        name = match["name"].lower()
        if not match["close"]:
            opened.append((name, match["attributes"], len(pieces), start))
            pieces.append(match[0])
            continue
        while opened and opened[-1][0] != name:
            opened.pop()
        if not opened:
            pieces.append(match[0])
            continue
        _, attributes, index, inside = opened.pop()
        content = "".join(pieces[index + 1 :])
        if len(content) > LONGEST or "\n\n" in text[inside : match.start()]:
            pieces.append(match[0])
            continue
        before = _INNER_TAG.sub("", "".join(pieces[max(0, index - 8) : index]))[-NEAR:]
        after = _INNER_TAG.sub("", text[start : start + 2 * NEAR])
        pieces[index:] = [_replaced(name, attributes, content, before, after, noted)]
        count += 1
    return "".join([*pieces, text[start:]]), count


def _replaced(name: str, attributes: str, content: str, before: str, after: str, noted: Collection[str]) -> str:
    links = [_attributes(attributes), *(_attributes(link) for link in _LINK.findall(content))]
    content = _INNER_TAG.sub("", content)
    for match in _MARKDOWN_LINK.finditer(content):
        links.append({"href": match[2]})
    content = html.unescape(_ESCAPE.sub(r"\1", _EMPHASIS.sub(r"\2", _MARKDOWN_LINK.sub(r"\1", content).strip())))
    if name == "sub":
        return write_lowered(content)
    before = before.rsplit("\n", 1)[-1]
    return write_raised(content, before, after, any(is_marked(link, content) for link in links), noted)


def _notes(text: str) -> tuple[str, int]:
    """Links to notes whose text is only a number, which a page shows raised."""
    count = 0

    def written(match: re.Match[str]) -> str:
        nonlocal count
        if not is_note(_attributes(match["attributes"]), match["text"]):
            return match[0]
        count += 1
        return mark(match["text"])

    return _NOTE.sub(written, text), count


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): html.unescape(a or b or c) for name, a, b, c in _ATTRIBUTE.findall(text)}
