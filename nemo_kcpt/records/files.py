"""The record files that steps hand to each other: what each is called, the fields it must have, and its one reader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import file_in, read_jsonl, read_jsonl_lines

Key = tuple[str, str]
"""(question_id, model)."""


@dataclass(frozen=True)
class RecordFile:
    """A JSON Lines file that one stage writes and others read; each method takes the stage's folder or the file."""

    name: str
    required: tuple[str, ...]

    def path(self, given: Path) -> Path:
        """The file."""
        return file_in(given, self.name)

    def read(self, given: Path, *also: str) -> Iterator[dict[str, Any]]:
        """The records, one by one; `also`: fields that this reader cannot do without.

        Raises:
            BadInput: as `read_jsonl`.
        """
        return read_jsonl(self.path(given), (*self.required, *also))

    def lines(self, given: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        """The records, each with the number of its line."""
        return read_jsonl_lines(self.path(given), self.required)

    def keyed(self, given: Path) -> Iterator[tuple[str, Key, dict[str, Any]]]:
        """For records of answers: where each is (for messages), what it is about, and itself.

        Raises:
            BadInput: two records are about one answer.
        """
        path, seen = self.path(given), set()
        for number, record in self.lines(path):
            key = (str(record["question_id"]), str(record["model"]))
            if key in seen:
                raise BadInput(
                    f"{path}, line {number}: second record of model '{key[1]}' for question '{key[0]}'; keep one"
                )
            seen.add(key)
            yield f"{path}, line {number}", key, record


_ANSWER = ("question_id", "model")
PAPERS = RecordFile("papers.jsonl", ("paper_id", "text"))
DROPPED = RecordFile("dropped.jsonl", ())
SYNTHETIC = RecordFile("synthetic.jsonl", ("paper_id", "kind", "pairs"))
FACTS_FILE = RecordFile("facts.jsonl", ())
REPLAY_TEXTS = RecordFile("replay.jsonl", ("text",))
CONVERSATIONS = RecordFile("replay.jsonl", ("messages",))
SAMPLES = RecordFile("all_included.jsonl", ("messages", "origin"))
QUESTIONS = RecordFile("questions.jsonl", ("question_id", "split", "paper_id", "kind", "question", "answer"))
ANSWERS = RecordFile("answers.jsonl", (*_ANSWER, "answer"))
VERDICTS = RecordFile("verdicts.jsonl", (*_ANSWER, "judge"))
RATINGS = RecordFile("ratings.jsonl", (*_ANSWER, "rating"))
SCORES = RecordFile("scores.jsonl", _ANSWER)
PERPLEXITY = RecordFile("perplexity.jsonl", (*_ANSWER, "tokens", "bytes", "nats"))
DIVERGENCE = RecordFile("divergence.jsonl", (*_ANSWER, "tokens", "nats", "same_top"))
STEPS = RecordFile("metrics.jsonl", ("step", "loss"))
"""A training's, one line a step."""
