"""What is to be asked: papers, their parts, kinds, and the request of each call.

A plan is walked twice, when asking and when writing, and gives the same calls both times; nothing of it is kept in
memory but the paper in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.attempts import Attempt, attempts, find
from nemo_kcpt.llm.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.llm.request import Teacher, TeacherRequest, UnreadableReply, request_sha256
from nemo_kcpt.records.files import PAPERS
from nemo_kcpt.runs import Shard
from nemo_kcpt.synthesis.prompts import Prompt, Prompts
from nemo_kcpt.synthesis.replies import Reading, read_pairs, read_reply
from nemo_kcpt.text.language import prompt_language
from nemo_kcpt.text.parts import split_text

LEAST_ROOM = 256
"""Tokens that must be left for a part of a paper."""
MARGIN = 64
"""Tokens kept free for what a chat template adds."""


@dataclass(frozen=True)
class Call:
    """One call: a paper, or a part of it, and a kind. Asked again, it is another request (attempts.py)."""

    paper: Mapping[str, Any]
    prompt: Prompt
    request: TeacherRequest
    parts: int
    model: str
    params: Mapping[str, Any]
    tries: Sequence[Attempt]
    """The request, and those that are made where replies cannot be read."""

    def attempt(self, number: int) -> tuple[str, TeacherRequest]:
        """Key and request of attempt `number`, counted from 0."""
        request = self.tries[number].request
        return self.key(request), request

    def key(self, request: TeacherRequest) -> str:
        """Key of a request in the journal."""
        return request_sha256(self.model, self.params, request)

    def means(self, reply: str, finish_reason: str = "") -> Reading:
        """The pairs of a reply, and what was repaired to read them.

        Raises:
            UnreadableReply: it has another form.
        """
        if not self.request.messages:
            return Reading(read_pairs(reply, may_be_none=self.request.paper is not None))
        return read_reply(reply, self.prompt, self.paper, self.request.part, self.parts, finish_reason)

    @property
    def name(self) -> str:
        """For messages."""
        part = f", part {self.request.part + 1} of {self.parts}" if self.parts > 1 else ""
        return f"paper {self.request.paper_id}, kind {self.request.kind}{part}"


@dataclass(frozen=True)
class State:
    """How far a call is."""

    row: Row | None
    """The last answered request of it."""
    key: str
    request: TeacherRequest
    attempt: int
    """The next one to make; -1 if there is nothing left to do."""

    @property
    def temperature(self) -> float | None:
        """Temperature of the request that was answered, if it is not the teacher's own."""
        return self.request.temperature if self.row is not None and self.row.key == self.key else None

    @property
    def done(self) -> bool:
        """Answered in the form asked for."""
        return self.row is not None and self.row.status == DONE


class Plan:
    """The calls of a run."""

    def __init__(
        self,
        papers: Path,
        kinds: Sequence[str],
        prompts: Mapping[str, Prompts],
        teacher: Teacher,
        *,
        window: int,
        count: Callable[[str], int],
        retries: int = 3,
        seed: int = 0,
        example: Callable[[str, str], str] | None = None,
        shard: Shard | None = None,
    ) -> None:
        """
        Args:
            papers: papers.jsonl.
            kinds: to ask for, in order.
            prompts: by language.
            teacher: who is asked.
            window: tokens that a prompt may have; 0: papers are never divided.
            count: tokens of a text.
            retries: times an unreadable reply is asked for again with another seed.
            seed: of the first attempt.
            example: (paper_id, kind) -> an instruction and output to show, or none.
            shard: the papers of this one only.

        Raises:
            BadInput: there is no prompt of a kind.
        """
        self.papers = papers
        self.kinds = list(kinds)
        self.prompts = prompts
        self.teacher = teacher
        self.window = window
        self.count = count
        self.retries = retries
        self.seed = seed
        self.example = example
        self.shard = shard
        for language, known in prompts.items():
            if unknown := [kind for kind in self.kinds if kind not in known.by_kind]:
                raise BadInput(
                    f"kinds: no prompt {unknown[0]}.{language}.j2; there are {', '.join(known.by_kind)}. "
                    "Put the file into a folder of yours and give it by prompts=FOLDER"
                )

    def records(self) -> Iterator[dict[str, Any]]:
        """The papers of the plan, in their order."""
        for paper in PAPERS.read(self.papers, "title"):
            if self.shard is None or self.shard.holds(paper["paper_id"]):
                yield paper

    def number(self) -> int:
        """Calls, if no paper is divided."""
        return sum(1 for _ in self.records()) * len(self.kinds)

    def calls(self, paper: Mapping[str, Any]) -> Iterator[Call]:
        """The calls of one paper: kinds in order, each of all parts."""
        language = prompt_language(paper)
        prompts = self.prompts[language]
        spans = self._spans(paper, prompts) if self.teacher.reads_prompts else [""]
        heads = [prompts.head(paper, text, part=part, parts=len(spans)) for part, text in enumerate(spans)]
        model, params = self.teacher.model, self.teacher.params
        for kind in self.kinds:
            prompt = prompts.by_kind[kind]
            example = self.example(paper["paper_id"], kind) if self.example else ""
            for part, head in enumerate(heads):
                request = TeacherRequest(paper["paper_id"], kind, language, part=part, seed=self.seed)
                if self.teacher.reads_prompts:
                    messages = prompts.messages(kind, paper, head, part=part, parts=len(spans), example=example)
                    request = replace(request, messages=messages, schema=prompt.schema)
                elif getattr(self.teacher, "reads_papers", False):
                    request = replace(request, paper=paper)
                former = prompt.former(request.messages)
                tries = attempts(request, self.retries + 1, self.teacher, former=former)
                yield Call(paper, prompt, request, len(spans), model, params, tries)

    def _spans(self, paper: Mapping[str, Any], prompts: Prompts) -> list[str]:
        text = paper["text"]
        if not self.window:
            return [text]
        # Cheap and sure for most papers: no tokeniser makes more tokens than there are bytes.
        if 3 * len(text) < self.window // 2 and not paper.get("references"):
            return [text]
        empty = prompts.head(paper, "", parts=2)
        around = max(
            sum(self.count(message["content"]) for message in prompts.messages(kind, paper, empty, parts=2))
            for kind in self.kinds
        )
        room = self.window - around - MARGIN
        if room < LEAST_ROOM:
            raise BadInput(
                f"paper {paper['paper_id']}: its prompt takes {around} tokens without the text (its reference list is "
                f"part of it), and only {self.window} are left beside max_tokens. Give a larger window="
            )
        return [text[part.start : part.end] for part in split_text(text, room, self.count)]

    def state(self, call: Call, journal: Journal) -> State:
        """How far a call is, by the journal."""
        last = revived = None
        for number, attempt in enumerate(call.tries):
            request = attempt.request
            row = find(journal, attempt, call.key, partial(_still_readable, call))
            if row is None or row.status == FAILED:
                return revived or State(last, call.key(request), request, number)
            if row.status == DONE and _still_readable(call, row):
                return State(row, call.key(request), request, -1)
            if revived is None and row.status == UNREADABLE and _still_readable(call, row):
                # An earlier version could not read it: better than to pay for another one.
                revived = State(replace(row, status=DONE, fault=""), call.key(request), request, -1)
            last = replace(row, status=UNREADABLE)
        return revived or State(last, call.key(request), request, -1)


def _still_readable(call: Call, row: Row) -> bool:
    try:
        call.means(row.reply, row.finish_reason)
    except UnreadableReply:
        return False
    return True
