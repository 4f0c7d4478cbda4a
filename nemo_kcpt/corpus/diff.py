"""`kcpt corpus … --diff PAPER_ID`: one document before and after cleaning, step by step, on the terminal.

The document is looked for by streaming the corpus up to it; where an earlier run left documents.parquet, that says in
which piece it stands, so that only this piece is read. Text is shown so that a terminal neither obeys nor hides any of
its characters (hunks.py).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nemo_kcpt.cleaning import STEPS, Changed, trace
from nemo_kcpt.corpus.hunks import hunks, pieces, visible
from nemo_kcpt.corpus.names import name_form
from nemo_kcpt.corpus.papers import ID_FIELDS, Row, Settings, prepare, readable
from nemo_kcpt.errors import BadInput
from nemo_kcpt.progress import progress
from nemo_kcpt.readers import Found, Piece, Place, Reader, divide, reader_of

if TYPE_CHECKING:
    from rich.console import Console

NEAREST = 5
"""Ids that a message suggests."""
BATCH = 5000
"""Ids compared with the wanted one at a time."""
FROM_TEXT = "text-"
"""What ids begin with that papers.py makes from a text."""
STYLES = {" ": "dim", "-": "red", "+": "green"}


def show(paper_id: str, place: Place, chosen: Sequence[Reader], settings: Settings, *, out: Path | None = None) -> None:
    """Print what cleaning does to one document, step by step; nothing is written.

    Args:
        paper_id: of the document; its place as dropped.jsonl tells it (`where`), or a file's path, will do too.
        place: where the documents are.
        chosen: what reads them.
        settings: what shapes a paper.
        out: folder of an earlier run, whose documents.parquet tells where the document stands.

    Raises:
        BadInput: no document has this id; the message names the nearest.
    """
    from rich.console import Console

    lean = replace(settings, compare=False, tokenizer="")
    table = out / "documents.parquet" if out is not None else None
    document = _by_table(paper_id, place, chosen, lean, table)
    document = document or _by_search(paper_id, place, lean, divide(place, chosen))
    document = readable(document, lean)
    row, _ = prepare(document, lean)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    text = document.record.get(settings.text_field)
    text = text if isinstance(text, str) else ""
    done = _steps(text, settings.steps)
    _print_head(console, document, row, done[-1].after if done else text)
    if document.problem:
        return
    _print_summary(console, done, settings.steps)
    for step in done:
        if step.changed.count:
            _print_step(console, step)


class Step(NamedTuple):
    """What one step did to the text that the steps before it left."""

    name: str
    title: str
    before: str
    changed: Changed

    @property
    def after(self) -> str:
        """The text after it."""
        return self.changed.text


def _steps(text: str, names: Sequence[str]) -> list[Step]:
    done: list[Step] = []
    for name, changed in trace(text, names):
        again = any(step.name == name for step in done)
        done.append(Step(name, f"{name} (again)" if again else name, text, changed))
        text = changed.text
    return done


def _names(document: Found, reader: Reader, place: Place, settings: Settings, wanted: str) -> tuple[str, ...]:
    """What a document goes by: its id, its place, and its file where that is all of the document.

    An id that is made from the cleaned text takes its time, so that is done only if `wanted` is such a one.
    """
    fields = (settings.id_field,) if settings.id_field else ID_FIELDS
    known = next((str(value) for name in fields if (value := document.record.get(name)) not in (None, "")), "")
    if not known and not settings.id_field and not document.problem and wanted.startswith(FROM_TEXT):
        known = prepare(document, settings)[0].paper_id
    names = (known, document.where, place.within(document.where), *((document.source,) if reader.documents else ()))
    return (known.strip(), *names, *dict.fromkeys(map(name_form, names)))


def _documents(place: Place, pieces: Iterable[Piece]) -> Iterator[tuple[Found, Reader]]:
    for piece in pieces:
        reader = reader_of(piece.reader)
        for document in reader.documents_of(place, piece):
            yield document, reader


def _by_table(
    wanted: str, place: Place, chosen: Sequence[Reader], settings: Settings, table: Path | None
) -> Found | None:
    """The document where documents.parquet says it is; None if that is not there or tells of other documents."""
    import duckdb

    form = name_form(wanted)

    if table is None or not table.is_file():
        return None
    with duckdb.connect() as connection:
        known = connection.execute(
            """SELECT part, row FROM read_parquet($table)
               WHERE paper_id IN ($wanted, $form) OR "where" = $wanted OR source = $wanted
               ORDER BY paper_id = $wanted DESC, "where" = $wanted DESC, part, row LIMIT 1""",
            {"table": str(table), "wanted": wanted, "form": form},
        ).fetchone()
    if known is None:
        return None
    part, row = known
    in_piece = _documents(place, islice(divide(place, chosen), part, part + 1))
    there = next(islice(in_piece, row, row + 1), None)
    return there[0] if there is not None and _is_among(wanted, _names(*there, place, settings, wanted)) else None


def _is_among(wanted: str, names: Sequence[str]) -> bool:
    return wanted in names or name_form(wanted) in names


def _by_search(wanted: str, place: Place, settings: Settings, pieces: Iterable[Piece]) -> Found:
    """The first document that goes by the name `wanted`.

    Raises:
        BadInput: there is none.
    """
    seen: list[str] = []
    with progress() as bar:
        task = bar.add_task(f"looking for {visible(wanted)}", total=None)
        for document, reader in _documents(place, pieces):
            names = _names(document, reader, place, settings, wanted)
            if _is_among(wanted, names):
                return document
            seen.append(names[0] or document.where)
            if len(seen) >= BATCH:
                seen = _nearest(wanted, seen)
            bar.advance(task)
    nearest = ", ".join(_nearest(wanted, seen))
    field = settings.id_field or "paper_id, id or doc_id, whichever is there, else made from the text ('text-…')"
    raise BadInput(
        f"{place.name}: no document '{wanted}'{f'; near it: {nearest}' if nearest else ''}. Ids are the field {field}; "
        "of text, HTML and PDF files the path within the folder. The place that dropped.jsonl calls where will do too"
    )


def _nearest(wanted: str, names: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(wanted, names, n=NEAREST, cutoff=0.5)


def _print_head(console: Console, document: Found, row: Row, text: str) -> None:
    from rich.text import Text

    title = row.title or " ".join(str(document.record.get("title") or "").split())
    console.print(Text(visible(title) or "(no title)", "bold"))
    details = {"id": row.paper_id, "where": document.where, "language": row.language, "licence": row.license}
    if not document.problem:
        details["characters"] = f"{row.raw_characters:,} before, {len(text):,} after cleaning"
    if row.kind:
        details["bad"] = row.problem if row.kind == "unreadable" else f"{row.kind}: {row.problem}"
    if row.filtered:
        details["filtered"] = row.filtered
    for name, value in details.items():
        if value:
            console.print(Text.assemble((f"  {name:<11}", "dim"), visible(value)))


def _print_summary(console: Console, done: Sequence[Step], chosen: Sequence[str]) -> None:
    from rich.text import Text

    rows = [(step.title, f"{step.changed.count:,}") for step in done]
    rows += [(name, "off") for name in STEPS if name not in chosen]
    wide = max(len(title) for title, _ in rows) + 2
    console.print()
    console.print(Text(f"{'step':<{wide}}changes", "bold"))
    for title, count in rows:
        console.print(Text(f"{title:<{wide}}{count:>7}", "dim" if count in ("0", "off") else ""))


def _print_step(console: Console, step: Step) -> None:
    from rich.text import Text

    count = step.changed.count
    what = (STEPS[step.name].__doc__ or "").strip().split("\n")[0]
    console.print()
    console.print(Text(f"── {step.title}: {count:,} change{'s' if count != 1 else ''}", "bold"))
    console.print(Text(what, "dim"))
    for hunk in hunks(step.before, step.after):
        console.print(Text(hunk.head, "cyan"))
        for line in hunk.lines:
            text = Text(line.mark, STYLES[line.mark])
            for piece in pieces(line):
                text.append(piece.text, "reverse" if piece.changed else "")
            if line.end and console.is_terminal:
                text.append("↵", "reverse")
            console.print(text)
    if step.changed.references:
        console.print(Text(f"{len(step.changed.references):,} references taken out:", "bold"))
        for number, entry in enumerate(step.changed.references, start=1):
            console.print(Text(f"{number:>5}  {visible(entry)}"))
