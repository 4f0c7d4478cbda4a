"""Retention of each model against the starting one, from scores of the general questions and instructions.

Knowledge is counted on questions with `accepted` values (`exact_match`), behaviour on those with `checks`
(`instruction`). What both are a share of is in `nemo_kcpt/stats/retention.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.files import write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.records.inputs import Key
from nemo_kcpt.stats.retention import retained
from nemo_kcpt.stats.statistics import wilson_interval

Scores = Mapping[Key, Mapping[str, Any]]
FIELDS = {"knowledge": "exact_match", "instructions": "instruction"}
"""What retention is of, and the field of scores.jsonl that says so."""
KINDS = ("general", "instruction")
"""Kinds of the questions that are about no document."""


def values(questions: Iterable[str], scores: Scores, members: Sequence[str], field: str) -> dict[str, float]:
    """Per question the mean of a field over members; of the questions that all of them have a value for."""
    means: dict[str, float] = {}
    for question_id in questions:
        each = [(scores.get((question_id, member)) or {}).get(field) for member in members]
        known = [float(value) for value in each if value is not None]
        if known and len(known) == len(members):
            means[question_id] = sum(known) / len(known)
    return means


def _part(
    questions: Iterable[str], scores: Scores, members: Sequence[str], base: str, field: str
) -> dict[str, Any] | None:
    asked = list(questions)
    before, after = (values(asked, scores, names, field) for names in ([base], members))
    if not after:
        return None
    row: dict[str, Any] = {"right": sum(after.values()), "asked": len(after), "share_right": None, "wilson95": None}
    row["share_right"] = row["right"] / row["asked"]
    if len(members) == 1:
        row["wilson95"] = [*wilson_interval(round(row["right"]), row["asked"])]
    retention = retained(before, after).to_dict()
    return row | {"retention": retention.pop("share"), **retention}


def retention_row(
    name: str, members: Sequence[str], base: str, questions: Mapping[str, Mapping[str, Any]], scores: Scores
) -> dict[str, Any]:
    """What a model, or the seeds of one training together, kept of what `base` could.

    Returns:
        JSON-ready: `name`, `models`, and `knowledge` and `instructions`, each None where nothing of it was asked, else
        `right` of `asked` questions with `share_right` and `wilson95` (of one model); `n` that the base answered, too,
        `of` those it had right, `kept`, `gained`, `retention` = kept / of (None for no `of`), `ci95`, and `enough`,
        whether `of` is enough for it to say something. Where questions name several languages, `knowledge` has the same
        for each in `languages`.
    """
    row: dict[str, Any] = {"name": name, "models": list(members)}
    for part, field in FIELDS.items():
        row[part] = _part(questions, scores, members, base, field)
    languages = sorted({str(question["language"]) for question in questions.values() if question.get("language")})
    if row["knowledge"] and len(languages) > 1:
        row["knowledge"]["languages"] = {
            code: _part(
                [key for key, question in questions.items() if question.get("language") == code],
                scores,
                members,
                base,
                FIELDS["knowledge"],
            )
            for code in languages
        }
    return row


def write_retention(
    out: Path, base: str, questions: Mapping[str, Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> list[Path]:
    """Write retention.json and say what it holds, if the project's own questions were answered by base and by others.

    Returns:
        The file, or nothing.
    """
    own = {name: question for name, question in questions.items() if question["kind"] in KINDS}
    scores = {(str(record["question_id"]), str(record["model"])): record for record in records}
    names = list(dict.fromkeys(model for _, model in scores))
    if not own or base not in names or len(names) < 2:
        return []
    rows = [retention_row(name, [name], base, own, scores) for name in names]
    write_json(out / "retention.json", {"base": base, "models": rows})
    for row in rows:
        if row["name"] != base:
            said = ", ".join(f"{part} {words(row[part])}" for part in FIELDS if row[part])
            LOG.info("score: %s: retention: %s", row["name"], said)
    return [out / "retention.json"]


def words(part: Mapping[str, Any] | None) -> str:
    """A retention for a line of text: 92.3 % (88.0 to 95.1), 180 of 195."""
    if part is None:
        return "not measured"
    if part["retention"] is None:
        return f"not measured: the starting model answers none of {part['n']} right"
    low, high = part["ci95"]
    kept = f"{part['kept']:.1f}".removesuffix(".0")
    text = f"{percent(part['retention'])} ({100 * low:.1f} to {100 * high:.1f}), {kept} of {part['of']}"
    return text if part["enough"] else f"{text}: too few to tell"
