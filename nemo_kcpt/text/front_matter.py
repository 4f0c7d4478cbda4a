"""Front matter of a Markdown or text file: YAML between `---` lines or TOML between `+++` lines, as fields.

Note-taking programs and site generators keep title, date, author and tags there. It is metadata and no text. A scalar
becomes a number or a truth value only where nothing is lost by it: YAML 1.1 would read `no` as false, `007` as 7,
`1.10` as 1.1 and `12:30` as 750. What begins like front matter and is none that can be read stays text, and is named.
"""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST = 1 << 16
"""Characters that front matter may take; what closes later is text between two rules."""
WELL_KNOWN = ("title", "date", "author", "authors", "tags", "layout", "categories", "slug", "draft", "lang")
KIND = "with front matter that cannot be read, kept as text"
"""Kind of the flaw."""

_MARKERS = {"---": ("---", "..."), "+++": ("+++",)}
_FIRST = re.compile(r"\ufeff?(?:[ \t]*\r?\n)*(---|\+\+\+)[ \t]*\r?(?:\n|$)")
_YAML_KEY = re.compile(r"""[ \t]*(?:[\w.@/-][\w .@/-]*|"[^"\n]*"|'[^'\n]*')[ \t]*(?::(?:[ \t]|\r?$)|：)""")
_TOML_KEY = re.compile(r"""[ \t]*(?:\[\[?[^\]\n]+\]|(?:[\w.-]+|"[^"\n]*"|'[^'\n]*')[ \t]*=)""")
_HEADING = re.compile(r"\n[ \t]*\r?\n(#{1,6} [^\n]+)\n[ \t]*\r?\n")
_FRACTION = re.compile(r"-?\d+\.\d+")
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NOTHING = ("", "~", "null", "Null", "NULL")


class Malformed(ValueError):
    """A block is no front matter that can be read."""


@dataclass(frozen=True)
class FrontMatter:
    """A text without its front matter (`body`) and the fields of that; with `problem`, the body is the whole text."""

    body: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    lines: int = 0
    """Lines of the whole text that the block takes, readable or not, if it is closed."""

    @property
    def title(self) -> str:
        """The field `title`, in whatever case; empty if there is none, or if it is a list or a mapping."""
        value = next((value for name, value in self.fields.items() if name.casefold() == "title"), None)
        if isinstance(value, bool) or value is None or isinstance(value, (list, dict)):
            return str(value).lower() if isinstance(value, bool) else ""
        return str(value).strip()


def split(text: str) -> FrontMatter:
    """Take the front matter off the beginning of a text, if there is any."""
    if "\n" not in text:
        text = text.replace("\r", "\n")
    first = _FIRST.match(text)
    if first is None:
        return FrontMatter(text)
    marker = first[1]
    looks = _looks_like_fields(text[first.end() :], marker)
    line = text.count("\n", 0, first.start(1)) + 1
    closing = _closing(text, first.end(), marker)
    if closing is None:
        problem = f"line {line}: {marker} opens front matter that no {marker} closes within {LARGEST >> 10} KiB"
        return FrontMatter(text, problem=problem if looks else "")
    stop, after = closing
    block = text[first.end() : stop]
    lines = text.count("\n", 0, stop) + 1
    try:
        fields = _yaml(block) if marker == "---" else _toml(block)
    except Malformed as error:
        return FrontMatter(text, problem=f"line {line}: {error}", lines=lines) if looks else FrontMatter(text)
    if marker == "---" and fields is None and looks:
        return FrontMatter(text, problem=f"line {line}: not YAML (expected lines of the form key: value)", lines=lines)
    if fields is None or (marker == "---" and fields and not looks and not _is_well_known(fields, block)):
        return FrontMatter(text)  # prose between two rules
    return FrontMatter(text[after:].lstrip("\r\n"), fields, lines=lines)


def _is_well_known(fields: Mapping[str, Any], block: str) -> bool:
    """Whether a block that begins with a blank line, as what follows a rule does, is front matter all the same."""
    return "#" not in block and any(name.casefold() in WELL_KNOWN for name in fields)


def _looks_like_fields(after: str, marker: str) -> bool:
    """Whether the line after the marker is a field's, comments aside; after a rule comes a blank line, or prose."""
    for line in after.split("\n", 20)[:20]:
        if line.lstrip().startswith("#"):
            continue
        return bool((_YAML_KEY if marker == "---" else _TOML_KEY).match(line))
    return False


def _closing(text: str, start: int, marker: str) -> tuple[int, int] | None:
    """Beginning and end of the line that closes the block."""
    at = start
    while 0 <= at < len(text) and at - start <= LARGEST:
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        if text[at:end].rstrip() in _MARKERS[marker]:
            return at, min(end + 1, len(text))
        at = end + 1
    return None


def _toml(block: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return {key: _plain(value) for key, value in tomllib.loads(block, parse_float=_number).items()}
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"not TOML ({error})") from None


def _number(text: str) -> float | str:
    """A number where writing it again gives the same text, else the text (1.10 is a version)."""
    return float(text) if _FRACTION.fullmatch(text) and repr(float(text)) == text else text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _yaml(block: str) -> dict[str, Any] | None:
    """The fields of a block of YAML; None if it is no mapping, but prose, a list or nothing but comments.

    Raises:
        Malformed: no YAML; a key twice; an alias, which could unfold without end; a tag, which names a type.
    """
    import yaml

    if not block.strip():
        return {}
    try:
        events = list(yaml.parse(block, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Malformed(f"not YAML ({_reason(error)})") from None
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise Malformed(f"an alias (*{event.anchor}) is not followed; write the value out")
        tag = getattr(event, "tag", None)
        if tag and tag not in ("!", "tag:yaml.org,2002:str"):
            raise Malformed(f"the tag {tag} is not followed; write a plain value")
    following = iter(events[2:])  # after the beginnings of stream and document
    if not isinstance(next(following, None), yaml.MappingStartEvent):
        return None
    if heading := _HEADING.search(block):
        raise Malformed(f"the heading '{heading[1].strip()}' is in it; is the --- before it missing?")
    try:
        return _mapping(following)
    except RecursionError:
        raise Malformed("mappings in mappings deeper than anybody writes") from None


def _mapping(events: Iterator[Any]) -> dict[str, Any]:
    import yaml

    mapping: dict[str, Any] = {}
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            break
        if not isinstance(event, yaml.ScalarEvent):
            raise Malformed("a list or a mapping as a key; give a name")
        if event.value in mapping:
            raise Malformed(f"the key {event.value} appears twice")
        mapping[event.value] = _value(next(events), events)
    return mapping


def _value(event: Any, events: Iterator[Any]) -> Any:
    import yaml

    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(events)
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(item := next(events), yaml.SequenceEndEvent):
            items.append(_value(item, events))
        return items
    return event.value if event.style or event.tag else _scalar(event.value)


def _scalar(text: str) -> Any:
    """A plain scalar as null, truth value or number where writing that again gives the same text; else the text."""
    if text in _NOTHING:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    return int(text) if _WHOLE.fullmatch(text) else _number(text)


def _reason(error: Exception) -> str:
    """PyYAML's reason with the line in the file, on one line."""
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
    return f"{reason}, line {mark.line + 1} of it" if mark is not None else reason
