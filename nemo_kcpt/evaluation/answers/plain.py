"""Answers without the thoughts before them, and the warnings about answers that are empty or were cut off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nemo_kcpt.llm.request import is_shortened
from nemo_kcpt.logs import LOG
from nemo_kcpt.text.thoughts import UNFINISHED, UnfinishedThought, closes, without_thought

Answer = Mapping[str, Any]


def told_by_others(records: Iterable[Answer]) -> list[dict[str, Any]]:
    """A server's answers, those marked whose thought was cut off without a mark: a model that ends a thought in other
    answers without having begun it has a template that begins it."""
    answers = [dict(record) for record in records]
    thinking = {record["model"] for record in answers if closes(record["answer"])}
    for record in answers:
        if record["model"] in thinking and record["finish_reason"] == "length" and not closes(record["answer"]):
            record["answer"] = f"<think>{record['answer']}"
    return answers


def answered(record: Answer, opened: bool, thought_tokens: int | None = None) -> dict[str, Any]:
    """An answer's record, the thought before the answer left out. Where the thought does not end there is no answer: an
    empty text, and the fault's name. How long the thought was is in the record, in characters and, where it is known,
    in tokens.

    Args:
        record: of answers.jsonl, with `thought_characters` where a server gave the thought apart.
        opened: the prompt has begun the thought.
        thought_tokens: of a thought that ended, if it did; None where tokens are not known.
    """
    text, apart = record["answer"], int(record.get("thought_characters") or 0)
    known = {name: value for name, value in record.items() if name != "thought_characters"}
    try:
        answer = without_thought(text, opened=opened)
    except UnfinishedThought:
        tokens = record["completion_tokens"] if thought_tokens is not None else known.get("thought_tokens")
        length = {"thought_tokens": tokens} if tokens else {}
        return {**known, "answer": "", "fault": UNFINISHED, "thought_characters": len(text), **length}
    if answer == text and not apart and not known.get("thought_tokens"):
        return {**known, "answer": answer}
    characters = apart or len(text) - len(answer)
    length = {"thought_tokens": thought_tokens} if thought_tokens else {}
    return {**known, "answer": answer, "thought": True, "thought_characters": characters, **length}


def tell_faults(records: Sequence[Answer], max_new_tokens: int) -> dict[str, Any]:
    """Counts for the manifest, with a warning for each kind that there is; a fault's absence is not mentioned."""
    unfinished = sum(record.get("fault") == UNFINISHED for record in records)
    shortened = sum(
        is_shortened(record["finish_reason"], record["completion_tokens"], max_new_tokens) for record in records
    )
    filtered = sum(record["finish_reason"] == "content_filter" for record in records)
    thoughts = sum(bool(record.get("thought")) for record in records)
    cut = sum(bool(record.get("thought_cut")) for record in records)
    lengths = {unit: [record.get(f"thought_{unit}") or 0 for record in records] for unit in ("tokens", "characters")}
    served = Counter(record["served_model"] for record in records if record.get("served_model"))
    if unfinished:
        LOG.warning(
            "generate: %d of %d answers end before the model's thought does; they are empty, with fault %s. Give more "
            "max_new_tokens=, or thinking= a number of tokens after which thoughts are ended",
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
        "thoughts_cut": cut,
        **{f"thought_{unit}": sum(values) for unit, values in lengths.items()},
        **{f"longest_thought_{unit}": max(values, default=0) for unit, values in lengths.items()},
    }
    return {name: number for name, number in counts.items() if number} | (
        {"served_models": dict(served)} if served else {}
    )
