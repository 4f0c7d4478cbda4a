"""What is to be judged, read and checked: answers with their questions, evidence and prompts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.judging.evidence import Evidence, Finder, check_papers
from nemo_kcpt.evaluation.judging.prompts import MOST, Case, cut_names, messages, reminder
from nemo_kcpt.hf.limits import positions
from nemo_kcpt.llm.counting import token_counter
from nemo_kcpt.llm.fences import shortened
from nemo_kcpt.llm.fitting import folder_of
from nemo_kcpt.llm.inquiry import Inquiry
from nemo_kcpt.llm.verdicts import SCHEMA, read_verdict
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.records.files import PAPERS, Key
from nemo_kcpt.records.inputs import check_papers_of, read_answers, read_papers, read_questions
from nemo_kcpt.text.language import question_language

if TYPE_CHECKING:
    from nemo_kcpt.evaluation.judging.config import Config


AROUND = 2048
"""Tokens that are kept free for question, reference, answer and instructions where a window is short."""
LEAST = 100


class Work:
    """What is to be judged: (question_id, model) in the order of the answers, with their evidence and language."""

    def __init__(self, config: Config) -> None:
        self.questions = read_questions(config.questions)
        answers = read_answers(config.answers, self.questions)
        models = dict.fromkeys(model for _, model in answers)
        for model in config.models:
            if model not in models:
                raise BadInput(f"models: no answers of '{model}' in {config.answers}; {nearest(model, list(models))}")
        self.answers = {
            key: str(record["answer"])
            for key, record in answers.items()
            if not config.models or key[1] in config.models
        }
        _check_names(self.answers, config.answers)
        papers = read_papers(config.papers)
        check_papers(papers, PAPERS.path(config.papers))
        check_papers_of((self.questions[question_id] for question_id, _ in self.answers), papers, config.papers)
        count, self.unit = token_counter(config.tokenizer)
        self.count = lambda text: count(text.encode("utf-8", "replace").decode())  # tokenizers refuse half characters
        self._finder = Finder(
            papers, config.evidence, tokens=paper_tokens(config), passages=config.passages, count=self.count
        )
        self._whole = config.evidence == "paper"
        self.evidence: dict[Key, Evidence] = {}
        self.languages: dict[Key, str] = {}
        # Paper by paper: the finder keeps the last one's passages, and a server the last one's prefix.
        ordered = sorted(self.answers, key=lambda key: (str(self.questions[key[0]]["paper_id"]), key[0]))
        with progress() as bar:
            for key in bar.track(ordered, description="judge: evidence"):
                asked = self.questions[key[0]]
                answer = shortened(self.answers[key], MOST["answer"])[0]
                self.evidence[key] = self._finder.find(
                    str(asked["paper_id"]), asked["question"], asked["answer"], answer
                )
                self.languages[key] = (
                    question_language(asked["question"]) if config.language == "auto" else config.language
                )

    def case(self, key: Key) -> Case:
        """What the judge is shown."""
        asked, evidence = self.questions[key[0]], self.evidence[key]
        return Case(
            question=asked["question"],
            reference=asked["answer"],
            answer=self.answers[key],
            passages=self._finder.text(evidence),
            whole=self._whole and not evidence.cut,
        )

    def inquiry(self, key: Key, secret: str) -> Inquiry:
        """What is asked about an answer; the prompt is made when it is needed."""
        language = self.languages[key]
        return Inquiry(
            name=name_of(key),
            kind="judge",
            messages=lambda: messages(self.case(key), secret, language),
            schema=SCHEMA,
            read=read_verdict,
            reminder=reminder(language),
        )

    def cut(self, key: Key) -> list[str]:
        """What is not shown whole."""
        return cut_names(self.case(key)) + ["paper"] * self.evidence[key].cut


def paper_tokens(config: Config) -> int:
    """Tokens of a paper that are shown: as asked for, or what the judges have room for if their folders are here."""
    if config.engine != "vllm" or config.evidence != "paper":
        return config.paper_tokens
    folders = [folder for name, _, _ in config.servers() if (folder := folder_of(name)) is not None]
    windows = [most for folder in folders if (most := positions(folder)) is not None]
    window = min([*windows, *([config.window] if config.window else [])], default=config.paper_tokens)
    if window >= config.paper_tokens:
        return config.paper_tokens
    room = max(LEAST, window - config.max_tokens - AROUND)
    LOG.warning("judge: the model has %d positions: paper_tokens=%d in place of %d", window, room, config.paper_tokens)
    return room


def _check_names(keys: Iterable[Key], path: Path) -> None:
    for question_id, model in keys:
        for name, text in (("question_id", question_id), ("model", model)):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise BadInput(
                    f"{path}: {name} {text!a} holds half a UTF-16 character; give it a name that is UTF-8"
                ) from None


def name_of(key: Key) -> str:
    """What an answer is called in the journal."""
    return json.dumps(key, ensure_ascii=False)
