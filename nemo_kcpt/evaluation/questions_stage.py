"""Questions for the models: train questions, which training has seen, and test questions, which it has not.

Both come from the teacher's five qa_* kinds and keywords (synthetic.jsonl): of the papers in split.json's `train` for
the train questions, of its `heldout` for the test questions. n of each are drawn by seed; a question that stands there
twice is kept once, and a test question that is also a train question is dropped.

With facts=FILE (the fictional papers of `kcpt demo`) the questions come from the fact sheets instead, and carry beside
the contract `fact`, `accepted` (all right forms of the answer) and `wording` (seen or unseen in training).

Writes questions.jsonl.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import file_in, read_json, read_jsonl, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import shaping, stage

SPLITS = {"train": "train", "test": "heldout"}
"""Split of a question -> list of split.json from whose papers it comes."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt questions`."""

    out: Path = Path(MISSING)
    """Folder for questions.jsonl."""
    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus (papers.jsonl, split.json)."""
    synthetic: Path | None = None
    """Folder of kcpt synthesize, or a synthetic.jsonl; needed unless facts is given."""
    facts: Path | None = None
    """facts.jsonl of the demo's fictional papers: questions with known exact answers."""
    n: int = 500
    """Questions per split; 0 takes all."""
    seed: int = 0
    """Seed of the draw."""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n: {self.n} is negative; give the number of questions per split, or 0 for all")


def _read_split(corpus: Path) -> dict[str, list[str]]:
    path = corpus / "split.json"
    split = read_json(path)
    if not isinstance(split, dict) or not all(isinstance(split.get(name), list) for name in SPLITS.values()):
        raise BadInput(f"{path}: expected an object with the lists train and heldout; make it with `kcpt corpus`")
    papers = {record["paper_id"] for record in read_jsonl(corpus / "papers.jsonl", ("paper_id",))}
    for name in SPLITS.values():
        unknown = [paper_id for paper_id in split[name] if paper_id not in papers]
        if unknown:
            raise BadInput(f"{path}: {name} names paper '{unknown[0]}', which is not in {corpus / 'papers.jsonl'}")
    both = set(split["train"]) & set(split["heldout"])
    if both:
        raise BadInput(
            f"{path}: paper '{min(both)}' is both in train and in heldout; held-out questions would be known"
        )
    return split


def _from_pairs(path: Path, split: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    from nemo_kcpt.synthesis.kinds import is_heldout

    side = {paper_id: name for name, key in SPLITS.items() for paper_id in split[key]}
    for number, record in enumerate(read_jsonl(path, ("paper_id", "kind", "pairs")), start=1):
        paper_id, kind = record["paper_id"], record["kind"]
        if paper_id not in side:
            raise BadInput(
                f"{path}, record {number}: paper '{paper_id}' is not in split.json; "
                "synthesize from the same corpus folder"
            )
        if not is_heldout(record):
            continue
        part = f"{record['part']}." if record.get("parts", 1) > 1 else ""
        for index, pair in enumerate(record["pairs"]):
            if not str(pair.get("instruction") or "").strip() or not str(pair.get("output") or "").strip():
                raise BadInput(f"{path}, record {number}, pair {index}: instruction or output is missing or empty")
            yield {
                "question_id": f"{paper_id}:{kind}:{part}{index}",
                "split": side[paper_id],
                "paper_id": paper_id,
                "kind": kind,
                "question": pair["instruction"].strip(),
                "answer": pair["output"].strip(),
                "kept": True,
                "filter": {"by": "none", "reason": "no context filter was asked for"},
            }


def _from_facts(path: Path, split: dict[str, list[str]], seed: int) -> Iterator[dict[str, Any]]:
    from nemo_kcpt.demo.fact_questions import make_questions
    from nemo_kcpt.demo.facts import FactSheet

    sheets = {}
    for number, record in enumerate(read_jsonl(path), start=1):
        try:
            sheet = FactSheet.from_dict(record)
        except (ValueError, TypeError) as error:
            raise BadInput(f"{path}, record {number}: {error}") from None
        sheets[sheet.paper_id] = sheet
    for name, key in SPLITS.items():
        missing = [paper_id for paper_id in split[key] if paper_id not in sheets]
        if missing:
            raise BadInput(
                f"{path}: no fact sheet of paper '{missing[0]}'; give the facts of the corpus that was split"
            )
        yield from make_questions([sheets[paper_id] for paper_id in split[key]], name, seed)


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _without_duplicates(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Train questions first, so that of a question in both splits the train one stays."""
    ordered = sorted(records, key=lambda record: record["split"] == "test")
    seen: set[str] = set()
    kept = []
    for record in ordered:
        text = _same(record["question"])
        if text not in seen:
            seen.add(text)
            kept.append(record)
    return kept


def draw(records: list[dict[str, Any]], n: int, seed: int) -> list[dict[str, Any]]:
    """`n` records of each split (all where n is 0 or too large), in their order, by seed."""
    drawn: list[dict[str, Any]] = []
    for name in SPLITS:
        of_split = [record for record in records if record["split"] == name]
        if n and n < len(of_split):
            chosen = random.Random(f"{seed}-{name}").sample(range(len(of_split)), n)
            of_split = [of_split[index] for index in sorted(chosen)]
        drawn += of_split
    return drawn


def run(config: Config, redo: bool = False) -> None:
    """Write the questions unless they are there."""
    inputs = {"corpus": config.corpus}
    source = config.facts if config.facts is not None else config.synthetic
    if source is None:
        raise BadInput("needs synthetic=FOLDER (of kcpt synthesize) or facts=FILE; see kcpt questions --help")
    inputs["facts" if config.facts is not None else "synthetic"] = source
    with stage(
        "questions", config.out, config=shaping(config, "corpus", "synthetic", "facts"), inputs=inputs, redo=redo
    ) as current:
        if current.done:
            LOG.info("questions: %s is finished", config.out)
            return
        split = _read_split(config.corpus)
        if config.facts is not None:
            records = list(_from_facts(config.facts, split, config.seed))
        else:
            records = list(_from_pairs(file_in(source, "synthetic.jsonl"), split))
        unique = _without_duplicates(records)
        questions = draw(unique, config.n, config.seed)
        counts = {name: sum(record["split"] == name for record in questions) for name in SPLITS}
        if not questions:
            raise BadInput(f"{source}: no question in it; the qa_* kinds and keywords are needed (kcpt synthesize)")
        write_jsonl(config.out / "questions.jsonl", questions)
        current.add(config.out / "questions.jsonl")
        current.counts = {**counts, "duplicates": len(records) - len(unique)}
        LOG.info(
            "questions: %d train, %d test, %d duplicates dropped",
            counts["train"],
            counts["test"],
            len(records) - len(unique),
        )
