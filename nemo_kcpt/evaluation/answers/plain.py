"""Answers without the thoughts before them, and what is told of answers that are none or were cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nemo_kcpt.llm.request import is_shortened
from nemo_kcpt.llm.thoughts import UNFINISHED, UnfinishedThought, closes, ends_with_opening, without_thought
from nemo_kcpt.logs import LOG
from nemo_kcpt.serving.prompts import ModelRequest

Answer = Mapping[str, Any]


def leaves_a_thought_open(request: ModelRequest) -> bool:
    """Whether a model's chat template begins the thought itself, so that its answers only end it."""
    from tokenizers import Tokenizer

    if not request.prompts:
        return False
    tokenizer = Tokenizer.from_file(str(request.folder / "tokenizer.json"))
    return ends_with_opening(tokenizer.decode(request.prompts[0].prompt_ids[-20:], skip_special_tokens=False))


def told_by_others(records: Iterable[Answer]) -> list[dict[str, Any]]:
    """A server's answers, those marked whose thought was cut off without a mark: a model that ends a thought in other
    answers without having begun it has a template that begins it."""
    found = [dict(record) for record in records]
    thinking = {record["model"] for record in found if closes(record["answer"])}
    for record in found:
        if record["model"] in thinking and record["finish_reason"] == "length" and not closes(record["answer"]):
            record["answer"] = f"<think>{record['answer']}"
    return found


def answered(record: Answer, opened: bool) -> dict[str, Any]:
    """An answer's record, the thought before the answer left out. Where the thought does not end there is no answer: an
    empty text, and the fault's name.

    Args:
        record: of answers.jsonl.
        opened: the prompt has begun the thought.
    """
    try:
        answer = without_thought(record["answer"], opened=opened)
    except UnfinishedThought:
        return {**record, "answer": "", "fault": UNFINISHED}
    return {**record, "answer": answer} | ({"thought": True} if answer != record["answer"] else {})


def tell_faults(records: Sequence[Answer], max_new_tokens: int) -> dict[str, Any]:
    """Counts for the manifest, with a warning for each kind that there is; a fault's absence is not mentioned."""
    unfinished = sum(record.get("fault") == UNFINISHED for record in records)
    shortened = sum(
        is_shortened(record["finish_reason"], record["completion_tokens"], max_new_tokens) for record in records
    )
    filtered = sum(record["finish_reason"] == "content_filter" for record in records)
    thoughts = sum(bool(record.get("thought")) for record in records)
    served = Counter(record["served_model"] for record in records if record.get("served_model"))
    if unfinished:
        LOG.warning(
            "generate: %d of %d answers end before the model's thought does; they are empty, with fault %s. Give more "
            "max_new_tokens=",
            unfinished,
            len(records),
            UNFINISHED,
        )
    if shortened:
        LOG.warning(
            "generate: %d of %d answers were cut off by the server before max_new_tokens=%d were used up: prompt and "
            "answer do not fit its window, or its generation_config.json has a limit",
            shortened,
            len(records),
            max_new_tokens,
        )
    if filtered:
        LOG.warning(
            "generate: %d of %d answers were cut off by the server's content filter; what they say is not all that the "
            "model would have said",
            filtered,
            len(records),
        )
    counts = {
        "unfinished_thoughts": unfinished,
        "shortened": shortened,
        "filtered": filtered,
        "thoughts_left_out": thoughts,
    }
    return {name: number for name, number in counts.items() if number} | (
        {"served_models": dict(served)} if served else {}
    )
