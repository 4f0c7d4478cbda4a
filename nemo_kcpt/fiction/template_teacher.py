"""A teacher without an LLM: writes all 16 kinds from the fact sheets of fictional papers, with varied wording.

It is a stand-in that makes a whole run possible offline and in seconds. Everything it writes is true of the sheet, so
whatever a model gets wrong afterwards, it got wrong in training.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from nemo_kcpt.fiction.choice import pick, shuffled
from nemo_kcpt.fiction.fact_questions import QA_FACTS, teacher_questions
from nemo_kcpt.fiction.facts import FACTS, FactSheet, fact_value
from nemo_kcpt.fiction.papers import (
    ELABORATION_TURN,
    PARAPHRASE_TURN,
    PLAIN_TURN,
    fields_of,
    layout_text,
    state,
    wordings,
)
from nemo_kcpt.fiction.wording_zh import RELATIONS, TRANSLATIONS
from nemo_kcpt.fiction.wordings import wording_for
from nemo_kcpt.files import canonical_json, sha256_text
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.records.kinds import KINDS

_ELABORATED = 3
"""Facts that an elaboration adds a sentence to."""


class TemplateTeacher:
    """Answers requests about the papers of `sheets`; the reply depends on the sheet, the kind and nothing else."""

    model: str = "template-teacher (stand-in, not an LLM)"
    reads_prompts: bool = False

    def __init__(self, sheets: Sequence[FactSheet]) -> None:
        self._sheets = {sheet.paper_id: sheet for sheet in sheets}
        self._facts = sha256_text(canonical_json([asdict(sheet) for sheet in sheets]))

    @property
    def params(self) -> Mapping[str, Any]:
        """The facts' hash, and the version of the wording: raise it when templates change, lest replies mix."""
        return {"wording": 1, "facts": self._facts}

    async def prepare(self) -> None:
        """Nothing to find out."""

    async def close(self) -> None:
        """Nothing to close."""

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """Write the pairs of one paper and kind.

        Raises:
            TeacherFault: there is no sheet of this paper, or it is an unknown kind.
        """
        if request.paper_id not in self._sheets:
            message = "the template teacher has no fact sheet of it; it can write about its own papers only"
            raise TeacherFault("unknown_paper", f"paper {request.paper_id}: {message}", fatal=True)
        try:
            pairs = write_pairs(self._sheets[request.paper_id], request.kind)
        except ValueError as error:
            raise TeacherFault("unknown_kind", str(error), fatal=True) from error
        text = json.dumps({"pairs": pairs}, ensure_ascii=False)
        return TeacherReply(text=text, finish_reason="stop", usage={"prompt_tokens": 0, "completion_tokens": 0})


def write_pairs(sheet: FactSheet, kind: str) -> list[dict[str, str]]:
    """The instruction-output pairs of one kind about one paper."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}: expected one of {', '.join(KINDS)}")
    if kind in QA_FACTS:
        return [_pair(item.question, item.answer) for item in teacher_questions(sheet) if item.kind == kind]
    wording, fields = wording_for(sheet.language), fields_of(sheet, sheet.language)
    if kind == "keywords":
        pairs = (pick(options, sheet.paper_id, kind) for options in (wording.keywords, wording.task_keywords))
        return [_pair(instruction.format(**fields), output.format(**fields)) for instruction, output in pairs]
    instruction = pick(wording.instructions[kind], sheet.paper_id, kind, "instruction").format(**fields)
    return [_pair(instruction, _WRITERS[kind](sheet))]


def _pair(instruction: str, output: str) -> dict[str, str]:
    return {"instruction": instruction, "output": output}


def _paraphrase(sheet: FactSheet) -> str:
    """The whole paper again: other order, other sentences, no headings."""
    wording = wording_for(sheet.language)
    return wording.join.join(
        state(sheet, fact, sheet.language, PARAPHRASE_TURN) for fact in shuffled(FACTS, sheet.paper_id, "paraphrase")
    )


def _summary(sheet: FactSheet) -> str:
    return pick(wording_for(sheet.language).summaries, sheet.paper_id, "summary").format(
        **fields_of(sheet, sheet.language)
    )


def _polite(sheet: FactSheet, fact: str, turn: int) -> str:
    options = shuffled(wordings(wording_for(sheet.language).polite, sheet, fact), sheet.paper_id, fact, "polite")
    return options[turn % len(options)].format(**fields_of(sheet, sheet.language))


def _generalized(sheet: FactSheet) -> str:
    facts = ["task", *shuffled([fact for fact in FACTS if fact != "task"], sheet.paper_id, "generalized")]
    return wording_for(sheet.language).join.join(_polite(sheet, fact, 0) for fact in facts)


def _elaboration(sheet: FactSheet) -> str:
    """Every fact, some of them with a sentence of background."""
    wording = wording_for(sheet.language)
    elaborated = shuffled(FACTS, sheet.paper_id, "elaborated")[:_ELABORATED]
    lines = []
    for fact in shuffled(FACTS, sheet.paper_id, "elaboration"):
        lines.append(state(sheet, fact, sheet.language, ELABORATION_TURN))
        if fact in elaborated:
            added = pick(wording.elaborations[fact], sheet.paper_id, fact)
            lines.append(added.format(**fields_of(sheet, sheet.language)))
    return wording.join.join(lines)


def _kg_extraction(sheet: FactSheet) -> str:
    wording, fields = wording_for(sheet.language), fields_of(sheet, sheet.language)
    names, form = pick(wording.kg, sheet.paper_id, "kg"), pick(wording.kg_formats, sheet.paper_id, "kg format")
    return "\n".join(
        form.format(m=sheet.method, r=names[fact].format(**fields), v=fact_value(sheet, fact))
        for fact in shuffled(FACTS, sheet.paper_id, "kg order")
    )


def _translation_en(sheet: FactSheet) -> str:
    """The paper in English; for an English paper, other sentences of the same meaning."""
    return layout_text(sheet, "en", PLAIN_TURN)


def _translation_zh(sheet: FactSheet) -> str:
    fields = fields_of(sheet, "zh")
    relation = pick(RELATIONS[sheet.relation], sheet.paper_id, "zh relation").format(**fields)
    return pick(TRANSLATIONS, sheet.paper_id, "zh").format(relation=relation, **fields)


def _positive_negative(sheet: FactSheet) -> str:
    options = wording_for(sheet.language).positive_negative
    return pick(options, sheet.paper_id, "positive_negative").format(**fields_of(sheet, sheet.language))


def _reference(sheet: FactSheet) -> str:
    options = wording_for(sheet.language).references[sheet.relation]
    return pick(options, sheet.paper_id, "reference").format(**fields_of(sheet, sheet.language))


def _discussion(sheet: FactSheet) -> str:
    """A dialogue of five turns, the last one about what is left open."""
    wording, fields = wording_for(sheet.language), fields_of(sheet, sheet.language)
    asking, answering = pick(wording.speakers, sheet.paper_id, "speakers")
    lines = []
    for question, facts in wording.discussion_topics:
        replies = [_polite(sheet, fact, 1) for fact in facts] or [
            pick(wording.closing_polite, sheet.paper_id, "discussion")
        ]
        lines += [f"{asking}: {question.format(**fields)}", f"{answering}: {wording.join.join(replies)}"]
    return "\n".join(lines)


_WRITERS = {
    "paraphrase": _paraphrase,
    "summary": _summary,
    "generalized": _generalized,
    "elaboration": _elaboration,
    "kg_extraction": _kg_extraction,
    "translation_en": _translation_en,
    "translation_zh": _translation_zh,
    "positive_negative": _positive_negative,
    "reference": _reference,
    "discussion": _discussion,
}
