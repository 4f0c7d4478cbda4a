"""Which documents are the same, nearly the same, or one paper in two languages: queries over the rows of all parts.

DuckDB sorts and groups on disk once its memory limit is reached, so neither the number of documents nor their length
is bounded by memory; only near duplicates themselves are held in it. Kept of several: of the same text the first read,
of nearly the same ones the longest (an abstract gives way to its paper, a draft to what it grew into).

Together, on one side of the split, stay: texts over `same_side` in similarity, the same title (case, width and
punctuation aside) unless it is one that says nothing (generic_titles.py), the same DOI or arXiv number or other
identifier, a document and what it is a translation of, and titles that one reference cites together as one work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nemo_kcpt.corpus.papers import GENERIC
from nemo_kcpt.corpus.similarity import PERMUTATIONS, similarity
from nemo_kcpt.logs import LOG

MEMORY = "256MB"
"""What DuckDB may hold in memory before it goes to disk."""
OPEN = 50
"""Parts that are read at once."""
FRESH = 20
"""So many times, before the database is opened anew: DuckDB keeps about a kilobyte a row beside what it counts."""
SHARED_BY = 10
"""A title or identifier that more documents share is a form's heading, not one paper in several editions."""

BULKY = ("bands", "signature", "same", "cited", "text_hash", "title_key")


def connect(folder: Path) -> Any:
    """A DuckDB connection with the table `documents` over the parts in `folder`; its file lies there too.

    `number` orders documents as they were read. `fate` is empty for a paper; else bad, filtered, duplicate or near
    duplicate, with `reason`, `kept` (the number of the document that stays in its place) and `similarity`.
    """
    for leftover in folder.glob("merge.duckdb*"):
        leftover.unlink()
    parts = sorted(map(str, folder.glob("*.parquet")))
    for start in range(0, len(parts), FRESH * OPEN):
        with _open(folder) as connection:
            _read_rows(connection, parts[start : start + FRESH * OPEN])
    connection = _open(folder)
    # parts of a run that began before there was this column
    connection.execute("UPDATE rows SET format = '' WHERE format IS NULL")
    connection.execute(
        f"""CREATE TABLE documents AS SELECT * EXCLUDE ({", ".join(name for name in BULKY if name != "text_hash")}),
            CASE WHEN kind <> '' THEN 'bad' WHEN filtered <> '' THEN 'filtered' ELSE '' END AS fate,
            CASE WHEN kind <> '' THEN problem ELSE filtered END AS reason,
            NULL::BIGINT AS kept, NULL::DOUBLE AS similarity FROM rows"""
    )
    return connection


def _open(folder: Path) -> Any:
    """The database in a folder."""
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": MEMORY,
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": False,
    }
    connection = duckdb.connect(str(folder / "merge.duckdb"), config=settings)
    connection.execute("SET preserve_insertion_order = false")
    connection.execute("SET enable_external_file_cache = false")  # every part is read once
    connection.execute("SET enable_progress_bar = false")  # it goes to standard output
    return connection


def _read_rows(connection: Any, parts: Sequence[str]) -> None:
    """Copy the rows of all parts into a table, some parts at a time: DuckDB holds something of every file it has open,
    and there are as many files as there are documents, divided by some dozens."""
    rows = "SELECT part * 4294967296 + row AS number, * FROM read_parquet(?, union_by_name = true)"
    for start in range(0, len(parts), OPEN):
        batch = list(parts[start : start + OPEN])
        connection.execute(f"CREATE TABLE IF NOT EXISTS rows AS {rows} LIMIT 0", [batch])
        connection.execute("ALTER TABLE rows ADD COLUMN IF NOT EXISTS format VARCHAR")
        connection.execute(f"INSERT INTO rows BY NAME {rows}", [batch])
        connection.execute("CHECKPOINT")


def mark_same_text(connection: Any) -> None:
    """Give all but the first document of one text the fate duplicate; then one id used for two texts is bad."""
    connection.execute(
        """UPDATE documents SET fate = 'duplicate', reason = 'the same text', kept = same.first, similarity = 1.0
           FROM (SELECT number AS other, min(number) OVER (PARTITION BY text_hash) AS first
                 FROM documents WHERE fate = '') AS same
           WHERE number = other AND number <> first"""
    )
    connection.execute(
        """UPDATE documents SET fate = 'bad', kind = 'with an id that was there before', reason = 'the id '''
           || documents.paper_id || ''' is that of ' || first."where" || '; choose another field by id_field='
           FROM (SELECT number AS other, min(number) OVER (PARTITION BY paper_id) AS number FROM documents
                 WHERE fate = '') AS same JOIN documents AS first ON first.number = same.number
           WHERE documents.number = other AND other <> same.number"""
    )


def find_near(connection: Any, least: float) -> None:
    """Fill the table `near` (a < b, similarity) with pairs of at least `least`."""
    connection.execute("CREATE TABLE near (a BIGINT, b BIGINT, similarity DOUBLE)")
    connection.execute(
        """CREATE TEMP TABLE keys AS SELECT number, unnest(bands) AS key FROM rows
           WHERE number IN (SELECT number FROM documents WHERE fate = '')"""
    )
    pairs = connection.execute(
        """WITH shared AS (SELECT key FROM keys GROUP BY key HAVING count(*) > 1),
           neighbours AS (
               SELECT number, first_value(number) OVER w AS first, lag(number) OVER w AS before
               FROM keys SEMI JOIN shared USING (key) WINDOW w AS (PARTITION BY key ORDER BY number)),
           pairs AS (SELECT DISTINCT other AS a, number AS b FROM
                     (SELECT number, unnest([first, before]) AS other FROM neighbours) WHERE other < number)
           SELECT a, b, x.signature AS sa, y.signature AS sb FROM pairs
           JOIN rows AS x ON x.number = a JOIN rows AS y ON y.number = b"""
    ).fetch_record_batch(10_000)
    cursor = connection.cursor()
    for batch in pairs:
        alike = (_signatures(batch, "sa") == _signatures(batch, "sb")).mean(axis=1)
        chosen = alike >= least
        columns = {"a": batch["a"].to_numpy()[chosen], "b": batch["b"].to_numpy()[chosen], "similarity": alike[chosen]}
        if chosen.any():
            insert(cursor, "near", columns)
    connection.execute("DROP TABLE keys")


def _signatures(batch: Any, name: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
    values = b"".join(batch[name].to_pylist())
    return np.frombuffer(values, np.uint32).reshape(-1, PERMUTATIONS)


def insert(connection: Any, table: str, columns: dict[str, Any]) -> None:
    """Add rows, given as columns, to a table."""
    import pyarrow as pa

    connection.register("incoming", pa.table(columns))
    connection.execute(f"INSERT INTO {table} SELECT {', '.join(columns)} FROM incoming")
    connection.unregister("incoming")


def mark_near(connection: Any, threshold: float) -> None:
    """Give a document that is as similar as `threshold` to a longer one that is kept the fate near duplicate."""
    edges = connection.execute("SELECT a, b FROM near WHERE similarity >= ?", [threshold]).fetchall()
    members: dict[int, list[int]] = defaultdict(list)
    for number, group in components(edges).items():
        members[group].append(number)
    gone: list[tuple[int, str, int, float]] = []
    for numbers in members.values():
        listed = ", ".join(map(str, numbers))
        candidates = connection.execute(
            f"""SELECT number, documents.characters, rows.signature FROM documents JOIN rows USING (number)
                WHERE number IN ({listed}) ORDER BY documents.characters DESC, number"""
        ).fetchall()
        kept: list[tuple[int, int, bytes]] = []
        dropped: list[tuple[int, str, int, float]] = []
        for number, characters, values in candidates:
            alike = [(similarity(values, other[2]), other) for other in kept]
            best, other = max(alike, key=lambda pair: pair[0], default=(0.0, (0, 0, b"")))
            if best >= threshold:
                reason = f"{characters} characters, the kept one has {other[1]}"
                dropped.append((number, reason, other[0], round(best, 3)))
            else:
                kept.append((number, characters, values))
        gone += dropped
    if gone:
        names = ("number", "reason", "kept", "similarity")
        connection.execute("CREATE TABLE gone (number BIGINT, reason VARCHAR, kept BIGINT, similarity DOUBLE)")
        insert(connection, "gone", {name: list(values) for name, values in zip(names, zip(*gone))})
        connection.execute(
            """UPDATE documents SET fate = 'near duplicate', reason = gone.reason, kept = gone.kept,
               similarity = gone.similarity FROM gone WHERE documents.number = gone.number"""
        )
    connection.execute(
        """UPDATE documents SET kept = stays.kept FROM documents AS stays
           WHERE documents.kept = stays.number AND stays.fate = 'near duplicate'"""
    )


def group(connection: Any, same_side: float) -> list[str]:
    """Fill the table `together` (number, leader) for papers that must not be split; returns ignored identifiers.

    A title that says nothing ("Overview") ties none, and neither does an identifier that more than `SHARED_BY` papers
    share ("n/a"): it would put half the corpus on one side.
    """
    papers = "(SELECT number FROM documents WHERE fate = '')"
    connection.execute(
        f"CREATE TEMP TABLE same AS SELECT number, title, unnest(same) AS key FROM rows WHERE number IN {papers}"
    )
    shared = "SELECT key, count(DISTINCT number) AS papers, arg_min(title, number) AS title FROM same GROUP BY key"
    too_many = connection.execute(
        f"""SELECT key, papers, title FROM ({shared})
            WHERE papers > {SHARED_BY} OR (papers > 1 AND starts_with(key, '{GENERIC}'))
            ORDER BY papers DESC, key"""
    ).fetchall()
    edges = f"""
        SELECT min(number) OVER (PARTITION BY key) AS a, number AS b FROM same
            SEMI JOIN (SELECT key FROM ({shared}) WHERE papers BETWEEN 2 AND {SHARED_BY}
                       AND NOT starts_with(key, '{GENERIC}')) USING (key)
        UNION ALL
        SELECT coalesce(x.kept, a), coalesce(y.kept, b) FROM near
            JOIN documents AS x ON x.number = a JOIN documents AS y ON y.number = b
            WHERE near.similarity >= {float(same_side)} AND {float(same_side)} > 0
        UNION ALL
        SELECT min(title.number) OVER (PARTITION BY entry), title.number FROM
            (SELECT entry, unnest(keys) AS title_key FROM
                (SELECT row_number() OVER () AS entry, keys FROM (SELECT unnest(cited) AS keys FROM rows)))
            JOIN (SELECT number, title_key FROM rows WHERE title_key <> 0 AND number IN {papers}) AS title
            USING (title_key)
    """
    pairs = connection.execute(f"SELECT a, b FROM ({edges}) WHERE a <> b").fetchall()
    connection.execute("CREATE TABLE together (number BIGINT, leader BIGINT)")
    leaders = components(pairs)
    if leaders:
        numbers = np.array(list(leaders), np.int64)
        insert(connection, "together", {"number": numbers, "leader": np.array(list(leaders.values()), np.int64)})
    names = [_identifier(*row) for row in too_many]
    for name in names[:5]:
        LOG.warning("corpus: %s; not taken for one paper, so not kept on one side for that", name)
    return names


def _identifier(key: str, papers: int, title: str) -> str:
    if key.startswith(("title:", GENERIC)):
        return f"{papers} papers share the title '{title}'"
    return f"{papers} papers share the identifier '{key.partition(':')[2]}'"


def components(edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Node -> the least node that it is connected with, for the nodes of `edges`."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for first, second in edges:
        left, right = root(first), root(second)
        parent[max(left, right)] = min(left, right)
    return {node: root(node) for node in list(parent)}


def duplicate_records(connection: Any) -> Iterator[dict[str, Any]]:
    """Every document that became no paper, in reading order, as a record of dropped.jsonl."""
    cursor = connection.cursor().execute(
        """SELECT gone."where", gone.source, gone.paper_id, gone.fate, gone.reason, gone.similarity, stays.paper_id
           FROM documents AS gone LEFT JOIN documents AS stays ON stays.number = gone.kept
           WHERE gone.fate <> '' ORDER BY gone.number"""
    )
    while rows := cursor.fetchmany(1000):
        for where, source, paper_id, fate, reason, alike, kept in rows:
            record = {"paper_id": paper_id, "source": source, "where": where, "fate": fate, "reason": reason}
            yield record if kept is None else {**record, "kept": kept, "similarity": alike}
