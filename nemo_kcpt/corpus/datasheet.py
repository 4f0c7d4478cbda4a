"""The data sheet: what was read, what became of it, and what the corpus is made of.

Every number comes from documents.parquet by DuckDB queries that go to disk where they must, so memory stays flat for
millions of rows; only the samples' beginnings come from papers.jsonl, in one pass. All numbers go into datasheet.json,
and the page is made from that alone (datasheet_page.py). Nothing in it depends on the machine: documents are named by
their place in the corpus, so the same documents elsewhere give the same bytes.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nemo_kcpt.cleaning import STEPS
from nemo_kcpt.corpus.datasheet_page import render, render_markdown
from nemo_kcpt.files import atomic_write, read_json, write_json
from nemo_kcpt.readers.base import READER_CHANGES
from nemo_kcpt.records.files import PAPERS

FORMAT = 1
MEMORY = "1GB"
"""What DuckDB may hold in memory before it goes to disk."""
FATES = ("bad", "filtered", "duplicate", "near duplicate")
SHOWN = 10
"""Reasons, pairs and groups that are named."""
ROWS = 20
"""Languages, licences, sources and strata that are named."""
SAMPLES = 10
SAMPLE = 300
"""Characters of a sample's text."""
BINS = 10
"""Bins of a histogram for every power of ten."""
QUANTILES = (5, 25, 50, 75, 95)

Query = Any
"""A DuckDB connection with the views `documents` and `papers`."""


def write_datasheet(
    out: Path, *, name: str, config: Mapping[str, Any], counts: Mapping[str, Any], seed: int
) -> list[Path]:
    """Write datasheet.json, and from it datasheet.html and datasheet.md; returns the three.

    Args:
        out: the corpus's folder, with documents.parquet and papers.jsonl.
        name: of the corpus; of an absolute path only the last part is shown, since the others are this machine's.
        config: what shaped the corpus, without paths; `without` names the cleaning steps that were switched off.
        counts: what the merge counted; `kept_sides` and `shared_identifiers` are taken from it.
        seed: of the draw of samples.
    """
    json_file, page, markdown = (out / f"datasheet.{suffix}" for suffix in ("json", "html", "md"))
    write_json(json_file, build_datasheet(out, name=name, config=config, counts=counts, seed=seed))
    sheet = read_json(json_file)
    for path, text in ((page, render(sheet)), (markdown, render_markdown(sheet))):
        with atomic_write(path) as stream:
            stream.write(text)
    return [json_file, page, markdown]


def build_datasheet(
    out: Path, *, name: str, config: Mapping[str, Any], counts: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Everything that the page shows, JSON-ready, in a fixed order; arguments as for `write_datasheet`."""
    with _connect(out) as query:
        totals = _totals(query)
        return {
            "format": FORMAT,
            "name": (Path(name).name if Path(name).is_absolute() else name) or "corpus",
            "documents": _fates(query),
            "formats": _formats(query),
            "flaws": dict(counts.get("flaws") or {}),
            "unread": [{"ending": ending, "files": files} for ending, files in (counts.get("unread") or {}).items()],
            "duplicates": _pairs(query, "duplicate"),
            "near_duplicates": _pairs(query, "near duplicate"),
            "totals": totals,
            "lengths": {
                "characters": _length(query, "characters"),
                "tokens": _length(query, "tokens") if totals["tokens"] else None,
            },
            "languages": _by(query, "language"),
            "licenses": _by(query, "license"),
            "split": _split(query, config, counts),
            "cleaning": _cleaning(query, config, totals["papers"]),
            "sources": _by(query, "source"),
            "structure": {name: _structure(query, name) for name in ("sections", "references")},
            "questions": _questions(query),
            "samples": _samples(query, out / PAPERS.name, seed),
            "seed": seed,
            "config": json.loads(json.dumps(dict(config), default=str)),
        }


@contextmanager
def _connect(out: Path) -> Iterator[Query]:
    import duckdb

    spill = out / ".datasheet-spill"
    settings: dict[str, Any] = {
        "memory_limit": MEMORY,
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
    }
    connection = duckdb.connect(config=settings)
    try:
        connection.execute("SET preserve_insertion_order = false")
        path = str(out / "documents.parquet").replace("'", "''")
        connection.execute(f"CREATE VIEW documents AS SELECT *, part * 4294967296 + row AS number FROM '{path}'")
        connection.execute("CREATE VIEW papers AS SELECT * FROM documents WHERE fate = ''")
        yield connection
    finally:
        connection.close()
        shutil.rmtree(spill, ignore_errors=True)


def _rows(query: Query, text: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
    """The rows of a query's result, by column names."""
    cursor = query.execute(text, parameters or [])
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def _row(query: Query, text: str) -> dict[str, Any]:
    (row,) = _rows(query, text)
    return row


def _total(column: str, condition: str = "true") -> str:
    return f"coalesce(sum({column}) FILTER ({condition}), 0)::BIGINT"


SUMS = f"count(*) AS papers, {_total('characters')} AS characters, {_total('tokens')} AS tokens"


def _totals(query: Query) -> dict[str, Any]:
    totals = _row(query, f"SELECT {SUMS}, {_total('raw_characters')} AS raw_characters FROM papers")
    per_token = round(totals["characters"] / totals["tokens"], 2) if totals["tokens"] else None
    return {**totals, "characters_per_token": per_token}


def _fates(query: Query) -> dict[str, Any]:
    """How many documents were read, and why some became no paper."""
    counted = {row["fate"]: row["n"] for row in _rows(query, "SELECT fate, count(*) AS n FROM documents GROUP BY fate")}
    left_out = []
    for fate in FATES:
        if count := counted.get(fate, 0):
            reasons = _reasons(query, fate) if fate in ("bad", "filtered") else []
            others = count - sum(row["documents"] for row in reasons) if reasons else 0
            left_out.append({"fate": fate, "documents": count, "reasons": reasons, "other_reasons": others})
    return {"read": sum(counted.values()), "papers": counted.get("", 0), "left_out": left_out}


def _formats(query: Query) -> list[dict[str, Any]]:
    """Documents, papers and what was wrong by format, those with most documents first."""
    return _rows(
        query,
        f"""SELECT coalesce(format, '') AS format, count(*) AS documents, count(*) FILTER (fate = '') AS papers,
            count(*) FILTER (fate = 'bad') AS bad, count(*) FILTER (fate = '' AND flaws > 0) AS flawed,
            {_total("characters", "fate = ''")} AS characters
            FROM documents GROUP BY 1 ORDER BY documents DESC, 1""",
    )


def _reasons(query: Query, fate: str) -> list[dict[str, Any]]:
    """The most frequent reasons, each with the first document it stands for (its id, else its place).

    What is wrong with a bad document is said with names, numbers and places; without them equal problems are equal,
    and no folder of this machine is named.
    """
    kind = "reason"
    if fate == "bad":
        kind = r"""regexp_replace(regexp_replace(regexp_replace(reason, '(^|[\s(''"])/[^,;:''"()]*/', '\1', 'g'),
            '(^|[\s(])''[^'']*''', '\1…', 'g'), '(^|[^\w.-])\d[\d,.]*', '\1…', 'g')"""
    return _rows(
        query,
        f"""SELECT {kind} AS reason, count(*) AS documents,
            arg_min(CASE WHEN paper_id <> '' THEN paper_id ELSE "where" END, number) AS first
            FROM documents WHERE fate = ? GROUP BY 1 ORDER BY documents DESC, 1 LIMIT {SHOWN}""",
        [fate],
    )


def _pairs(query: Query, fate: str) -> dict[str, Any]:
    """The number of documents that gave way to another one, and the first of them."""
    pairs = _rows(
        query,
        f"""SELECT paper_id, title, source, characters, kept, similarity FROM documents WHERE fate = ?
            ORDER BY number LIMIT {SHOWN}""",
        [fate],
    )
    return {"documents": query.execute("SELECT count(*) FROM documents WHERE fate = ?", [fate]).fetchone()[0]} | {
        "first": [{**pair, "similarity": round(pair["similarity"] or 0, 3)} for pair in pairs]
    }


def _quantiles(query: Query, column: str) -> dict[str, Any]:
    """Least, quantiles (nearest rank: a value that occurs), greatest and mean; equal values are counted, not held."""
    quantiles = ", ".join(f"min(value) FILTER (100 * upto >= {share} * papers) AS p{share}" for share in QUANTILES)
    row = _row(
        query,
        f"""SELECT min(value) AS min, {quantiles}, max(value) AS max,
            (sum(value * n) / any_value(papers))::DOUBLE AS mean
            FROM (SELECT value, n, sum(n) OVER (ORDER BY value) AS upto, sum(n) OVER () AS papers
                  FROM (SELECT {column} AS value, count(*) AS n FROM papers GROUP BY 1))""",
    )
    return {**row, "mean": round(row["mean"] or 0, 1)}


def _length(query: Query, column: str) -> dict[str, Any]:
    """Quantiles and histogram of a length; bins are even on a logarithmic scale and hold `from` up to below `to`."""
    rows = _rows(
        query,
        f"""SELECT floor(log10(greatest({column}, 1)) * {BINS})::INT AS bin, count(*) FILTER (NOT heldout) AS train,
            count(*) FILTER (heldout) AS heldout FROM papers GROUP BY 1 ORDER BY 1""",
    )
    counted = {row.pop("bin"): row for row in rows}
    none = {"train": 0, "heldout": 0}
    bins = [
        {"from": _edge(number), "to": _edge(number + 1), **counted.get(number, none)}
        for number in range(min(counted), max(counted) + 1)
    ]
    return {**_quantiles(query, column), "histogram": [entry for entry in bins if entry["from"] < entry["to"]]}


def _edge(number: int) -> int:
    """The least length in a bin."""
    return math.ceil(10 ** (number / BINS) - 1e-9)


def _by(query: Query, column: str) -> dict[str, Any]:
    """Papers and their lengths by the values of a column, those with most papers first, the rest taken together."""
    grouped = f"""SELECT {column} AS value, {SUMS}, count(*) FILTER (heldout) AS heldout FROM papers GROUP BY 1"""
    rows = _rows(query, f"SELECT * FROM ({grouped}) ORDER BY papers DESC, value LIMIT {ROWS}")
    (values,) = query.execute(f"SELECT count(*) FROM ({grouped})").fetchone()
    total = _row(query, f"SELECT {SUMS}, count(*) FILTER (heldout) AS heldout FROM papers")
    rest = {key: total[key] - sum(row[key] for row in rows) for key in total}
    return {"values": values, "rows": rows, "others": {"values": values - len(rows), **rest}}


def _split(query: Query, config: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    sides = {
        side: _row(query, f"SELECT {SUMS} FROM papers WHERE heldout = {heldout}")
        for side, heldout in (("train", "false"), ("heldout", "true"))
    }
    groups = """SELECT arg_min(paper_id, number) AS paper_id, arg_min(title, number) AS title, count(*) AS papers,
                bool_or(heldout) AS heldout FROM papers WHERE together <> '' GROUP BY together"""
    together = _row(query, f"SELECT count(*) AS groups, {_total('papers')} AS papers FROM ({groups})")
    largest = _rows(query, f"SELECT * FROM ({groups}) ORDER BY papers DESC, paper_id LIMIT {SHOWN}")
    (stratified,) = query.execute("SELECT count(*) FROM (SELECT 1 FROM papers WHERE stratum <> '' LIMIT 1)").fetchone()
    return {
        **sides,
        "together": {**together, "largest": largest},
        "stratified_by": config.get("stratify_field", ""),
        "strata": _by(query, "stratum") if stratified else None,
        "kept_sides": counts.get("kept_sides", 0),
        "shared_identifiers": list(counts.get("shared_identifiers", []))[:SHOWN],
    }


def _cleaning(query: Query, config: Mapping[str, Any], papers: int) -> dict[str, Any]:
    """What each step changed in the papers, in the order of the steps, and what the readers did besides."""
    rows = _rows(
        query,
        """SELECT change.key AS step, count(*) AS papers, sum(change.value)::BIGINT AS changes
           FROM (SELECT unnest(map_entries(changes)) AS change FROM papers) WHERE change.value > 0 GROUP BY 1""",
    )
    changed = {row["step"]: row for row in rows}
    off = config.get("without") or ()
    steps = []
    for name, step in STEPS.items():
        lines = (step.__doc__ or "").strip().splitlines()
        row = changed.get(name, {"papers": 0, "changes": 0})
        steps.append({"name": name, "what": lines[0] if lines else "", "off": name in off or "all" in off})
        steps[-1] |= {"papers": row["papers"], "changes": row["changes"]}
    for name, what in READER_CHANGES.items():
        if name in changed:
            steps.append({"name": name, "what": what, "off": False})
            steps[-1] |= {key: changed[name][key] for key in ("papers", "changes")}
    untouched = "SELECT 1 FROM papers WHERE list_sum(map_values(changes)) > 0"
    return {"papers": papers, "changed": _row(query, f"SELECT count(*) AS n FROM ({untouched})")["n"], "steps": steps}


def _structure(query: Query, column: str) -> dict[str, Any]:
    quoted = f'"{column}"'
    return {
        **_row(query, f"SELECT {_total(quoted)} AS total, count(*) FILTER ({quoted} = 0) AS without FROM papers"),
        **_quantiles(query, quoted),
    }


def _questions(query: Query) -> dict[str, Any]:
    return _row(
        query,
        f"""SELECT {_total("questions")} AS questions, count(*) FILTER (questions > 0) AS papers,
            {_total("questions", "NOT heldout")} AS train, {_total("questions", "heldout")} AS heldout FROM papers""",
    )


def _samples(query: Query, papers: Path, seed: int) -> list[dict[str, Any]]:
    """Papers drawn by seed, with the beginnings of their texts; not by the ranks that decide who is held out."""
    drawn = _rows(
        query,
        f"""SELECT paper_id, title, language, license, source, characters, heldout FROM papers
            ORDER BY sha256('samples' || chr(10) || ? || chr(10) || paper_id) LIMIT {SAMPLES}""",
        [str(seed)],
    )
    missing = {sample["paper_id"] for sample in drawn}
    beginnings: dict[str, str] = {}
    for record in PAPERS.read(papers):
        if record["paper_id"] in missing:
            missing.remove(record["paper_id"])
            beginnings[record["paper_id"]] = record["text"][:SAMPLE]
            if not missing:
                break
    return [{**sample, "beginning": beginnings.get(sample["paper_id"], "")} for sample in drawn]
