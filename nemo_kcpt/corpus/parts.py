"""First pass: every piece of the corpus is read and cleaned by whatever process is free, and becomes a part.

A part is `000012.jsonl` (its papers, complete), `000012.questions.jsonl` and `000012.flaws.jsonl` (about these papers),
and `000012.parquet` (a row for each of its documents), written in this order: a piece whose Parquet file is there is
done, so a killed run reads the others. Text goes from the reader's process to disk and never through the parent,
whose memory stays flat.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.names import name_form
from nemo_kcpt.corpus.papers import Row, Settings, check_fields, prepare, readable, repaired
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import atomic_write, publish
from nemo_kcpt.logs import LOG
from nemo_kcpt.processes import pool
from nemo_kcpt.progress import progress
from nemo_kcpt.readers import Found, Piece, Place, reader_of

ADDRESS_SPACE = 16 << 30
"""Bytes a reading process may map: a file that unpacks without end fails alone and is named."""
LOOKED_AT = 20
"""First documents that are looked at for the fields that were named."""
BATCH = 512
"""Rows written to a part's Parquet file at a time."""


@dataclass(frozen=True)
class Job:
    """One piece to be made into a part."""

    index: int
    place: Place
    piece: Piece
    settings: Settings
    folder: Path
    crashed: tuple[str, ...] = ()
    """Files that killed the process that read them; named instead of read."""

    def path(self, suffix: str) -> Path:
        """A file of the part."""
        return self.folder / f"{self.index:06d}{suffix}"

    @property
    def done(self) -> bool:
        """True if the part is there."""
        return self.path(".parquet").is_file()


Launch = Callable[[Sequence[Job], int], Iterator[Job]]


def _schema() -> Any:
    import pyarrow as pa

    kinds: dict[str, Any] = {
        "str": pa.string(),
        "int": pa.int64(),
        "bytes": pa.binary(),
        "dict[str, int]": pa.map_(pa.string(), pa.int64()),
        "list[str]": pa.list_(pa.string()),
        "list[int]": pa.list_(pa.int64()),
        "list[list[int]]": pa.list_(pa.list_(pa.int64())),
    }
    own = [("part", pa.int64()), ("row", pa.int64()), ("line", pa.int64())]
    return pa.schema([*own, *((entry.name, kinds[str(entry.type)]) for entry in fields(Row))])


def documents(job: Job) -> Iterator[Found]:
    """The documents of a job's piece."""
    for path in job.piece.paths or ("",):
        if path in job.crashed:
            source = job.place.relative(Path(path))
            yield Found(path, source, {}, "reading it ended the process (memory or a fault in the format's library)")
        else:
            piece = job.piece._replace(paths=(path,)) if path else job.piece
            found_there = reader_of(job.piece.reader).documents_of(job.place, piece)
            yield from (readable(document, job.settings) for document in found_there)


def make_part(job: Job) -> int:
    """Write the part of one piece; returns the number of documents found in it."""
    import pyarrow as pa
    import pyarrow.parquet

    schema = _schema()
    temporary = job.path(f".parquet.{os.getpid()}.tmp")
    rows: list[dict[str, Any]] = []
    number = line = 0
    try:
        with (
            atomic_write(job.path(".jsonl")) as papers,
            pyarrow.parquet.ParquetWriter(temporary, schema, compression="zstd") as table,
            atomic_write(job.path(".questions.jsonl")) as questions,
            atomic_write(job.path(".flaws.jsonl")) as flaws,
        ):
            for document in documents(job):
                row, paper = prepare(document, job.settings)
                if paper is not None:
                    papers.write(json.dumps(paper, ensure_ascii=False) + "\n")
                    for question in document.questions:
                        name = name_form(question.question_id, job.settings.steps)
                        right = question.accepted or (question.answer,)
                        record = {"line": line, **question._asdict(), "question_id": name, "accepted": right}
                        questions.write(json.dumps(record, ensure_ascii=False) + "\n")
                    for flaw in document.flaws:
                        texts = {name: repaired(job.place.within(text)) for name, text in flaw._asdict().items()}
                        flaws.write(json.dumps({"line": line, "source": row.source, **texts}) + "\n")
                at = {"part": job.index, "row": number, "line": line if paper is not None else -1}
                texts = {name: job.place.within(getattr(row, name)) for name in ("where", "problem")}
                texts["format"] = job.piece.reader
                rows.append({**at, **vars(row), **texts, "changes": list(row.changes.items())})
                number += 1
                line += paper is not None
                if len(rows) == BATCH:
                    table.write_table(pa.Table.from_pylist(rows, schema))
                    rows = []
            if rows:
                table.write_table(pa.Table.from_pylist(rows, schema))
        publish(temporary, job.path(".parquet"))
    finally:
        temporary.unlink(missing_ok=True)
    return number


def make_parts(
    place: Place,
    pieces: Sequence[Piece],
    settings: Settings,
    folder: Path,
    *,
    workers: int = 0,
    shard: int = 0,
    shards: int = 1,
    launch: Launch | None = None,
) -> None:
    """Make the parts of `pieces` in `folder`; those that are there are kept, so `folder` stands for what shapes them.

    Args:
        place: where the documents are.
        pieces: what to read, in order; part numbers are positions in this list.
        settings: what shapes a paper.
        folder: for the parts.
        workers: processes; 0 for all cores.
        shard: make only the pieces whose position divided by `shards` leaves this.
        shards: how many calls share the work.
        launch: makes the parts of jobs with a number of processes, and yields the jobs as they are done; None: `make`.

    Raises:
        BadInput: the first documents lack a field that was named, or a data set cannot be opened.
        KcptError: reading a piece ended its process twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [Job(index, place, piece, settings, folder) for index, piece in enumerate(pieces) if index % shards == shard]
    missing = [job for job in jobs if not job.done]
    if len(missing) < len(jobs):
        LOG.info("corpus: %d of %d pieces are there from an earlier run", len(jobs) - len(missing), len(jobs))
    fields = (job for job in missing[:1] if not reader_of(job.piece.reader).documents)
    good = (document for job in fields for document in documents(job) if not document.problem)
    check_fields(list(islice(good, LOOKED_AT)), settings)
    with progress() as bar:
        task = bar.add_task("reading and cleaning", total=len(jobs), completed=len(jobs) - len(missing))
        for _ in (launch or make)(missing, workers) if missing else ():
            bar.advance(task)


def make(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Make the parts of jobs on this machine, by `workers` processes (0: one a core); yields jobs as they are done."""
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers > 1 or any(reader_of(job.piece.reader).documents for job in jobs):
        yield from _in_parallel(jobs, workers)
        return
    for job in jobs:
        make_part(job)
        yield job


def check_complete(pieces: int, folder: Path) -> None:
    """Refuse to unite shards of which some are not done.

    Raises:
        BadInput: parts are missing; says how many.
    """
    missing = [index for index in range(pieces) if not (folder / f"{index:06d}.parquet").is_file()]
    if missing:
        raise BadInput(
            f"{folder}: {len(missing)} of {pieces} pieces are missing (the first is number {missing[0]}). Run every "
            "shard with the same keys first, or omit --merge to read what is missing here"
        )


def _in_parallel(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Yield jobs as they are done; what was under way when a process died is done alone, and the culprit is named."""
    waiting = list(reversed(jobs))
    while waiting:
        running: dict[Future[int], Job] = {}
        suspects: list[Job] = []
        with pool(workers, address_space=ADDRESS_SPACE) as executor:
            while running or (waiting and not suspects):
                while waiting and not suspects and len(running) < 2 * workers:
                    job = waiting.pop()
                    try:
                        running[executor.submit(make_part, job)] = job
                    except BrokenProcessPool:
                        suspects.append(job)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        future.result()
                    except BrokenProcessPool:
                        suspects.append(job)
                    else:
                        yield job
        yield from map(_alone, suspects)


def _alone(job: Job) -> Job:
    """Make one part in a process of its own; if that dies, find the files that kill it and continue without them."""
    if job.done or _survives(job):
        return job
    if not reader_of(job.piece.reader).documents:
        raise KcptError(
            f"{', '.join(job.piece.paths)}: reading bytes or rows {job.piece.start} to {job.piece.stop} ended the "
            "process twice (out of memory?); look at that part of the file, or use a machine with more memory"
        )
    probe = replace(job, folder=job.folder / "probe")
    probe.folder.mkdir(exist_ok=True)
    again = replace(job, crashed=tuple(_culprits(probe)))
    shutil.rmtree(probe.folder)
    make_part(again) if set(again.crashed) == set(job.piece.paths) else _survives(again)
    return again


def _culprits(job: Job) -> list[str]:
    """The files of a job that kills its process which kill one by themselves, by halving."""
    paths = job.piece.paths
    if len(paths) == 1:
        return list(paths)
    half = len(paths) // 2
    halves = (replace(job, piece=job.piece._replace(paths=part)) for part in (paths[:half], paths[half:]))
    return [path for part in halves if not _survives(part) for path in _culprits(part)]


def _survives(job: Job) -> bool:
    with pool(1, address_space=ADDRESS_SPACE) as executor:
        try:
            executor.submit(make_part, job).result()
        except BrokenProcessPool:
            return False
    return True
