"""Answers of models that think first: the thought goes, and one that does not end is no answer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.evaluation.answers.plain import answered, tell_faults, told_by_others
from nemo_kcpt.serving.prompts import decode
from nemo_kcpt.text.thoughts import ends_with_opening


def record(answer: str, **more: Any) -> dict[str, Any]:
    return {"question_id": "q", "model": "m", "answer": answer, "finish_reason": "stop", "completion_tokens": 8, **more}


@pytest.mark.parametrize(
    ("text", "opened", "answer"),
    [
        ("東京大学です。", False, "東京大学です。"),
        ("<think>えっと</think>\n\n東京大学です。", False, "東京大学です。"),
        ("えっと\n</think>\n\n東京大学です。", True, "東京大学です。"),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>42<|return|>",
            False,
            "42",
        ),
        ("<think>a</think><answer>42</answer>", False, "42"),
        ("<think>a</think><|begin_of_box|>42<|end_of_box|>", False, "42"),
        ("<|begin_of_thought|>a<|end_of_thought|>\n\n<|begin_of_solution|>\n42\n<|end_of_solution|>", False, "42"),
        ("「</think>」という札です。", False, "「</think>」という札です。"),
        ("`<think>` で始まり `</think>` で終わる。", False, "`<think>` で始まり `</think>` で終わる。"),
        ("analysis of the assistant", False, "analysis of the assistant"),
    ],
)
def test_the_answer_comes_after_the_thought(text: str, opened: bool, answer: str) -> None:
    found = answered(record(text), opened)
    assert found["answer"] == answer and "fault" not in found and found.get("thought", False) == (answer != text)


@pytest.mark.parametrize(
    ("text", "opened"), [("<think>東京", False), ("東京大学かな", True), ("<think>a</think><think>b", False)]
)
def test_a_thought_that_does_not_end_is_no_answer(text: str, opened: bool, caplog: pytest.LogCaptureFixture) -> None:
    found = answered(record(text, finish_reason="length"), opened, 0)
    assert (found["answer"], found["fault"]) == ("", "unfinished_thought")
    assert (found["thought_characters"], found["thought_tokens"]) == (len(text), 8)
    with caplog.at_level(logging.WARNING):
        assert tell_faults([found], 8) == {
            "unfinished_thoughts": 1,
            "thought_tokens": 8,
            "longest_thought_tokens": 8,
            "thought_characters": len(text),
            "longest_thought_characters": len(text),
        }
    assert "1 of 1 answers end before the model's thought does" in caplog.text


def test_a_server_whose_template_begins_the_thought_is_known_by_its_other_answers() -> None:
    both = told_by_others([record("hm</think>42"), record("hm and hm", finish_reason="length"), record("43")])
    assert [answered(one, False)["answer"] for one in both] == ["42", "", "43"]


def test_an_answer_that_the_server_cut_off_is_counted() -> None:
    cut = [record("東京大", finish_reason="length"), record("東京大学", finish_reason="length", completion_tokens=128)]
    assert tell_faults(cut, 128) == {"shortened": 1}
    assert tell_faults([record("東京", finish_reason="model_length", completion_tokens=128)], 128) == {"shortened": 1}
    assert tell_faults([record("x", served_model="y")], 128) == {"served_models": {"y": 1}}


def test_an_answer_that_a_content_filter_cut_off_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert tell_faults([record("東", finish_reason="content_filter"), record("東京")], 128) == {"filtered": 1}
    assert "1 of 2 answers were cut off by the server's content filter" in caplog.text


def test_a_prompt_may_begin_the_thought() -> None:
    assert ends_with_opening("<|im_start|>assistant\n<think>\n") and not ends_with_opening("<think></think>\n")
    assert not ends_with_opening("<|im_start|>assistant\n")


def test_marks_that_are_special_tokens_are_seen(tmp_path: Path) -> None:
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel

    words = ["hm", "42", "<think>", "</think>", "</s>"]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="hm"))
    tokenizer.add_special_tokens([AddedToken(word) for word in words[2:]])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (text,) = decode(tmp_path, [[2, 0, 3, 1, 4]])
    assert answered(record(text), False)["answer"] == "42"


def test_how_long_thoughts_were_is_counted() -> None:
    told = record("42", thought_characters=30, thought_tokens=7)  # a server that gives the thought apart
    rows = [
        answered(record("<think>a</think>42"), False, 3),
        answered(told, False),
        answered(record("42", thought_cut=True), False),
    ]
    assert [row["answer"] for row in rows] == ["42"] * 3
    assert [(row.get("thought_tokens"), row.get("thought_characters")) for row in rows] == [
        (3, 16),
        (7, 30),
        (None, None),
    ]
    assert tell_faults(rows, 8) == {
        "thoughts_left_out": 2,
        "thoughts_cut": 1,
        "thought_tokens": 10,
        "longest_thought_tokens": 7,
        "thought_characters": 46,
        "longest_thought_characters": 30,
    }
