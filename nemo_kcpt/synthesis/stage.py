"""Ask a teacher for instruction data about every paper: one call a paper and kind, the 16 kinds of the method (§2).

Writes synthetic.jsonl (paper_id, kind, pairs, teacher, request_sha256) and manifest.json. Replies are journaled as
they come, so a run that was killed asks only for what is missing.

Teachers: `template`, the demo's deterministic stand-in for an LLM, which knows the fictional papers' fact sheets.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import read_jsonl, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.synthesis.kinds import KINDS
from nemo_kcpt.synthesis.teacher import Teacher, synthesize

JOURNAL = "journal.jsonl"


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt synthesize`."""

    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus (papers.jsonl)."""
    out: Path = Path(MISSING)
    """Folder for synthetic.jsonl."""
    teacher: str = "template"
    """Which teacher writes; `template` is a stand-in for fictional papers, not an LLM."""
    facts: Path | None = None
    """Fact sheets of the fictional papers (facts.jsonl), needed by teacher=template."""
    kinds: list[str] = field(default_factory=lambda: list(KINDS))
    """Kinds to write, in order."""
    concurrency: int = 8
    """Calls under way at once."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown:
            raise ValueError(f"kinds: {', '.join(unknown)} is not one of {', '.join(KINDS)}")
        if self.teacher not in TEACHERS:
            raise ValueError(f"teacher: '{self.teacher}' is not one of {', '.join(TEACHERS)}")
        if self.concurrency < 1:
            raise ValueError(f"concurrency: {self.concurrency} was given; at least 1 is needed")


def _template_teacher(config: Config) -> Teacher:
    from nemo_kcpt.demo.facts import FactSheet
    from nemo_kcpt.demo.template_teacher import TemplateTeacher

    if config.facts is None:
        raise BadInput("teacher=template needs facts=FILE, the fact sheets of the fictional papers")
    return TemplateTeacher([FactSheet.from_dict(record) for record in read_jsonl(config.facts)])


TEACHERS: dict[str, Callable[[Config], Teacher]] = {"template": _template_teacher}


def _read_journal(path: Path) -> list[dict[str, Any]]:
    """Replies of an interrupted run; a last line that was cut off by the kill is dropped, that call is made again."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1] if line]


async def _collect(
    config: Config, teacher: Teacher, papers: list[dict[str, Any]], journal: Path
) -> list[dict[str, Any]]:
    records = _read_journal(journal)
    write_jsonl(journal, records)
    done = frozenset((record["paper_id"], record["kind"]) for record in records)
    if done:
        LOG.info("synthesize: %d calls were answered before, going on", len(done))
    with progress() as bar, journal.open("a", encoding="utf-8") as stream:
        task = bar.add_task("synthesize", total=len(papers) * len(config.kinds), completed=len(done))
        async for record in synthesize(papers, config.kinds, teacher, config.concurrency, done):
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            stream.flush()
            records.append(record)
            bar.advance(task)
    return records


def run(config: Config, redo: bool = False) -> None:
    """Make synthetic.jsonl unless it is there."""
    inputs = {"corpus": config.corpus}
    if config.facts is not None:
        inputs["facts"] = config.facts
    shape = shaping(config, "facts", "concurrency")
    with stage("synthesize", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("synthesize: %s is finished", config.out)
            return
        journal = config.out / f"{current.fingerprint[:16]}.{JOURNAL}"
        if redo:
            journal.unlink(missing_ok=True)
        papers = list(read_jsonl(config.corpus / "papers.jsonl", ("paper_id", "title", "text")))
        try:
            records = asyncio.run(_collect(config, TEACHERS[config.teacher](config), papers, journal))
        except (KeyError, ValueError) as error:
            raise KcptError(f"synthesize: {error}. What was answered before is kept in {journal}") from error
        paper_order = {paper["paper_id"]: place for place, paper in enumerate(papers)}
        records.sort(key=lambda record: (paper_order[record["paper_id"]], config.kinds.index(record["kind"])))
        path = config.out / "synthetic.jsonl"
        pairs = dict.fromkeys(config.kinds, 0)
        for record in records:
            pairs[record["kind"]] += len(record["pairs"])
        write_jsonl(path, records)
        journal.unlink(missing_ok=True)
        current.add(path)
        current.counts = {"papers": len(papers), "calls": len(records), "pairs": pairs}
        LOG.info("synthesize: %d pairs of %d kinds about %d papers", sum(pairs.values()), len(pairs), len(papers))
