"""Answers of which the thought may have so many tokens: one that is longer is ended, and the answer follows.

Both engines use it, the one in another environment loads this file alone: it imports nothing of ours. A model that has
not ended its thought within the limit gets, in its own words so far, what its template writes between a thought and an
answer, and continues from there ("budget forcing", Muennighoff et al. 2025, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Ids = list[int]
Generate = Callable[[list[Ids], list[int]], "list[tuple[Ids, str]]"]
"""Prompts, and for each the most tokens: for each the tokens and the finish reason by OpenAI's names."""


class Answer(NamedTuple):
    """Tokens of thought and answer, the finish reason, and whether the thought was ended for the model."""

    ids: Ids
    reason: str
    cut: bool


def thought_length(ids: Sequence[int], text_of: Callable[[Ids], str], closes: Callable[[str], int]) -> int:
    """Tokens up to and with the last mark that closes a thought; 0 where none does.

    Args:
        ids: of a reply.
        text_of: decodes, marks written out.
        closes: counts the closing marks of a text.
    """
    total = closes(text_of(list(ids)))
    low, high = 0, len(ids) if total else 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if closes(text_of(list(ids[:middle]))) >= total else (middle + 1, high)
    return low


def generate_within(
    prompts: Sequence[Ids],
    limit: dict[str, Any],
    most: int,
    generate: Generate,
    text_of: Callable[[Ids], str],
    thoughts: Any,
) -> list[Answer]:
    """Answers of at most `most` tokens, each after a thought of at most `limit["tokens"]`.

    Args:
        prompts: token ids.
        limit: `tokens`; `closing_ids` that end a thought; whether the prompt has `opened` one.
        most: tokens of an answer.
        generate: greedy tokens after prompts.
        text_of: decodes, marks written out.
        thoughts: the module `nemo_kcpt.text.thoughts`.
    """
    answers = [Answer(ids, reason, False) for ids, reason in generate(list(prompts), [limit["tokens"]] * len(prompts))]
    more: dict[int, tuple[Ids, int]] = {}
    for number, answer in enumerate(answers):
        if answer.reason != "length":
            continue
        if thoughts.is_open(text_of(answer.ids), opened=limit["opened"]):
            answers[number] = answer._replace(ids=[*answer.ids, *limit["closing_ids"]], cut=True)
            left = most
        else:
            left = most - len(answer.ids) + thought_length(answer.ids, text_of, thoughts.count_closes)
        if left > 0:
            more[number] = ([*prompts[number], *answers[number].ids], left)
    if more:
        rest = generate([ids for ids, _ in more.values()], [left for _, left in more.values()])
        for number, (ids, reason) in zip(more, rest):
            answers[number] = answers[number]._replace(ids=[*answers[number].ids, *ids], reason=reason)
    return [_shortened(answer, most, text_of, thoughts) for answer in answers]


def _shortened(answer: Answer, most: int, text_of: Callable[[Ids], str], thoughts: Any) -> Answer:
    """An answer that came within the thought's limit may be longer than answers may be."""
    if answer.cut:
        return answer  # what came after the closing was limited
    longest = most + thought_length(answer.ids, text_of, thoughts.count_closes)
    return answer if len(answer.ids) <= longest else answer._replace(ids=answer.ids[:longest], reason="length")
