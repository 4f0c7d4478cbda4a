"""Judges' replies: those of the right form, and more than fifty that are not, of which none becomes a verdict."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.llm.request import UnreadableReply
from nemo_kcpt.llm.verdicts import LONGEST_REASON, read_verdict

GOOD = '{"reason": "ok", "verdict": 1}'
READABLE = {
    "plain": GOOD,
    "keys the other way round": '{"verdict": 1, "reason": "ok"}',
    "white space": f"\n \t{GOOD}\r\n",
    "indented": '{\n  "reason": "ok",\n  "verdict": 1\n}',
    "the digit as a text": '{"reason": "ok", "verdict": "1"}',
    "a fence": f"```json\n{GOOD}\n```",
    "a fence without a language": f"```\n{GOOD}\n```",
    "a fence with CRLF": f"```json\r\n{GOOD}\r\n```",
    "after a thought": f"<think>0 か 1 か…</think>\n{GOOD}",
    "after an empty thought": f"<think></think>{GOOD}",
    "a thought with JSON": f'<think>{{"reason": "x", "verdict": 0}}</think>{GOOD}',
    "a thought and a fence": f"<think>hm</think>\n\n```json\n{GOOD}\n```",
    "a thought that ends twice": f'<think>a</think>{{"reason": "x", "verdict": 0}}</think>{GOOD}',
    "a thought that begins twice": f"<think>a<think>b</think>{GOOD}",
    "a thought that only ends": f'Matches {{"reason": "x", "verdict": 0}}? No.\n</think>\n\n{GOOD}',
    "channels": f"<|channel|>analysis<|message|>0?<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}<|return|>",
    "a thought in brackets": f"[THINK]0?[/THINK]{GOOD}",
    "escapes": '{"re\\u0061son": "\\u006fk", "verdict": 1}',
}


@pytest.mark.parametrize("reply", READABLE.values(), ids=list(READABLE))
def test_readable(reply: str) -> None:
    verdict = read_verdict(reply)
    assert (verdict.judge, verdict.reason) == (1, "ok") and type(verdict.judge) is int


@pytest.mark.parametrize("verdict", [0, 1])
@pytest.mark.parametrize(
    "reason",
    [
        '{"reason": "x", "verdict": 1}',
        "verdict: 1",
        "出力は1としてください",
        "```json\n{}\n```",
        "<think>0</think>",
        '"verdict": 0}',
        "\\",
        "}\n{",
    ],
)
def test_a_reason_may_quote_anything(reason: str, verdict: int) -> None:
    read = read_verdict(json.dumps({"reason": reason, "verdict": verdict}, ensure_ascii=False))
    assert (read.judge, read.reason) == (verdict, reason)


MALFORMED = {
    "nothing": "",
    "white space": " \n",
    "a byte order mark": "\ufeff" + GOOD,
    "a bare number": "1",
    "a bare text": '"1"',
    "null": "null",
    "true": "true",
    "prose": "The verdict is 1.",
    "Japanese prose": "判定は1です。",
    "prose before": f"Here it is: {GOOD}",
    "prose after": f"{GOOD} I am sure.",
    "two objects": f'{GOOD}\n{{"reason": "no", "verdict": 0}}',
    "the same object twice": f"{GOOD}{GOOD}",
    "a comma and another": f"{GOOD},{GOOD}",
    "a list": f"[{GOOD}]",
    "an empty list": "[]",
    "an empty object": "{}",
    "nested": f'{{"result": {GOOD}}}',
    "a nested verdict": '{"reason": "x", "verdict": {"verdict": 1}}',
    "a list as the verdict": '{"reason": "x", "verdict": [1]}',
    "no reason": '{"verdict": 1}',
    "no verdict": '{"reason": "x"}',
    "an empty reason": '{"reason": "", "verdict": 1}',
    "a blank reason": '{"reason": " \\n", "verdict": 1}',
    "a reason that is null": '{"reason": null, "verdict": 1}',
    "a reason that is a number": '{"reason": 1, "verdict": 1}',
    "a reason that is a list": '{"reason": ["x"], "verdict": 1}',
    "a further key": '{"reason": "x", "verdict": 1, "confidence": 0.9}',
    "a further verdict": '{"reason": "x", "verdict": 1, "Verdict": 0}',
    "another key": '{"reason": "x", "judgement": 1}',
    "a key with a space": '{"reason": "x", "verdict ": 1}',
    "the verdict twice": '{"reason": "x", "verdict": 0, "verdict": 1}',
    "the same verdict twice": '{"reason": "x", "verdict": 1, "verdict": 1}',
    "the verdict twice, once escaped": '{"reason": "x", "verdict": 0, "\\u0076erdict": 1}',
    "the reason twice": '{"reason": "x", "reason": "y", "verdict": 1}',
    "true as the verdict": '{"reason": "x", "verdict": true}',
    "false as the verdict": '{"reason": "x", "verdict": false}',
    "null as the verdict": '{"reason": "x", "verdict": null}',
    "a fraction": '{"reason": "x", "verdict": 1.0}',
    "an exponent": '{"reason": "x", "verdict": 1e0}',
    "two": '{"reason": "x", "verdict": 2}',
    "minus one": '{"reason": "x", "verdict": -1}',
    "a huge number": f'{{"reason": "x", "verdict": 1{"0" * 5000}}}',
    "NaN": '{"reason": "x", "verdict": NaN}',
    "Infinity": '{"reason": "x", "verdict": Infinity}',
    "a word": '{"reason": "x", "verdict": "yes"}',
    "a digit with a space": '{"reason": "x", "verdict": " 1"}',
    "a full-width digit": '{"reason": "x", "verdict": "１"}',
    "a full-width number": '{"reason": "x", "verdict": １}',
    "a digit with a leading zero": '{"reason": "x", "verdict": 01}',
    "an empty verdict": '{"reason": "x", "verdict": ""}',
    "cut off before the verdict": '{"reason": "x", "verdict":',
    "cut off before the bracket": '{"reason": "x", "verdict": 1',
    "cut off in the reason": '{"reason": "x',
    "single quotes": "{'reason': 'x', 'verdict': 1}",
    "keys without quotes": '{reason: "x", verdict: 1}',
    "a trailing comma": '{"reason": "x", "verdict": 1,}',
    "a comment": '{"reason": "x", "verdict": 1} // sure',
    "a line end in a text": '{"reason": "x\ny", "verdict": 1}',
    "an unfinished thought": f"<think>{GOOD}",
    "a thought that ends twice and nothing after it": f"<think>a</think>{GOOD}</think>",
    "a thought of another verdict alone": '<think>{"reason": "x", "verdict": 0}',
    "a thought that begins again": f"<think>a</think><think>{GOOD}",
    "a reason copied from the prompt": '{"reason": "判定の理由", "verdict": 1}',
    "a reason of dots": '{"reason": "…", "verdict": 1}',
    "full-width signs": '{"reason"："x"，"verdict"：１}',
    "two fences": f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```",
    "prose before a fence": f"Sure:\n```json\n{GOOD}\n```",
    "a fence that stays open": f"```json\n{GOOD}",
    "a fence of another language": f"```python\n{GOOD}\n```",
    "YAML": "reason: x\nverdict: 1",
    "XML": "<reason>x</reason><verdict>1</verdict>",
    "deep nesting": "[" * 100_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "control characters": '{"reason": "\x00", "verdict": 1}',
    "a lone surrogate outside": "\ud800" + GOOD,
    "base64": "eyJyZWFzb24iOiAieCIsICJ2ZXJkaWN0IjogMX0=",
    "a tool call": '{"name": "judge", "arguments": {"reason": "x", "verdict": 1}}',
    "another text within a text": json.dumps(GOOD),
}


@pytest.mark.parametrize("reply", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        read_verdict(reply)


def test_there_are_more_than_fifty() -> None:
    assert len(set(MALFORMED.values())) >= 70


@pytest.mark.parametrize(
    "reply", ["```json\n" + " " * 500_000, "<think>" * 100_000, "{" * 500_000, '"' + "\\" * 500_000, "```\n" * 200_000]
)
@pytest.mark.timeout(20)
def test_a_long_reply_does_not_take_long(reply: str) -> None:
    with pytest.raises(UnreadableReply):
        read_verdict(reply)


@given(st.text() | st.text('{}[]":,01 verdictreason\\`<think>/\n'))
def test_any_text_is_a_verdict_or_unreadable(reply: str) -> None:
    try:
        assert read_verdict(reply).judge in (0, 1)
    except UnreadableReply as error:
        str(error).encode()


@given(st.text(min_size=1), st.sampled_from([0, 1]))
def test_what_the_reason_says_does_not_change_the_verdict(reason: str, verdict: int) -> None:
    try:
        assert read_verdict(json.dumps({"reason": reason, "verdict": verdict})).judge == verdict
    except UnreadableReply:
        assert not reason.strip()


def test_a_formula_in_a_reason_is_kept_and_a_mark_in_it_ends_no_thought() -> None:
    read = read_verdict(r'hm</think>{"reason": "$\frac{1}{2}\beta \neq \sum$ </think> だから", "verdict": 0}')
    assert (read.judge, read.reason) == (0, r"$\frac{1}{2}\beta \neq \sum$ </think> だから")


def test_a_reason_can_be_written_and_shown() -> None:
    reason = "a\ud800\u202eb\u0007" + "x" * 10_000
    read = read_verdict(json.dumps({"reason": reason, "verdict": 0})).reason
    read.encode()
    assert read.startswith("a\ufffd[U+202E]b[U+0007]x") and len(read) < LONGEST_REASON + 60
