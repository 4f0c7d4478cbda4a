"""Second pass: the parts' rows are compared, duplicates and problems decided on, and the corpus is written.

Memory does not grow with the text: rows are in DuckDB (duplicates.py), papers are copied line by line.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.duplicates import connect, duplicate_records, find_near, group, mark_near, mark_same_text
from nemo_kcpt.corpus.split import Draw, draw, write_split
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, publish, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress

SHOWN = 5
"""How many offenders of a kind a message names."""
SPLITS = {True: "test", False: "train"}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is decided between documents."""

    duplicates: str = "drop"
    near_duplicates: float = 0.8
    same_side: float = 0.5
    max_bad: int = 0
    draw: Draw = field(default_factory=Draw)


def merge(name: str, parts: Path, out: Path, rules: Rules) -> dict[str, Any]:
    """Write papers.jsonl, split.json, documents.parquet and, where there is something to write, dropped.jsonl,
    questions.jsonl and flaws.jsonl into `out`; returns the counts.

    Raises:
        BadInput: more bad documents than `max_bad`, nothing left, or a split that cannot be; nothing is written then.
    """
    with connect(parts) as connection:
        mark_same_text(connection)
        _refuse(connection, name, rules)
        least = min((value for value in (rules.near_duplicates, rules.same_side) if value > 0), default=0.0)
        if least:
            find_near(connection, least)
        else:
            connection.execute("CREATE TABLE near (a BIGINT, b BIGINT, similarity DOUBLE)")
        if rules.near_duplicates > 0:
            mark_near(connection, rules.near_duplicates)
        shared = group(connection, rules.same_side)
        kept_sides = draw(connection, rules.draw)
        counts = _counts(connection)
        _write_papers(connection, parts, out / "papers.jsonl")
        counts["questions"] = _write_questions(connection, parts, out / "questions.jsonl")
        counts["flaws"] = _write_flaws(connection, parts, out / "flaws.jsonl")
        write_split(connection, out / "split.json", rules.draw.seed)
        dropped = out / "dropped.jsonl"
        if counts["documents"] > counts["papers"]:
            write_jsonl(dropped, duplicate_records(connection))
        else:
            dropped.unlink(missing_ok=True)
        _write_documents(connection, out / "documents.parquet")
    return {**counts, "kept_sides": kept_sides, "shared_identifiers": shared}


def _refuse(connection: Any, name: str, rules: Rules) -> None:
    (read,) = connection.execute("SELECT count(*) FROM documents").fetchone()
    bad = connection.execute(
        """SELECT kind, count(*), list("where" || ': ' || reason ORDER BY number) FROM documents
           WHERE fate = 'bad' GROUP BY kind ORDER BY min(number)"""
    ).fetchall()
    same = connection.execute(
        """SELECT 'with the same text as another', count(*), list("where" || ': ' || same.paper_id
           || ' has the text of ' || first.paper_id ORDER BY same.number)
           FROM documents AS same JOIN (SELECT number AS kept, paper_id FROM documents) AS first USING (kept)
           WHERE fate = 'duplicate' HAVING count(*) > 0"""
    ).fetchall()
    bad_count = sum(count for _, count, _ in bad)
    problems, ways = [], []
    if bad_count > rules.max_bad:
        problems += bad
        ways.append(f"Correct them, or leave up to {bad_count} bad documents out with max_bad={bad_count}")
    if same and rules.duplicates == "refuse":
        problems += same
        ways.append("Keep the first of each text with duplicates=drop")
    if problems:
        raise BadInput(f"{name}: of {read} documents, {_problems_text(problems)}. {'. '.join(ways)}")
    (papers,) = connection.execute("SELECT count(*) FROM documents WHERE fate = ''").fetchone()
    if not papers:
        filtered = connection.execute(
            "SELECT reason, count(*) FROM documents WHERE fate = 'filtered' GROUP BY reason ORDER BY 2 DESC, 1"
        ).fetchall()
        why = f" (left out: {', '.join(f'{count} {reason}' for reason, count in filtered)})" if filtered else ""
        raise BadInput(f"{name}: the corpus is empty: {read} documents read, none with text to keep{why}")
    if bad:
        LOG.warning("corpus: bad documents left out and listed in dropped.jsonl: %s", _problems_text(bad))


def _problems_text(problems: list[tuple[str, int, list[str]]]) -> str:
    return "; ".join(
        f"{count} {what} ({'; '.join(first[:SHOWN])}{' …' if count > SHOWN else ''})" for what, count, first in problems
    )


def _counts(connection: Any) -> dict[str, Any]:
    columns = {
        "documents": "count(*)",
        "papers": "count(*) FILTER (fate = '')",
        "heldout": "count(*) FILTER (heldout)",
        "characters": "coalesce(sum(characters) FILTER (fate = ''), 0)::BIGINT",
        "tokens": "coalesce(sum(tokens) FILTER (fate = ''), 0)::BIGINT",
        "dropped_duplicates": "count(*) FILTER (fate = 'duplicate')",
        "dropped_near_duplicates": "count(*) FILTER (fate = 'near duplicate')",
        "filtered": "count(*) FILTER (fate = 'filtered')",
        "bad": "count(*) FILTER (fate = 'bad')",
    }
    row = connection.execute(f"SELECT {', '.join(columns.values())} FROM documents").fetchone()
    return dict(zip(columns, row))


def _kept(connection: Any) -> Iterator[tuple[int, dict[int, tuple[str, bool]]]]:
    """(part, line of its papers.jsonl -> (paper id, held out) of the papers that are kept), part by part."""
    for (part,) in connection.execute("SELECT DISTINCT part FROM documents WHERE fate = '' ORDER BY 1").fetchall():
        rows = connection.execute(
            "SELECT line, paper_id, heldout FROM documents WHERE part = ? AND fate = ''", [part]
        ).fetchall()
        yield part, {line: (paper_id, heldout) for line, paper_id, heldout in rows}


def _write_papers(connection: Any, parts: Path, path: Path) -> None:
    with atomic_write(path) as stream, progress() as bar:
        (total,) = connection.execute("SELECT count(DISTINCT part) FROM documents WHERE fate = ''").fetchone()
        for part, kept in bar.track(_kept(connection), total=total, description="writing papers"):
            with (parts / f"{part:06d}.jsonl").open(encoding="utf-8") as lines:
                stream.writelines(line for number, line in enumerate(lines) if number in kept)


def _write_questions(connection: Any, parts: Path, path: Path) -> int:
    """questions.jsonl of the questions that came with the documents: those about held-out papers are the test set."""
    (asked,) = connection.execute("SELECT coalesce(sum(questions), 0) FROM documents WHERE fate = ''").fetchone()
    if not asked:
        path.unlink(missing_ok=True)
        return 0

    seen: set[str] = set()

    def records() -> Iterator[dict[str, Any]]:
        for part, kept in _kept(connection):
            with (parts / f"{part:06d}.questions.jsonl").open(encoding="utf-8") as lines:
                for question in map(json.loads, lines):
                    if question["line"] in kept:
                        paper_id, heldout = kept[question["line"]]
                        name = question["question_id"]
                        while name in seen:  # two data sets may number their questions alike
                            name = f"{paper_id}/{name}"
                        seen.add(name)
                        yield {
                            "question_id": name,
                            "split": SPLITS[heldout],
                            "paper_id": paper_id,
                            "kind": "human",
                            "question": question["question"],
                            "answer": question["answer"],
                            **{key: question[key] for key in ("accepted",) if key in question},
                            "kept": True,
                            "filter": {"by": "none", "reason": "asked by people about this document"},
                        }

    return write_jsonl(path, records())


def _write_flaws(connection: Any, parts: Path, path: Path) -> dict[str, int]:
    """flaws.jsonl of what is wrong in papers that are kept; returns the number of each kind, and warns of each."""
    (flaws,) = connection.execute("SELECT coalesce(sum(flaws), 0) FROM documents WHERE fate = ''").fetchone()
    if not flaws:
        path.unlink(missing_ok=True)
        return {}
    counts: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)

    def records() -> Iterator[dict[str, Any]]:
        for part, kept in _kept(connection):
            with (parts / f"{part:06d}.flaws.jsonl").open(encoding="utf-8") as lines:
                for flaw in map(json.loads, lines):
                    if (line := flaw.pop("line")) in kept:
                        counts[flaw["kind"]] += 1
                        if len(examples[flaw["kind"]]) < SHOWN:
                            examples[flaw["kind"]].append(f"{flaw['where']}: {flaw['detail']}")
                        yield {"paper_id": kept[line][0], **flaw}

    write_jsonl(path, records())
    summary = _problems_text([(kind, count, examples[kind]) for kind, count in sorted(counts.items())])
    LOG.warning("corpus: %s; listed in flaws.jsonl", summary)
    return dict(sorted(counts.items()))


def _write_documents(connection: Any, path: Path) -> None:
    """documents.parquet: what is known of every document that was read, in reading order."""
    temporary = path.with_name(f".{path.name}.tmp")
    target = str(temporary).replace("'", "''")
    connection.execute(
        f"""COPY (SELECT one."where", one.source, one.format, one.paper_id, one.title, one.language, one.license,
                one.raw_characters, one.characters, one.tokens, one.sections, one.references, one.questions,
                one.flaws, one.changes, one.stratum, one.fate, one.reason, stays.paper_id AS kept, one.similarity,
                one.heldout,
                CASE WHEN one.fate = '' AND many.papers > 1 THEN head.paper_id ELSE '' END AS together,
                one.part, one.row
              FROM documents AS one
              LEFT JOIN documents AS stays ON stays.number = one.kept
              LEFT JOIN documents AS head ON head.number = one.leader
              LEFT JOIN (SELECT leader, count(*) AS papers FROM documents GROUP BY leader) AS many
                ON many.leader = one.leader
              ORDER BY one.number) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
    )
    publish(temporary, path)
