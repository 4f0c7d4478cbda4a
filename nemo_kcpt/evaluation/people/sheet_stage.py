"""A blind sheet for people: are the models' answers right? As a web page and as a workbook.

n test questions are drawn by seed, by default those about methods, tools and results: of the teacher's kinds
qa_methods, qa_numbers_formula, qa_difficult and keywords. Where other kinds are among the test questions (SQuAD, your
own), or none of these, all are taken. Only questions that every chosen model answered are drawn. A question's answers
have letters for names, in an order of its own; equal answers of several models are shown once and count for each.

sheet.html is one file that works offline: answers, reference, the papers to read and to search, Japanese and English,
keys 1 / 0 / s, saved as one rates, export and import. sheet.xlsx holds the same answers without the papers. Give raters
one of these two, and nothing else of the folder: key.json says which model wrote which answer.

Writes sheet.html, sheet.xlsx, key.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.items import Asked, blind, choose_kinds, choose_models, draw, key_document, sheet_id
from nemo_kcpt.evaluation.people.page import Papers, page_data, read_corpus, render
from nemo_kcpt.evaluation.people.workbook import write_workbook
from nemo_kcpt.files import atomic_write, write_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.inputs import Key, read_answers, read_questions
from nemo_kcpt.runs import shaping, stage

LANGUAGES = ("auto", "ja", "en")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt human sheet`."""

    out: Path = Path(MISSING)
    """Folder for the sheet and its key."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    answers: Path = Path(MISSING)
    """Folder of kcpt generate, or an answers.jsonl."""
    corpus: Path | None = None
    """Folder of kcpt corpus, or a papers.jsonl: the papers to read and to search. Without it raters see the reference
    answer only."""
    models: str = ""
    """Comma list of the models to rate; empty takes all that answered."""
    n: int = 100
    """Questions; 0 takes all."""
    seed: int = 0
    """Seed of the draw and of the order of answers."""
    kinds: str = "auto"
    """Comma list of kinds of question to draw from, or auto; see above."""
    language: str = "auto"
    """Language in which the page starts: ja, en, or auto for that of the rater's browser. It can be switched there."""
    max_mb: float = 40.0
    """Size of the corpus (MB of text) up to which all papers go into the page; beyond it only those asked about."""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n: {self.n} is negative; give a number of questions, or 0 for all")
        if self.language not in LANGUAGES:
            raise ValueError(f"language: '{self.language}' is none of {', '.join(LANGUAGES)}")
        if self.max_mb < 0:
            raise ValueError(f"max_mb: {self.max_mb} is negative; give MB, or 0 for the papers asked about only")


def _drawn(config: Config, models: Sequence[str], questions: Mapping[str, Any], answers: Mapping[Key, Any]) -> Any:
    """The records to ask about, and how many could not be drawn because a model did not answer them."""
    test = [record for record in questions.values() if record["split"] == "test"]
    if not test:
        raise BadInput(
            f"{config.questions}: no question with split test; people rate what training has not seen. Hold papers out "
            "(`kcpt corpus`, heldout_count) and make questions about them"
        )
    kinds, reason = choose_kinds(config.kinds, [record["kind"] for record in test])
    of_kind = [record for record in test if record["kind"] in kinds]
    answered = [record for record in of_kind if all((str(record["question_id"]), model) in answers for model in models)]
    LOG.info(
        "human sheet: %d of %d test questions are of the kinds %s (%s)",
        len(of_kind),
        len(test),
        ", ".join(kinds),
        reason,
    )
    if not answered:
        raise BadInput(
            f"{config.answers}: no test question of these kinds was answered by every one of {', '.join(models)}; "
            "choose fewer models, or generate the missing answers"
        )
    unanswered = len(of_kind) - len(answered)
    if unanswered:
        LOG.warning("human sheet: %d questions are passed over: not every model answered them", unanswered)
    if 0 < len(answered) < config.n:
        LOG.warning("human sheet: %d questions are there, %d were asked for; all are taken", len(answered), config.n)
    return draw(answered, config.n, config.seed), unanswered


def _papers(config: Config, asked: Sequence[Asked]) -> tuple[Papers, str]:
    """The papers that go into the page, and what they are: all, asked or none."""
    if config.corpus is None:
        LOG.warning("human sheet: without corpus= raters cannot look anything up; give the folder of kcpt corpus")
        return {}, "none"
    wanted = {question.paper_id for question in asked}
    papers, whole = read_corpus(config.corpus, wanted, round(config.max_mb * 1e6))
    if not whole:
        LOG.warning(
            "human sheet: the corpus is larger than max_mb=%g; only the %d papers asked about can be read and searched",
            config.max_mb,
            len(papers),
        )
    missing = sorted(wanted - papers.keys())
    if missing:
        LOG.warning(
            "human sheet: %d papers asked about are not in the corpus, the first is %s", len(missing), missing[0]
        )
    return papers, "all" if whole else "asked"


def run(config: Config, redo: bool = False) -> None:
    """Write the sheet unless it is there."""
    inputs = {"questions": config.questions, "answers": config.answers}
    if config.corpus is not None:
        inputs["corpus"] = config.corpus
    with stage("human sheet", config.out, config=shaping(config, "corpus"), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("human sheet: %s is finished", config.out)
            return
        questions = read_questions(config.questions)
        answers = read_answers(config.answers, questions)
        models = choose_models(config.models, answers, str(config.answers))
        records, unanswered = _drawn(config, models, questions, answers)
        asked = blind(records, answers, models, config.seed)
        papers, corpus = _papers(config, asked)
        paths = [config.out / name for name in ("sheet.html", "sheet.xlsx", "key.json")]
        with atomic_write(paths[0]) as stream:
            stream.write(render(page_data(asked, papers, corpus, config.language)))
        cuts = write_workbook(paths[1], asked, {name: title for name, (title, _) in papers.items()})
        if cuts:
            LOG.warning("human sheet: %d texts are longer than a cell of a workbook can be and were cut there", cuts)
        write_json(paths[2], key_document(asked, models, config.seed))
        current.add(*paths)
        items = sum(len(question.items) for question in asked)
        current.counts = {
            "sheet": sheet_id(asked),
            "questions": len(asked),
            "items": items,
            "models": len(models),
            "unanswered_questions": unanswered,
            "papers": len(papers),
            "corpus": corpus,
            "cut_cells": cuts,
        }
        LOG.info(
            "human sheet: %d questions, %d answers of %d models to rate, %d papers; give raters %s or %s, not key.json",
            len(asked),
            items,
            len(models),
            len(papers),
            paths[0],
            paths[1].name,
        )
