"""What is to be asked: papers, their parts, kinds, and the request of each call.

A plan is walked twice, when asking and when writing, and gives the same calls both times; nothing of it is kept in
memory but the paper in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_jsonl
from nemo_kcpt.runs import Shard
from nemo_kcpt.synthesis.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.synthesis.parts import split_text
from nemo_kcpt.synthesis.prompts import Prompt, Prompts, language_of
from nemo_kcpt.synthesis.replies import UnreadableReply, read_pairs, read_reply
from nemo_kcpt.synthesis.teacher import Teacher, TeacherRequest, request_sha256

LEAST_ROOM = 256
"""Tokens that must be left for a part of a paper."""
MARGIN = 64
"""Tokens kept free for what a chat template adds."""
PAPER_FIELDS = ("paper_id", "title", "text")


@dataclass(frozen=True)
class Call:
    """One call: a paper, or a part of it, and a kind. Asked again with another seed, it is another request."""

    paper: Mapping[str, Any]
    prompt: Prompt
    request: TeacherRequest
    parts: int
    model: str
    params: Mapping[str, Any]

    def attempt(self, number: int) -> tuple[str, TeacherRequest]:
        """Key and request of attempt `number`, counted from 0."""
        request = replace(self.request, seed=self.request.seed + number)
        return request_sha256(self.model, self.params, request), request

    def pairs(self, reply: str) -> list[dict[str, str]]:
        """The pairs of a reply.

        Raises:
            UnreadableReply: it has another form.
        """
        if not self.request.messages:
            return read_pairs(reply, may_be_none=self.request.paper is not None)
        return read_reply(reply, self.prompt, self.paper, self.request.part, self.parts)

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
        for paper in read_jsonl(self.papers, PAPER_FIELDS):
            if self.shard is None or self.shard.holds(paper["paper_id"]):
                yield paper

    def number(self) -> int:
        """Calls, if no paper is divided."""
        return sum(1 for _ in self.records()) * len(self.kinds)

    def calls(self, paper: Mapping[str, Any]) -> Iterator[Call]:
        """The calls of one paper: kinds in order, each of all parts."""
        language = language_of(paper)
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
                yield Call(paper, prompt, request, len(spans), model, params)

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
        last = None
        for number in range(self.retries + 1):
            key, request = call.attempt(number)
            row = journal.get(key)
            if row is None or row.status == FAILED:
                return State(last, key, request, number)
            if row.status == DONE and _still_readable(call, row):
                return State(row, key, request, -1)
            last = replace(row, status=UNREADABLE)
        return State(last, key, request, -1)


def _still_readable(call: Call, row: Row) -> bool:
    try:
        call.pairs(row.reply)
    except UnreadableReply:
        return False
    return True
