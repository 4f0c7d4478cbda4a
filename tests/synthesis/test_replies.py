"""Replies as models write them: what can be read is read as it was meant, what was cut off is not taken for whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.llm.request import UnreadableReply
from nemo_kcpt.synthesis.prompts import Prompts
from nemo_kcpt.synthesis.replies import read_pairs, read_reply
from nemo_kcpt.text.thoughts import starts_with_thought
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
    assert read_reply(text.lstrip("\ufeff"), QA, paper()).pairs == [PAIR, PAIR]


def test_the_instruction_of_an_output_is_the_prompts_own() -> None:
    (pair,) = read_reply('{"output": "要約です。"}', SUMMARY, paper()).pairs
    assert pair == {"instruction": SUMMARY.wording(paper()), "output": "要約です。"}
    assert read_reply('{"pairs": [{"output": "要約です。"}]}', SUMMARY, paper()).pairs == [pair]


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
        ('{"pairs": [{"instruction": "年は?", "output": "1986年", "output": "1968年"}]}', "a key appears twice"),
        ('はい。{"pairs": [{"instruction": "年は?", "output": "1986年"}], "pairs": []}', "a key appears twice"),
        ('{"pairs": [{"instruction": "年は?", "output": "1986年", "output": "1968年",}]}', "not JSON"),
        ('{"pairs": [{"instruction": "年は?", "output"："1986年", "output"："1968年"}]}', "a key appears twice"),
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


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.just("\n"), min_size=1, max_size=40).filter(
    lambda text: any(sign.isalnum() for sign in text) and not starts_with_thought(text)
)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=10), st.booleans())
def test_what_was_written_is_what_is_read(pairs: list[tuple[str, str]], ascii: bool) -> None:
    written = [{"instruction": left, "output": right} for left, right in pairs]
    read = read_reply(json.dumps({"pairs": written}, ensure_ascii=ascii), QA, paper(title="")).pairs
    assert read == [{key: value.strip() for key, value in pair.items()} for pair in written]


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        pairs = read_reply(text, QA, paper()).pairs
    except UnreadableReply:
        return
    assert all(pair["instruction"] and pair["output"] for pair in pairs)


def test_every_instruction_names_its_paper() -> None:
    reply = json.dumps({"pairs": [{"instruction": "正解率は？", "output": "81.3%"}]})
    (pair,) = read_reply(reply, QA, paper()).pairs
    assert pair["instruction"] == "「カスミ0の研究」について、正解率は？"
    (pair,) = read_reply(reply, Prompts("en").by_kind["qa_easy"], paper(title="Kasumi")).pairs
    assert pair["instruction"] == 'About "Kasumi": 正解率は？'
    spaced = json.dumps({"pairs": [{"instruction": "カスミ０ の研究の正解率は？".replace("０", "0"), "output": "x"}]})
    (pair,) = read_reply(spaced, QA, paper()).pairs
    assert pair["instruction"].startswith("カスミ0 の研究")


def test_a_strict_reader_for_who_writes_whole_pairs() -> None:
    assert read_pairs('{"pairs": [{"instruction": " a ", "output": "b"}]}') == [{"instruction": "a", "output": "b"}]
    for text in ("{", "[]", '{"pairs": []}', '{"pairs": [{"instruction": "a"}]}', '{"pairs": [1]}', "1"):
        with pytest.raises(UnreadableReply):
            read_pairs(text)


def read_output(text: str) -> str:
    (pair,) = read_reply(text, SUMMARY, paper()).pairs
    return pair["output"]


def fault_of(text: str, finish_reason: str = "") -> str:
    with pytest.raises(UnreadableReply) as error:
        read_reply(text, SUMMARY, paper(), finish_reason=finish_reason)
    return error.value.name


def test_a_formula_is_kept_and_counted() -> None:
    reading = read_reply(r'{"output": "損失は $\frac{1}{2}\beta$、勾配は $\nabla L$。\nNext"}', SUMMARY, paper())
    assert reading.pairs[0]["output"] == "損失は $\\frac{1}{2}\\beta$、勾配は $\\nabla L$。\nNext"
    assert reading.repaired == ("backslashes",)
    assert read_reply(r'{"output": "\\frac\n"}', SUMMARY, paper()).repaired == ()


@pytest.mark.parametrize(
    "sign", ["\\f", "\\u0000", "\\u001b", "\\u0007", "\\u007f", "\\u0085x", "\\ud83d", "\x0c", "\\r"]
)
def test_a_control_character_is_a_fault_by_name(sign: str) -> None:
    assert fault_of(f'{{"output": "一つ{sign}二つ"}}') == "control_character"


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ('{"output"："答えは１２、です。"}', "答えは１２、です。"),
        ('｛"output"："答え"｝', "答え"),
        ("{“output”：“彼は“はい”、と言った”}", "彼は“はい”、と言った"),
        ("結果：\n｛＂output＂： 「答え」｝", "答え"),
        ('{"pairs"：［{"instruction"："問い"，"output"："答え"}］}', "答え"),
    ],
)
def test_full_width_signs_outside_of_texts_are_read(text: str, output: str) -> None:
    reading = read_reply(text, SUMMARY, paper())
    assert reading.pairs[0]["output"] == output and reading.repaired == ("full_width",)


@pytest.mark.parametrize(
    "text",
    [
        '{"output": １２}',
        '{"output"：１２}',
        '{"output"："彼は"はい"と言った"}',
        '"output"："答え"',
        '["output"："答え"]',
    ],
)
def test_what_full_width_signs_make_unreadable_is_not_kept(text: str) -> None:
    assert fault_of(text) == "unreadable"


FINAL = '{"output": "最終の答え"}'
DRAFT = '{"output": "下書き"}'


@pytest.mark.parametrize(
    "text",
    [
        f"考える。\n```json\n{DRAFT}\n```\nまだ違う。\n</think>\n\n{FINAL}",
        f"<think>{DRAFT}</think>{DRAFT}\n</think>\n```json\n{FINAL}\n```",
        f"<reasoning>{DRAFT}</reasoning>{FINAL}",
        f"[THINK]{DRAFT}[/THINK]{FINAL}",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{FINAL}<|return|>",
        f"analysisWe write {DRAFT}assistantfinal{FINAL}",
        f"</think>\n<answer>{FINAL}</answer>",
        f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{FINAL}<|END_RESPONSE|>",
        f"<|inner_prefix|>{DRAFT}<|inner_suffix|>{FINAL}",
        f"下書き:\n```json\n{DRAFT}\n```\n完成版:\n```json\n{FINAL}\n```",
        f"下書き:\n```json\n{DRAFT}\n```\n完成版:\n{FINAL}",
        f"{{考える}}\n{FINAL}",
        f"{DRAFT}\nこれを直すと\n{FINAL}\n以上です [1]。",
    ],
)
def test_the_answer_comes_after_the_thought_and_after_its_drafts(text: str) -> None:
    assert read_output(text) == "最終の答え"


@pytest.mark.parametrize(
    "text",
    [
        "{'output': 'It's 5'}",
        "{'output': 'It's 5'}.",
        """{"output": "5" 6"}""",
        '{"output": `back 5`}',
        '{"output": "5 " + "km"}',
    ],
)
def test_a_repair_that_takes_structure_for_words_is_none(text: str) -> None:
    """json_repair reads the text "It's 5'" of the first, and "It's 5'}]}" of such a pair."""
    assert fault_of(text) == "unreadable"
    with pytest.raises(UnreadableReply):
        read_reply("{'pairs':[{'instruction':'a','output':'It's 5'}]}", QA, paper())


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ('{"output": "use `x`",}', "use `x`"),
        ("{'output': 'rock 'n' roll'}", "rock 'n' roll"),
        ("""{"output": "彼は"はい""}""", '彼は"はい"'),
        (r"""{output: "彼は\n\"はい\""}""", '彼は\n"はい"'),
    ],
)
def test_marks_that_belong_to_a_text_stay(text: str, output: str) -> None:
    assert read_output(text) == output


def test_a_mark_inside_of_an_answer_ends_no_thought() -> None:
    assert read_output('{"output": "思考は </think> で終わる"}') == "思考は </think> で終わる"
    assert read_output('hm</think>{"output": "思考は </think> で終わる"}') == "思考は </think> で終わる"


@pytest.mark.parametrize(
    "text", [f"<think>{DRAFT}", f"<think>x</think><think>{DRAFT}", f"はい。<think>{DRAFT}", '{"output": "<think>まず"}']
)
def test_a_thought_that_does_not_end_is_no_answer(text: str) -> None:
    assert fault_of(text) == "unfinished_thought"


def test_a_draft_in_a_reply_that_was_cut_off_is_no_answer() -> None:
    assert fault_of(f"考える。\n```json\n{DRAFT}\n```\nしかし", "length") == "unreadable"
    assert read_reply(DRAFT, SUMMARY, paper(), finish_reason="length").pairs


@pytest.mark.parametrize("rest", ['{"output": "最終の', "{'output': '最終'", '{"output": 最終 と}'])
def test_a_draft_before_something_torn_is_no_answer(rest: str) -> None:
    assert fault_of(f"```json\n{DRAFT}\n```\n完成版:\n{rest}") == "unreadable"


def test_a_copied_placeholder_is_a_fault_by_name() -> None:
    assert fault_of('{"output": "…"}') == fault_of('{"output": "..."}') == "placeholder"


@given(st.text('{}[]"\\:,{「」“”：，｛｝１output</think>` \n', max_size=80))
def test_any_marks_are_read_or_refused(text: str) -> None:
    try:
        assert read_reply(text, SUMMARY, paper()).pairs
    except UnreadableReply as error:
        assert error.name
