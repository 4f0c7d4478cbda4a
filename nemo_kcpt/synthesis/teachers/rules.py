"""teacher=rules: no LLM. What rules can say of a document, and what people asked about it (human=true).

It serves baselines, studies and tests where there is no LLM: every pair is true of the text, and worse than an LLM's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.files import sha256_file
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import QUESTIONS
from nemo_kcpt.records.kinds import HUMAN
from nemo_kcpt.synthesis.rules import CANNOT, RULE_KINDS
from nemo_kcpt.synthesis.rules.human import Pairs, human_pairs, recorded_pairs, squad_sha256
from nemo_kcpt.synthesis.rules.writers import write_pairs

VERSION = 1
"""Version of the rules: raise it when they write something else, lest replies mix."""


class RulesTeacher:
    """Answers requests that carry their document; the reply depends on it, the kind and the people's questions."""

    model: str = "rules (not an LLM)"
    reads_prompts: bool = False
    reads_papers: bool = True

    def __init__(self, corpus: Path, squad: Path | None = None, human: bool = False) -> None:
        """
        Args:
            corpus: folder of kcpt corpus.
            squad: file or folder with human questions from which it was made.
            human: take the questions that the corpus holds.

        Raises:
            BadInput: it was made from something else, or holds no questions.
        """
        self._asked: Pairs = {}
        self._from: dict[str, str] = {}
        if squad is not None:
            self._asked, self._from = human_pairs(squad, corpus), {"squad": squad_sha256(squad)}
        elif human:
            self._asked, self._from = recorded_pairs(corpus), {"human": sha256_file(QUESTIONS.path(corpus))}
        self.kinds = (*RULE_KINDS, *((HUMAN,) if self._from else ()))
        """What it can write."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The version of the rules, and the hash of the people's questions."""
        return {"rules": VERSION, **self._from}

    async def prepare(self) -> None:
        """Say what it is and what it cannot write."""
        LOG.info("synthesize: teacher=rules is no LLM and cannot write %s", ", ".join(CANNOT))

    async def close(self) -> None:
        """Nothing to close."""

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """Write the pairs of one document and kind; there may be none.

        Raises:
            TeacherFault: it cannot write the kind, or not in the document's language.
        """
        assert request.paper is not None
        try:
            human = request.kind == HUMAN
            pairs = self._asked.get(request.paper_id, []) if human else write_pairs(request.paper, request.kind)
        except ValueError as error:
            message = f"paper {request.paper_id}: {error}. kcpt corpus languages=[ja,en] leaves other documents out"
            raise TeacherFault("not_by_rules", message, fatal=True) from error
        text = json.dumps({"pairs": pairs}, ensure_ascii=False)
        return TeacherReply(text=text, finish_reason="stop", usage={"prompt_tokens": 0, "completion_tokens": 0})
