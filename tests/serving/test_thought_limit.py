"""Thoughts of at most so many tokens, by both engines' one rule, with a made-up model that writes words."""

from __future__ import annotations

import pytest

from nemo_kcpt.serving.thought_limit import generate_within, thought_length
from nemo_kcpt.text import thoughts

WORDS = ["<think>", "</think>", "a", "b", "42", "<end>"]
Ids = list[int]


def ids(text: str) -> Ids:
    return [WORDS.index(word) for word in text.split()]


def text_of(tokens: Ids) -> str:
    return " ".join(WORDS[token] for token in tokens)


def model(said: str, after_closing: str = "42 <end>") -> tuple[list[Ids], object]:
    """A model that says this, and after a thought that was ended for it something else; and the prompts it got."""
    asked: list[Ids] = []

    def generate(prompts: list[Ids], most: list[int]) -> list[tuple[Ids, str]]:
        found = []
        for prompt, count in zip(prompts, most):
            asked.append(prompt)
            begun = prompt[1:]
            ended = begun[-2:] == ids("</think> b")
            rest = ids(after_closing) if ended else ids(said)[len(begun) :]
            found.append((rest[:count], "stop" if len(rest) <= count else "length"))
        return found

    return asked, generate


def answer(
    said: str, tokens: int, most: int, *, opened: bool = False, after: str = "42 <end>"
) -> tuple[str, str, bool]:
    _, generate = model(said, after)
    limit = {"tokens": tokens, "closing_ids": ids("</think> b"), "opened": opened}
    (found,) = generate_within([ids("b")], limit, most, generate, text_of, thoughts)  # type: ignore[arg-type]
    return text_of(found.ids), found.reason, found.cut


@pytest.mark.parametrize(
    ("said", "tokens", "most", "opened", "expected"),
    [
        ("<think> a </think> 42 <end>", 8, 4, False, ("<think> a </think> 42 <end>", "stop", False)),
        ("<think> a a a a a a", 3, 4, False, ("<think> a a </think> b 42 <end>", "stop", True)),
        ("a a a a a a", 3, 4, True, ("a a a </think> b 42 <end>", "stop", True)),
        ("<think> </think> 42 42 42 42 <end>", 4, 3, False, ("<think> </think> 42 42 42", "length", False)),
        ("<think> </think> 42 42 42 42 <end>", 4, 9, False, ("<think> </think> 42 42 42 42 <end>", "stop", False)),
        ("42 42 42 42 42 <end>", 3, 4, False, ("42 42 42 42", "length", False)),
        ("42 42 42 42 42 <end>", 5, 2, False, ("42 42", "length", False)),
        ("<think> </think> 42 42 <end>", 9, 1, False, ("<think> </think> 42", "length", False)),
    ],
)
def test_thoughts_end_and_answers_have_their_own_length(
    said: str, tokens: int, most: int, opened: bool, expected: tuple[str, str, bool]
) -> None:
    assert answer(said, tokens, most, opened=opened) == expected


def test_an_answer_that_begins_another_thought_is_told_from_one() -> None:
    assert answer("<think> a a a", 2, 3, after="<think> a a") == ("<think> a </think> b <think> a a", "stop", True)


@pytest.mark.parametrize("text", ["<think> a a </think> 42", "a </think> 42 42", "</think>", "42", "", "<think> a"])
def test_the_length_of_a_thought(text: str) -> None:
    length = thought_length(ids(text), text_of, thoughts.count_closes)
    assert text_of(ids(text)[:length]) == text[: text.rfind("</think>") + len("</think>")] * ("</think>" in text)
