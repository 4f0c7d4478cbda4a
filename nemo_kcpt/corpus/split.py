"""Which papers are held out: drawn by seed, whole groups at a time, without moving what was drawn before.

A group is what must stay on one side: near duplicates, translations, editions (duplicates.py); most papers are their
own. Groups are ranked by the SHA-256 of seed and paper id (the least of the group's) and taken in that order while they
fit, so the draw depends neither on the order of the documents nor on a random generator's version. With an earlier
split.json every paper in it keeps its side, and new ones that belong to its groups follow it. Lists of ids are
compared in the form that names.py gives them, so that one typed on another machine, or of an earlier version, finds its
papers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.duplicates import insert
from nemo_kcpt.corpus.names import matches
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, read_json, read_text
from nemo_kcpt.logs import LOG

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How papers are held out; `names` (a user's list) wins over `count`, that over `fraction`."""

    seed: int = 1
    fraction: float = 0.1
    count: int | None = None
    names: Path | None = None
    earlier: Path | None = None
    """An earlier split.json whose papers keep their sides."""
    stratified: bool = False


def draw(connection: Any, draw: Draw) -> int:
    """Fill the column `heldout` of `documents` for the papers (fate ''); returns how many kept an earlier side.

    Raises:
        BadInput: no paper would be left to train on, or a list names papers that are not in the corpus.
    """
    connection.execute("ALTER TABLE documents ADD COLUMN heldout BOOLEAN")
    connection.execute("ALTER TABLE documents ADD COLUMN leader BIGINT")
    connection.execute(
        """UPDATE documents SET leader = coalesce((SELECT leader FROM together WHERE together.number =
           documents.number), number) WHERE fate = ''"""
    )
    (papers,) = connection.execute("SELECT count(*) FROM documents WHERE fate = ''").fetchone()
    kept = 0
    if draw.names is not None:
        _hold_out_list(connection, draw.names, papers)
    else:
        if draw.earlier is not None:
            kept = _keep_sides(connection, draw.earlier)
        for stratum, wanted, drawn in _quotas(connection, draw, papers):
            _hold_out(connection, draw.seed, stratum, wanted - drawn)
    connection.execute("UPDATE documents SET heldout = false WHERE fate = '' AND heldout IS NULL")
    return kept


def heldout_count(papers: int, *, fraction: float = 0.0, count: int | None = None) -> int:
    """How many of `papers` are held out: `count`, or the rounded `fraction`, at least one unless it is 0.

    Raises:
        BadInput: that would leave no paper to train on.
    """
    if count is None:
        count = max(1, round(fraction * papers)) if fraction > 0 else 0
        asked = f"heldout_fraction={fraction:g}, which is {count}"
    else:
        asked = f"heldout_count={count}"
    if count >= papers:
        raise BadInput(f"{asked} of {papers} papers: none would be left to train on; hold fewer out or add papers")
    return count


def _quotas(connection: Any, draw: Draw, papers: int) -> Iterator[tuple[str | None, int, int]]:
    """(stratum or None for all, papers to hold out in it, papers held out already)."""
    total = heldout_count(papers, fraction=draw.fraction, count=draw.count)
    if not draw.stratified:
        (already,) = connection.execute("SELECT count(*) FROM documents WHERE heldout").fetchone()
        yield None, total, already
        return
    strata = connection.execute(
        """SELECT stratum, count(*), count(*) FILTER (heldout) FROM documents WHERE fate = ''
           GROUP BY stratum ORDER BY stratum"""
    ).fetchall()
    for (stratum, _, already), wanted in zip(strata, shares([size for _, size, _ in strata], total)):
        yield stratum, wanted, already


def shares(sizes: list[int], total: int) -> list[int]:
    """`total` divided in proportion to `sizes` by largest remainder, the first of equal ones first."""
    exact = [size * total / max(1, sum(sizes)) for size in sizes]
    result = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda index: (result[index] - exact[index], index))
    for index in by_remainder[: total - sum(result)]:
        result[index] += 1
    return result


def _hold_out(connection: Any, seed: int, stratum: str | None, wanted: int) -> None:
    """Hold out groups in the order of their rank while they fit into `wanted`; a group's stratum is its leader's."""
    if wanted <= 0:
        return
    cursor = connection.cursor()
    cursor.execute(
        """SELECT leader, count(*) FROM documents WHERE fate = '' GROUP BY leader
           HAVING count(heldout) = 0 AND (? IS NULL OR arg_min(stratum, number) = ?)
           ORDER BY min(sha256(? || chr(10) || paper_id)), leader""",
        [stratum, stratum, str(seed)],
    )
    chosen: list[int] = []
    too_large = 0
    while wanted > 0 and (groups := cursor.fetchmany(1000)):
        for leader, size in groups:
            if size <= wanted:
                chosen.append(leader)
                wanted -= size
            else:
                too_large += 1
            if wanted == 0:
                break
    if chosen:
        connection.execute("CREATE OR REPLACE TEMP TABLE chosen (leader BIGINT)")
        insert(connection, "chosen", {"leader": chosen})
        connection.execute("UPDATE documents SET heldout = true WHERE leader IN (SELECT leader FROM chosen)")
    if wanted:
        where = f" of '{stratum}'" if stratum is not None else ""
        LOG.warning(
            "corpus: %d fewer papers%s are held out than asked for: the %d groups left (near duplicates, editions) are "
            "larger than that",
            wanted,
            where,
            too_large,
        )


def _keep_sides(connection: Any, path: Path) -> int:
    """Give every paper of an earlier split.json its side, and new papers of its group the same one."""
    content = read_json(path)
    sides = [content.get(name) for name in ("heldout", "train")] if isinstance(content, dict) else [None]
    if not all(isinstance(side, list) for side in sides):
        raise BadInput(f"{path}: expected a split.json with the lists heldout and train (keep_split)")
    _listed(connection, {str(name): side is sides[0] for side in (sides[1], sides[0]) for name in side or []})
    connection.execute(
        """UPDATE documents SET heldout = listed.heldout FROM listed
           WHERE documents.paper_id = listed.paper_id AND fate = ''"""
    )
    (kept,) = connection.execute("SELECT count(heldout) FROM documents").fetchone()
    torn = connection.execute(
        """SELECT first(paper_id ORDER BY number) FILTER (heldout), first(paper_id ORDER BY number) FILTER (NOT heldout)
           FROM documents WHERE leader IS NOT NULL GROUP BY leader HAVING count(DISTINCT heldout) = 2"""
    ).fetchall()
    for heldout, trained in torn[:SHOWN]:
        LOG.warning(
            "corpus: '%s' is held out and '%s' is trained on, as in %s, though they belong together (near duplicates, "
            "translations); questions on the first are answered by the second. fresh_split=true draws anew",
            heldout,
            trained,
            path,
        )
    connection.execute(
        """UPDATE documents SET heldout = sides.heldout FROM
           (SELECT leader, bool_or(heldout) AS heldout FROM documents WHERE heldout IS NOT NULL
            GROUP BY leader) AS sides
           WHERE documents.leader = sides.leader AND documents.heldout IS NULL"""
    )
    return int(kept)


def _hold_out_list(connection: Any, path: Path, papers: int) -> None:
    """Hold out the papers that a user names, and what belongs together with them."""
    asked = _read_list(path)
    _listed(connection, dict.fromkeys(asked, True))
    unknown = connection.execute(
        "SELECT paper_id FROM listed ANTI JOIN documents USING (paper_id) ORDER BY paper_id"
    ).fetchall()
    gone = connection.execute(
        """SELECT paper_id, first(fate), first(reason) FROM documents SEMI JOIN listed USING (paper_id)
           GROUP BY paper_id HAVING bool_and(fate <> '' AND kept IS NULL) ORDER BY paper_id"""
    ).fetchall()
    missing = [name for (name,) in unknown] + [f"{name} ({fate}: {reason})" for name, fate, reason in gone]
    if missing:
        raise BadInput(
            f"{path}: {len(missing)} of {len(asked)} ids are not in the corpus: {', '.join(missing[:SHOWN])}"
            f"{' …' if len(missing) > SHOWN else ''}. Ids are the paper_id fields of papers.jsonl"
        )
    connection.execute(
        """UPDATE documents SET heldout = true WHERE fate = '' AND leader IN
           (SELECT coalesce(stays.leader, named.leader) FROM documents AS named SEMI JOIN listed USING (paper_id)
            LEFT JOIN documents AS stays ON stays.number = named.kept)"""
    )
    (heldout,) = connection.execute("SELECT count(*) FROM documents WHERE heldout").fetchone()
    if heldout >= papers:
        raise BadInput(f"{path}: names all {papers} papers, so none would be left to train on")
    if heldout > len(asked):
        LOG.info(
            "corpus: %d more papers are held out than %s names: near duplicates or editions of those",
            heldout - len(asked),
            path,
        )


def _read_list(path: Path) -> set[str]:
    if path.suffix == ".json":
        content = read_json(path)
        names = content.get("heldout") if isinstance(content, dict) else None
        if not isinstance(names, list):
            raise BadInput(f'{path}: expected a split.json with a list "heldout", or a text file with one id a line')
        return {str(name) for name in names}
    if not path.is_file():
        raise BadInput(f"{path}: no such file (heldout_list)")
    return {line.strip() for line in read_text(path, "utf-8-sig").splitlines() if line.strip()}


def _listed(connection: Any, sides: Mapping[str, bool]) -> None:
    """The table `listed` (paper_id, heldout): ids as the documents have them, however the list writes them.

    An id that no document has stays as it is. One that stands for several papers is the id of each of them.
    """
    import pyarrow as pa

    cursor = connection.cursor().execute("SELECT DISTINCT paper_id FROM documents")
    there = (paper_id for rows in iter(lambda: cursor.fetchmany(1000), []) for (paper_id,) in rows)
    matched = matches(sides, there)
    pairs = [(paper_id, heldout) for name, heldout in sides.items() for paper_id in matched[name] or [name]]
    incoming = pa.table({"paper_id": [name for name, _ in pairs], "heldout": [side for _, side in pairs]})
    connection.register("incoming", incoming.cast(pa.schema([("paper_id", pa.string()), ("heldout", pa.bool_())])))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE listed AS "
        "SELECT paper_id, bool_or(heldout) AS heldout FROM incoming GROUP BY paper_id"
    )
    connection.unregister("incoming")


def write_split(connection: Any, path: Path, seed: int) -> None:
    """Write split.json (seed, heldout, train; ids sorted) without holding the ids in memory."""
    with atomic_write(path) as stream:
        stream.write(f'{{\n  "seed": {seed}')
        for name, side in (("heldout", True), ("train", False)):
            cursor = connection.cursor().execute(
                "SELECT paper_id FROM documents WHERE fate = '' AND heldout = ? ORDER BY paper_id", [side]
            )
            stream.write(f',\n  "{name}": [')
            separator = "\n    "
            while rows := cursor.fetchmany(1000):
                for (paper_id,) in rows:
                    stream.write(separator + json.dumps(paper_id, ensure_ascii=False))
                    separator = ",\n    "
            stream.write("\n  ]" if separator.startswith(",") else "]")
        stream.write("\n}\n")
