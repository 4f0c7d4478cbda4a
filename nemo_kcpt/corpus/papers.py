"""From a reader's record to a paper: fields are chosen, text is cleaned and measured, what is wrong is named.

Every document that was found gets a row (`Row`), whether it becomes a paper or not; the rows of all processes are
compared afterwards (merge.py). Nothing is decided here that depends on another document.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from nemo_kcpt.cleaning import STEPS, clean, looks_garbled, unusable
from nemo_kcpt.cleaning.generic_titles import says_nothing
from nemo_kcpt.cleaning.structure import find_sections, find_title
from nemo_kcpt.corpus.names import name_form, title_form
from nemo_kcpt.corpus.similarity import bands, signature
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_text
from nemo_kcpt.readers import Flaw, Found, Unreadable
from nemo_kcpt.text.language import language_of
from nemo_kcpt.text.raised import nfkc

FIELDS = "fields left out"
"""Kind of a flaw."""
TITLES = "titles with characters that cannot be read"
"""Another."""
GENERIC = "generic:"
"""Begins the key of a title that documents may share without being one paper."""
ID_FIELDS = ("paper_id", "id", "doc_id")
IDENTIFIER_LINE = re.compile(
    r"^\W*(?:doi[:\s]\s*|https?://(?:dx\.)?doi\.org/)(10\.\d{4,9}/[^\s、。,;]+)|^\W*(arXiv:\d{4}\.\d{4,5})", re.I | re.M
)
HEAD = 3000
"""Characters at the beginning of a text in which its own DOI may be."""


class Unusable(Exception):
    """A document cannot become a paper; `kind` groups such documents in the message."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What shapes a paper besides its record."""

    text_field: str = "text"
    id_field: str = ""
    title_field: str = ""
    license_field: str = "license"
    license: str = ""
    steps: tuple[str, ...] = tuple(STEPS)
    languages: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    min_characters: int = 1
    max_characters: int = 0
    stratify_field: str = ""
    same_paper_fields: tuple[str, ...] = ()
    tokenizer: str = ""
    compare: bool = True
    """Compute what near duplicates are found by."""


@dataclass(kw_only=True)
class Row:
    """What is known of one document; a row of documents.parquet without its text."""

    where: str
    source: str
    format: str = ""
    """The reader's name."""
    paper_id: str = ""
    title: str = ""
    language: str = ""
    license: str = ""
    raw_characters: int = 0
    characters: int = 0
    tokens: int = 0
    sections: int = 0
    references: int = 0
    questions: int = 0
    flaws: int = 0
    """What is wrong in the document without keeping it from being a paper."""
    changes: dict[str, int] = field(default_factory=dict)
    """Cleaning step -> number of changes."""
    stratum: str = ""
    kind: str = ""
    """Kind of problem; empty for a good document."""
    problem: str = ""
    filtered: str = ""
    """Why a filter left the document out; empty if none did."""
    text_hash: bytes = b""
    title_key: int = 0
    """0 for a title that says nothing ("Overview"), and for none."""
    same: list[str] = field(default_factory=list)
    """Keys that a document shares only with itself in another language or edition."""
    cited: list[list[int]] = field(default_factory=list)
    """Title keys that occur in one entry of the reference list; only of entries in two scripts."""
    bands: list[int] = field(default_factory=list)
    signature: bytes = b""


def check_fields(first: Sequence[Found], settings: Settings) -> None:
    """Refuse a corpus none of whose first documents has a field that was named.

    Raises:
        BadInput: a field is missing; the message names those that are there in the first.
    """
    for key in ("text_field", "id_field", "title_field"):
        name = getattr(settings, key)
        if name and first and not any(name in document.record for document in first):
            there = ", ".join(str(field) for field in first[0].record) or "none"
            raise BadInput(f"{first[0].where}: no field '{name}'; fields there: {there}. Name the right one by {key}=")


def readable(document: Found, settings: Settings) -> Found:
    """A document without the fields that cannot be read, each a flaw; a problem if it needs one of them.

    A title with U+FFFD, which stands for bytes that nobody could read, is kept and a flaw.
    """
    title = document.record.get(settings.title_field or "title")
    if isinstance(title, str) and "\ufffd" in title:
        detail = f"the title is {title[:80]!r}: its encoding is not known; correct it, or take another by title_field="
        document = document._replace(flaws=[*document.flaws, Flaw(TITLES, document.where, detail)])
    bad = {str(name): value.reason for name, value in document.record.items() if isinstance(value, Unreadable)}
    if not bad:
        return document
    needed = [settings.text_field, settings.title_field, settings.stratify_field]
    needed += [settings.id_field] if settings.id_field else ID_FIELDS
    if why := [reason for name, reason in bad.items() if name in needed]:
        return document._replace(record={}, problem=why[0], flaws=())
    kept = {name: value for name, value in document.record.items() if str(name) not in bad}
    return document._replace(
        record=kept, flaws=[*document.flaws, *(Flaw(FIELDS, document.where, why) for why in bad.values())]
    )


def prepare(document: Found, settings: Settings) -> tuple[Row, dict[str, Any] | None]:
    """The row of a document, and its record of papers.jsonl if it can be one."""
    row = Row(where=document.where, source=repaired(document.source))
    try:
        if document.problem:
            raise Unusable("unreadable", document.problem)
        paper = _paper(document, settings, row)
    except Unusable as error:
        row.kind, row.problem = error.kind, str(error)
        return row, None
    row.filtered = _filtered(row, settings)
    if row.filtered:
        return row, None
    row.text_hash = bytes.fromhex(sha256_text(paper["text"]))
    if settings.compare:
        values = signature(paper["text"])
        row.signature, row.bands = values.tobytes(), bands(values)
    return row, paper


def _paper(document: Found, settings: Settings, row: Row) -> dict[str, Any]:
    record = document.record
    raw = _text(record, settings)
    row.raw_characters = len(raw)
    cleaned = clean(raw, settings.steps)
    text = cleaned.text
    row.changes = dict(Counter(document.changes) + Counter(cleaned.changes))  # without what is 0
    if left := unusable(text):
        raise Unusable(
            "with NUL or lone surrogates", f"{left} characters; let the cleaning step control_characters repair them"
        )
    row.paper_id = _paper_id(record, settings, text)
    if not text.strip():
        raise Unusable("without text", "nothing is left after cleaning" if raw.strip() else "the text is empty")
    if why := looks_garbled(text):
        raise Unusable("with garbled text", why)
    if settings.title_field and settings.title_field not in record:
        raise _no_field(record, settings.title_field, "title_field")
    title = record.get(settings.title_field or "title")
    sections = find_sections(text)
    row.title = title_form(repaired(str(title)) if title else find_title(text), settings.steps)
    row.characters = len(text)
    row.language = language_of(text)
    row.license = repaired(str(record.get(settings.license_field) or settings.license))
    row.sections, row.references, row.questions = len(sections), len(cleaned.references), len(document.questions)
    row.flaws = len(document.flaws)
    row.tokens = len(_tokenizer(settings.tokenizer).encode(text).ids) if settings.tokenizer else 0
    known = {settings.text_field, settings.id_field or "paper_id", settings.title_field or "title"}
    known |= {settings.license_field, "source", "meta"}
    meta = record.get("meta")
    rest = {str(key): value for key, value in record.items() if key not in known and not isinstance(value, bytes)}
    if isinstance(meta, Mapping):
        rest = {**meta, **rest}
    elif meta is not None:
        rest["meta"] = meta
    rest = _json_value(rest)
    if settings.stratify_field:
        if settings.stratify_field not in {**rest, **record}:
            raise _no_field({**rest, **record}, settings.stratify_field, "stratify_field")
        row.stratum = name_form(str({**record, **rest}[settings.stratify_field]), settings.steps)
    row.title_key = 0 if says_nothing(row.title, sections) else title_key(row.title)
    row.same = list(_same(row, rest, text, settings))
    row.cited = [keys for entry in cleaned.references if len(keys := _cited(entry)) > 1]
    return {
        "paper_id": row.paper_id,
        "title": row.title,
        "text": text,
        "source": repaired(str(record.get("source") or document.source)),
        "license": row.license,
        "meta": rest,
        "language": row.language,
        "sections": sections,
        "references": list(cleaned.references),
    }


def _text(record: Mapping[str, Any], settings: Settings) -> str:
    if settings.text_field not in record:
        raise _no_field(record, settings.text_field, "text_field")
    value = record[settings.text_field]
    if value is not None and not isinstance(value, str):
        raise Unusable(
            "with a wrong field", f"field {settings.text_field} holds a {type(value).__name__}; a text was expected"
        )
    return value or ""


def _paper_id(record: Mapping[str, Any], settings: Settings, text: str) -> str:
    if settings.id_field and settings.id_field not in record:
        raise _no_field(record, settings.id_field, "id_field")
    name = settings.id_field or next((name for name in ID_FIELDS if record.get(name) not in (None, "")), "")
    if not name:
        return f"text-{sha256_text(text)[:16]}"
    value = record[name]
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise Unusable("with a wrong field", f"field {name} holds {value!r}; an id (text or whole number) was expected")
    if unusable(str(value)):
        raise Unusable("with a wrong field", f"the id {value!r} holds NUL or lone surrogates, which UTF-8 cannot hold")
    return name_form(str(value), settings.steps)


def _no_field(record: Mapping[str, Any], name: str, key: str) -> Unusable:
    there = ", ".join(str(field) for field in record) or "none"
    return Unusable("with a missing field", f"no field '{name}' ({key}=); fields there: {there}")


def _filtered(row: Row, settings: Settings) -> str:
    if settings.languages and row.language not in settings.languages:
        return f"language {row.language or 'unknown'}"
    if row.characters < settings.min_characters:
        return f"shorter than {settings.min_characters} characters"
    if settings.max_characters and row.characters > settings.max_characters:
        return f"longer than {settings.max_characters} characters"
    if settings.licenses and not any(_key(row.license) == _key(name) for name in settings.licenses):
        return f"licence {row.license or 'unknown'}"
    return ""


def _key(text: str) -> str:
    """Letters and digits of `text`, in one case and width."""
    return "".join(filter(str.isalnum, nfkc(text).casefold()))


def title_key(title: str) -> int:
    """A number for a title, the same for other case, width and punctuation; 0 for one without letters."""
    key = _key(title)
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") >> 1 if key else 0


def _same(row: Row, meta: Mapping[str, Any], text: str, settings: Settings) -> Iterator[str]:
    yield f"paper:{name_form(row.paper_id)}"
    if row.title_key:
        yield f"title:{row.title_key}"
    elif generic := title_key(row.title):
        yield f"{GENERIC}{generic}"
    for match in IDENTIFIER_LINE.finditer(text[:HEAD]):
        yield f"id:{(match[1] or match[2]).rstrip('.').casefold()}"
    for name in settings.same_paper_fields:
        values = meta.get(name)
        for value in values if isinstance(values, list) else [values]:
            if value not in (None, "", False):
                value = re.sub(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "", str(value).strip(), flags=re.I)
                value = name_form(value)
                yield f"paper:{value}"
                yield f"id:{value.casefold()}"


_SEGMENT = re.compile(r"[.,:;()\[\]“”\"「」『』（）。，、．：]+")
_LATIN = re.compile(r"[A-Za-z]{2,}")
_CJK = re.compile(r"[぀-ヿ㐀-鿿가-힣]")
LONGEST_TITLE = 3
"""A title may hold commas or colons: up to this many neighbouring segments of an entry are tried as one."""


def _cited(entry: str) -> list[int]:
    """Title keys of what may be titles in an entry that names a work in two scripts."""
    if len(_LATIN.findall(entry)) < 3 or len(_CJK.findall(entry)) < 5:
        return []
    parts = [key for segment in _SEGMENT.split(entry) if (key := _key(segment))]
    spans = {
        "".join(parts[start : start + length])
        for length in range(1, LONGEST_TITLE + 1)
        for start in range(len(parts) - length + 1)
    }
    return sorted(title_key(span) for span in spans if len(span) >= 6)


def repaired(text: str) -> str:
    """`text` without NULs and with U+FFFD for a lone surrogate; extra fields are not worth refusing a document for."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\x00", ""))


def _json_value(value: Any) -> Any:
    """A field's value as JSON can hold it: dates as text, bytes left out, every text writable."""
    text = json.dumps(value, default=lambda other: None if isinstance(other, bytes) else str(other))
    return _all_repaired(json.loads(text))


def _all_repaired(value: Any) -> Any:
    if isinstance(value, str):
        return repaired(value)
    if isinstance(value, list):
        return [_all_repaired(item) for item in value]
    if isinstance(value, dict):
        return {repaired(key): _all_repaired(item) for key, item in value.items()}
    return value


@lru_cache(maxsize=1)
def _tokenizer(folder: str) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(f"{folder}/tokenizer.json")
