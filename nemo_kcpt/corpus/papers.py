"""From a reader's records to papers: fields are chosen, text is cleaned, and what is wrong is counted over all of them.

One bad record must not hide the next hundred, so problems are collected while the papers stream past and are refused
together at the end. Only ids and text hashes are kept in memory (about 200 bytes a paper).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemo_kcpt.corpus.clean import clean, count_unusable, repair
from nemo_kcpt.corpus.readers import Found, json_value
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_text

ID_FIELDS = ("paper_id", "id", "doc_id")
SHOWN = 5
"""How many offenders a message names."""


@dataclass(frozen=True, kw_only=True)
class Fields:
    """Which fields of a record are what; an empty name means: look for the usual ones."""

    text: str = "text"
    paper_id: str = ""
    title: str = ""


@dataclass(kw_only=True)
class Checks:
    """What to do about bad records, and what was found."""

    license: str = ""
    nfc: bool = False
    drop_duplicates: bool = False
    drop_empty: bool = False
    repair: bool = False
    read: int = 0
    kept: int = 0
    characters: int = 0
    empty_count: int = 0
    unusable_count: int = 0
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    """(id left out, id of the same text that was kept)."""
    _empty: list[str] = field(default_factory=list)
    _unusable: list[str] = field(default_factory=list)
    _same_id: list[str] = field(default_factory=list)
    _same_id_count: int = 0
    _number_of: dict[str, int] = field(default_factory=dict)
    _id_of_text: dict[bytes, str] = field(default_factory=dict)

    def duplicate_records(self) -> Iterator[dict[str, str]]:
        """The dropped duplicates as records."""
        for dropped, kept in self.duplicates:
            yield {"paper_id": dropped, "same_text_as": kept}

    def raise_if_refused(self, name: str) -> None:
        """Refuse the corpus if something in it must be refused.

        Raises:
            BadInput: every kind of problem with its count, its first offenders and the way out.
        """
        problems = []
        if self.empty_count and not self.drop_empty:
            way = "give them text, or leave them out with empty=drop"
            problems.append(_problem(self.empty_count, "without text", self._empty, way))
        if self.unusable_count and not self.repair:
            way = "repair them with bad_characters=repair"
            problems.append(_problem(self.unusable_count, "with NUL or lone surrogates", self._unusable, way))
        if self._same_id_count:
            way = "ids must be unique; choose another field by id_field="
            problems.append(_problem(self._same_id_count, "with an id that was there before", self._same_id, way))
        if self.duplicates and not self.drop_duplicates:
            pairs = [f"'{left}' has the text of '{kept}'" for left, kept in self.duplicates[:SHOWN]]
            way = "keep the first of each with duplicates=drop"
            problems.append(_problem(len(self.duplicates), "with the same text as another", pairs, way))
        if problems:
            raise BadInput(f"{name}: of {self.read} documents, " + "; ".join(problems))
        if not self.kept:
            raise BadInput(f"{name}: the corpus is empty: {self.read} documents read, none with text")


def _problem(count: int, what: str, first: list[str], way_out: str) -> str:
    more = " …" if count > len(first) else ""
    return f"{count} {what} ({'; '.join(first)}{more}): {way_out}"


def papers(found: Iterable[Found], fields: Fields, checks: Checks) -> Iterator[dict[str, Any]]:
    """Yield the papers worth keeping as records of papers.jsonl; `checks` counts the rest.

    Raises:
        BadInput: a field that was named is not there (the message names those that are), or holds no text.
    """
    seen_text_field = False
    for one in found:
        checks.read += 1
        if fields.text in one.record:
            seen_text_field = True
        elif not seen_text_field:
            raise _no_field(one, fields.text, "text_field")
        text = _text(one, fields, checks)
        if text is None:
            continue
        paper_id = _paper_id(one, fields, text)
        if _seen_before(one, paper_id, text, checks):
            continue
        checks.kept += 1
        checks.characters += len(text)
        yield _paper(one, fields, checks, paper_id, text)


def _text(one: Found, fields: Fields, checks: Checks) -> str | None:
    """The cleaned text, or None if there is none or it cannot be used."""
    value = one.record.get(fields.text)
    if value is not None and not isinstance(value, str):
        raise BadInput(f"{one.where}: field {fields.text} holds a {type(value).__name__}; a text was expected")
    text = value or ""
    if unusable := count_unusable(text):
        checks.unusable_count += 1
        if len(checks._unusable) < SHOWN:
            checks._unusable.append(f"{one.where}: {unusable} characters")
        text = repair(text)
    text = clean(text, checks.nfc)
    if not text.strip():
        checks.empty_count += 1
        if len(checks._empty) < SHOWN:
            checks._empty.append(one.where)
        return None
    return text


def _paper_id(one: Found, fields: Fields, text: str) -> str:
    record = one.record
    if fields.paper_id and fields.paper_id not in record:
        raise _no_field(one, fields.paper_id, "id_field")
    name = fields.paper_id or next((name for name in ID_FIELDS if record.get(name) not in (None, "")), "")
    if not name:
        return f"text-{sha256_text(text)[:16]}"
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise BadInput(f"{one.where}: field {name} holds {value!r}; an id (text or whole number) was expected")
    if count_unusable(str(value)):
        raise BadInput(f"{one.where}: the id {value!r} holds NUL or lone surrogates, which cannot be written as UTF-8")
    return str(value).strip()


def _seen_before(one: Found, paper_id: str, text: str, checks: Checks) -> bool:
    digest = bytes.fromhex(sha256_text(text))
    if (first := checks._id_of_text.get(digest)) is not None:
        checks.duplicates.append((paper_id, first))
        return True
    if paper_id in checks._number_of:
        checks._same_id_count += 1
        if len(checks._same_id) < SHOWN:
            checks._same_id.append(f"{one.where}: '{paper_id}', as document {checks._number_of[paper_id]}")
        return True
    checks._id_of_text[digest] = paper_id
    checks._number_of[paper_id] = checks.read
    return False


def _paper(one: Found, fields: Fields, checks: Checks, paper_id: str, text: str) -> dict[str, Any]:
    record = one.record
    if fields.title and fields.title not in record:
        raise _no_field(one, fields.title, "title_field")
    title = record.get(fields.title or "title")
    known = {fields.text, fields.paper_id or "paper_id", fields.title or "title", "source", "license", "meta"}
    meta = record.get("meta")
    rest = {str(key): value for key, value in record.items() if key not in known and not isinstance(value, bytes)}
    if isinstance(meta, Mapping):
        rest = {**meta, **rest}
    return {
        "paper_id": paper_id,
        "title": repair(clean(str(title), checks.nfc)) if title else "",
        "text": text,
        "source": repair(str(record.get("source") or one.source)),
        "license": repair(str(record.get("license") or checks.license)),
        "meta": _repaired(json_value(rest)),
    }


def _repaired(value: Any) -> Any:
    """`value` with NULs and lone surrogates taken out of every text in it; extra fields are not worth refusing for."""
    if isinstance(value, str):
        return repair(value)
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {repair(key): _repaired(item) for key, item in value.items()}
    return value


def _no_field(one: Found, name: str, key: str) -> BadInput:
    there = ", ".join(str(field) for field in one.record) or "none"
    return BadInput(f"{one.where}: no field '{name}'; fields there: {there}. Name the right one by {key}=")
