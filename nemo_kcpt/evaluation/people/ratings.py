"""Several raters' files, read together: every inconsistency is found and named, none is guessed away."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput, quoted
from nemo_kcpt.evaluation.people.items import clean
from nemo_kcpt.evaluation.people.workbook import read_workbook
from nemo_kcpt.files import read_json

FIELDS = ("sheet", "rater", "item", "answer_sha256", "rating")
SUFFIXES = (".jsonl", ".xlsx")
NAMED = 12
"""Items that a message about missing ones lists."""


@dataclass(frozen=True)
class Rating:
    """What one rater says of one item; `rating` is None where it was skipped."""

    rater: str
    item: str
    rating: int | None
    note: str
    seconds: float | None
    path: Path
    location: str

    @property
    def where(self) -> str:
        """File and line or cell."""
        return f"{self.path}, {self.location}"


@dataclass(frozen=True)
class Finding:
    """An inconsistency: `unusable` if ratings cannot count because of it."""

    where: str
    what: str
    unusable: bool

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass
class Collected:
    """Ratings that can count, by (rater, item), and all that was found."""

    ratings: dict[tuple[str, str], Rating] = field(default_factory=dict)
    raters: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_key(path: Path) -> dict[str, Any]:
    """key.json of a sheet's folder; its items by their ids.

    Raises:
        BadInput: missing, or not what `kcpt human sheet` writes.
    """
    key = read_json(path)
    try:
        items = {entry["item"]: entry for entry in key["items"]}
        complete = all(
            isinstance(entry[name], str)
            for entry in key["items"]
            for name in ("question_id", "paper_id", "answer_sha256")
        )
        if not complete or not all(set(entry["models"]) <= set(key["models"]) for entry in key["items"]):
            raise TypeError
        return {"sheet": str(key["sheet"]), "models": list(key["models"]), "items": items}
    except (KeyError, TypeError):
        raise BadInput(f"{path}: not a key that `kcpt human sheet` wrote; give the folder with the sheet") from None


def rating_files(paths: Iterable[Path], leave_out: Path) -> list[Path]:
    """The .jsonl and .xlsx among `paths` and in the folders among them, once each, but not `leave_out`.

    Raises:
        BadInput: a path that is not there, a file of another kind, a folder without such files.
    """
    unique: dict[Path, Path] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in SUFFIXES
                and file.name[0] not in ".~"
                and file.resolve() != leave_out.resolve()
            )
            if not files:
                raise BadInput(f"{path}: no {' or '.join(SUFFIXES)} file in it; give the files that raters sent back")
        elif not path.is_file():
            raise BadInput(f"{path}: no such file or folder")
        elif path.suffix.lower() not in SUFFIXES:
            raise BadInput(f"{path}: ratings are read from {' and '.join(SUFFIXES)} files, this is '{path.suffix}'")
        for file in files:
            unique.setdefault(file.resolve(), file)
    if not unique:
        raise BadInput("ratings: no file given; give the files or folders that raters sent back")
    return list(unique.values())


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Place and record of each line, or what is wrong with the line."""
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        if not raw.strip():
            continue
        location = f"line {number}"
        try:
            record = json.loads(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON
            yield location, f"not JSON in UTF-8 ({error})"
            continue
        if not isinstance(record, dict):
            yield location, f"expected an object {{…}}, found {type(record).__name__}"
        elif missing := [name for name in FIELDS if name not in record]:
            yield location, f"field {', '.join(missing)} is missing; expected a file that the sheet exported"
        else:
            yield location, record


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any] | str]]:
    if path.suffix.lower() == ".xlsx":
        for cell, record in read_workbook(path):
            yield f"cell {cell}", record
    else:
        yield from _lines(path)


def _fault(record: Mapping[str, Any], key: Mapping[str, Any]) -> str | None:
    """Why a record cannot count, or None."""
    if record["sheet"] != key["sheet"]:
        return f"sheet {quoted(record['sheet'])}, but the key is that of '{key['sheet']}'; rated on another sheet"
    if not isinstance(record["rater"], str) or not record["rater"].strip():
        return "no rater's name; ask whose file it is and write the name in (rater, in a workbook cell E1)"
    item = key["items"].get(record["item"]) if isinstance(record["item"], str) else None
    if item is None:
        return f"item {quoted(record['item'])} is not on the sheet"
    if record["answer_sha256"] != item["answer_sha256"]:
        return f"item {record['item']}: the answer's hash is not that of the key; another answer was rated"
    if record.get("question_id", item["question_id"]) != item["question_id"]:
        quoted_id = quoted(record["question_id"])
        return f"item {record['item']}: question {quoted_id}, in the key it is '{item['question_id']}'"
    value = record["rating"]
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value not in (0, 1)):
        return f"item {record['item']}: rating {quoted(value)}, expected 1, 0 or skip (null)"
    return None


def _seconds(record: Mapping[str, Any]) -> float | None:
    value = record.get("seconds")
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if usable and value is not None else None


class _Faults:
    """Gathers equal faults of a file into one finding that lists the places."""

    def __init__(self) -> None:
        self._places: dict[tuple[Path, str], list[str]] = {}

    def add(self, path: Path, location: str, what: str) -> None:
        self._places.setdefault((path, what), []).append(location)

    def findings(self) -> list[Finding]:
        findings = []
        for (path, what), places in self._places.items():
            where = ", ".join([str(path), *places])
            if len(places) > 3:
                where = f"{path}, {places[0]} to {places[-1]} ({len(places)} places)"
            findings.append(Finding(where, what, True))
        return findings


def collect(paths: Sequence[Path], key: Mapping[str, Any]) -> Collected:
    """Read all files and hold them against the key and each other.

    Unusable, and left out of `ratings`: what cannot be read, another sheet, an unknown item, another answer or question
    than the key's, a rating other than 1, 0 or skip, no rater, and both of two different ratings of one rater for one
    item. Only named: equal ratings twice, one rater in several files, names that look alike, items not rated, a rater
    without any rating.

    Args:
        paths: .jsonl and .xlsx files.
        key: as `read_key` gives it.

    Raises:
        BadInput: a workbook that cannot be read.
    """
    collected = Collected(files=list(paths))
    faults = _Faults()
    given: dict[tuple[str, str], list[Rating]] = {}
    for path in paths:
        rows = 0
        for location, record in _rows(path):
            rows += 1
            fault = record if isinstance(record, str) else _fault(record, key)
            if fault is not None or isinstance(record, str):
                faults.add(path, location, str(fault))
                continue
            rater = " ".join(clean(record["rater"]).split())
            value = None if record["rating"] is None else int(record["rating"])
            rating = Rating(
                rater, record["item"], value, clean(str(record.get("note") or "")), _seconds(record), path, location
            )
            given.setdefault((rater, rating.item), []).append(rating)
        if not rows:
            collected.findings.append(Finding(str(path), "no rating in it", False))
    collected.findings += faults.findings()
    collected.raters = list(dict.fromkeys(rater for rater, _ in given))
    for (rater, item), ratings in given.items():
        if len({rating.rating for rating in ratings}) > 1:
            collected.findings.append(_conflict(rater, item, ratings))
        else:
            collected.ratings[rater, item] = ratings[0]
    collected.findings += _repeated(given) + _alike(collected.raters) + _missing(collected, given, key)
    return collected


def _rating_text(rating: int | None) -> str:
    return "skip" if rating is None else str(rating)


def _conflict(rater: str, item: str, ratings: Sequence[Rating]) -> Finding:
    says = ", ".join(f"{_rating_text(rating.rating)} in {rating.where}" for rating in ratings)
    several = len({rating.path for rating in ratings}) > 1
    why = "two people under one name, or one who thought again" if several else "rated twice"
    return Finding(ratings[0].where, f"rater '{rater}', item {item}: different ratings ({says}): {why}", True)


def _repeated(given: Mapping[tuple[str, str], Sequence[Rating]]) -> list[Finding]:
    """Raters in several files, and equal ratings that appear twice."""
    findings = []
    files: dict[str, dict[Path, int]] = {}
    for (rater, item), ratings in given.items():
        for rating in ratings:
            files.setdefault(rater, {}).setdefault(rating.path, 0)
            files[rater][rating.path] += 1
        if len(ratings) > 1 and len({rating.rating for rating in ratings}) == 1:
            places = " and ".join(rating.where for rating in ratings[1:])
            findings.append(
                Finding(ratings[0].where, f"rater '{rater}', item {item}: the same rating again in {places}", False)
            )
    for rater, counts in files.items():
        if len(counts) > 1:
            listed = ", ".join(f"{path} ({count})" for path, count in counts.items())
            differ = sum(
                len({rating.rating for rating in ratings}) > 1 and len({rating.path for rating in ratings}) > 1
                for (name, _), ratings in given.items()
                if name == rater
            )
            what = f"rater '{rater}' is in {len(counts)} files, taken for one person; {differ} items differ: {listed}"
            findings.append(Finding(str(next(iter(counts))), what, False))
    return findings


def _alike(raters: Iterable[str]) -> list[Finding]:
    """Names that differ in case, width or spaces only."""
    import unicodedata

    groups: dict[str, list[str]] = {}
    for rater in raters:
        groups.setdefault("".join(unicodedata.normalize("NFKC", rater).casefold().split()), []).append(rater)
    return [
        Finding("ratings", f"raters {' and '.join(map(repr, names))} are taken for different people", False)
        for names in groups.values()
        if len(names) > 1
    ]


def _missing(
    collected: Collected, given: Mapping[tuple[str, str], Sequence[Rating]], key: Mapping[str, Any]
) -> list[Finding]:
    findings = []
    for rater in collected.raters:
        missing = [item for item in key["items"] if (rater, item) not in given]
        where = ", ".join(
            dict.fromkeys(str(rating.path) for (name, _), all_ in given.items() if name == rater for rating in all_)
        )
        if missing:
            rest = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            named = ", ".join(missing[:NAMED]) + rest
            text = f"rater '{rater}' did not rate {len(missing)} of {len(key['items'])} items: {named}"
            findings.append(Finding(where, text, False))
        if all(rating.rating is None for (name, _), rating in collected.ratings.items() if name == rater):
            findings.append(Finding(where, f"rater '{rater}' has no usable rating of 1 or 0", False))
    return findings
