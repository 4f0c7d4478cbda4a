"""Replies as models write them: what can be read is read as it was meant, what was cut off is not taken for whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.synthesis.prompts import Prompts
from nemo_kcpt.synthesis.replies import UnreadableReply, read_pairs, read_reply
from tests.synthesis.papers import paper

PROMPTS = Prompts("ja").by_kind
QA, SUMMARY = PROMPTS["qa_easy"], PROMPTS["summary"]
PAIR = {"instruction": "「カスミ0の研究」の正解率は？", "output": "81.3% です。"}
WHOLE = json.dumps({"pairs": [PAIR, PAIR]}, ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        WHOLE,
        json.dumps({"pairs": [PAIR, PAIR]}),
        f"```json\n{WHOLE}\n```",
        f"はい、次のとおりです。\n\n```\n{WHOLE}\n```\n以上です。",
        f"<think>まず {{考える}}。</think>\n{WHOLE}",
        f"回答: {WHOLE} 以上",
        WHOLE.replace("}]}", "},]}"),
        WHOLE.replace('"instruction"', "'instruction'").replace('"output"', "'output'"),
        WHOLE.replace('"pairs"', "pairs"),
        json.dumps([PAIR, PAIR]),
        "\ufeff" + WHOLE,
    ],
)
def test_what_is_written_around_json_is_left_aside(text: str) -> None:
    assert read_reply(text.lstrip("\ufeff"), QA, paper()) == [PAIR, PAIR]


def test_the_instruction_of_an_output_is_the_prompts_own() -> None:
    (pair,) = read_reply('{"output": "要約です。"}', SUMMARY, paper())
    assert pair == {"instruction": SUMMARY.wording(paper()), "output": "要約です。"}
    assert read_reply('{"pairs": [{"output": "要約です。"}]}', SUMMARY, paper()) == [pair]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("わかりません。", "not JSON"),
        ("{}", "no field 'pairs'"),
        ('{"answers": []}', "found: answers"),
        ('{"pairs": []}', "no pairs"),
        ('{"pairs": "none"}', "no field 'pairs'"),
        ('{"pairs": [{"instruction": "問い"}]}', "pair 1: output is None"),
        ('{"pairs": [{"instruction": "問い", "output": " 。 "}]}', "pair 1: output"),
        ('{"pairs": [{"instruction": "問い", "output": ["a"]}]}', "pair 1: output"),
        ('{"pairs": ["a"]}', "pair 1: instruction"),
        (json.dumps({"pairs": [PAIR] * 11}), "11 pairs where 5 were wanted"),
        ('{"pairs": [{"instruction": 3, "output": "x"}]}', "pair 1"),
        ("[" * 5000, "not JSON"),
        ("null", "no field"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, said: str) -> None:
    with pytest.raises(UnreadableReply, match=said.replace("(", r"\(")):
        read_reply(text, QA, paper())


@pytest.mark.parametrize("end", range(1, len(WHOLE)))
def test_a_reply_that_was_cut_off_is_not_taken_for_whole(end: int) -> None:
    with pytest.raises(UnreadableReply):
        read_reply(WHOLE[:end], QA, paper())


TEXT = st.text(min_size=1, max_size=40).filter(lambda text: any(sign.isalnum() for sign in text))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=10), st.booleans())
def test_what_was_written_is_what_is_read(pairs: list[tuple[str, str]], ascii: bool) -> None:
    written = [{"instruction": left, "output": right} for left, right in pairs]
    read = read_reply(json.dumps({"pairs": written}, ensure_ascii=ascii), QA, paper(title=""))
    assert read == [{key: value.strip() for key, value in pair.items()} for pair in written]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        pairs = read_reply(text, QA, paper())
    except UnreadableReply:
        return
    assert all(pair["instruction"] and pair["output"] for pair in pairs)


def test_every_instruction_names_its_paper() -> None:
    reply = json.dumps({"pairs": [{"instruction": "正解率は？", "output": "81.3%"}]})
    (pair,) = read_reply(reply, QA, paper())
    assert pair["instruction"] == "「カスミ0の研究」について、正解率は？"
    (pair,) = read_reply(reply, Prompts("en").by_kind["qa_easy"], paper(title="Kasumi"))
    assert pair["instruction"] == 'About "Kasumi": 正解率は？'
    spaced = json.dumps({"pairs": [{"instruction": "カスミ０ の研究の正解率は？".replace("０", "0"), "output": "x"}]})
    (pair,) = read_reply(spaced, QA, paper())
    assert pair["instruction"].startswith("カスミ0 の研究")


def test_a_strict_reader_for_who_writes_whole_pairs() -> None:
    assert read_pairs('{"pairs": [{"instruction": " a ", "output": "b"}]}') == [{"instruction": "a", "output": "b"}]
    for text in ("{", "[]", '{"pairs": []}', '{"pairs": [{"instruction": "a"}]}', '{"pairs": [1]}', "1"):
        with pytest.raises(UnreadableReply):
            read_pairs(text)
