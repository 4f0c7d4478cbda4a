"""Where a text is divided, and which passage a pair is about."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing.papers import Settings, tokenise
from nemo_kcpt.packing.passages import passage_borders, possible_borders, supporting_passages, terms
from nemo_kcpt.packing.sources import Source

SENTENCES = st.lists(
    st.sampled_from(["猫は寝る。", "犬が走る。\n", "A cat sleeps. ", "段落\n\n", "長い文が続いていて"]), max_size=30
)


@given(SENTENCES, st.integers(1, 40))
def test_a_text_is_divided_without_loss_at_the_best_border_near_the_end(sentences: list[str], most: int) -> None:
    text = "".join(sentences)
    starts = np.arange(len(text), dtype=np.int32)  # a token a character
    possible = possible_borders(text, starts)
    borders = passage_borders(possible, len(text), most)
    assert borders[0] == 0 and borders[-1] == len(text)
    for start, end in pairwise(borders.tolist()):
        assert 0 < end - start <= most
        if end == len(text):
            continue
        later = [[b for b in level if start + most // 2 < b <= start + most] for level in possible]
        best = next((level for level in later if level), [start + most])
        assert end == max(best)


def test_terms_are_words_numbers_and_grams_of_what_is_not_written_apart() -> None:
    assert terms("BERTは12,400件") == ["bert", "は", "12,400", "件"]
    assert terms("猫寝る") == ["猫", "寝", "る", "猫寝", "寝る", "猫寝る"]
    assert terms("Überall, 3.5 %") == ["überall", "3.5"]
    assert terms("…！") == []


PASSAGES = [
    "カスミNetは要約のための手法である。学習データは12,400件である。",
    "緋扇大学の白鷺隼人らが2021年に発表した。評価には人手を用いた。",
    "再現率は83.7である。学習には八枚のGPUを三日用いた。",
]


@pytest.mark.parametrize(
    ("instruction", "output", "expected"),
    [
        ("学習データは何件か。", "12,400件", 0),
        ("発表したのは誰か。", "白鷺隼人", 1),
        ("学習の計算資源は何か。", "GPU八枚で三日間です。", 2),
        ("Which recall was reached?", "A recall of 83.7 was reached.", 2),
        ("何か。", "人手", 1),  # quoted by one passage only
        ("???", "!!!", 0),
    ],
)
def test_a_pair_is_about_the_passage_that_holds_its_answer(instruction: str, output: str, expected: int) -> None:
    assert supporting_passages(PASSAGES, [(instruction, output)]) == [(expected, expected + 1)]


def test_a_long_output_is_about_all_the_passages_it_says_again() -> None:
    said = PASSAGES[1] + PASSAGES[2]
    assert supporting_passages(PASSAGES, [("述べよ。", said)], most=3) == [(1, 3)]
    assert supporting_passages(PASSAGES, [("述べよ。", said)], most=1) in ([(1, 2)], [(2, 3)])
    assert supporting_passages(PASSAGES, [("述べよ。", PASSAGES[0])], most=3) == [(0, 1)]


def test_a_paper_without_words_or_pairs_is_no_trouble() -> None:
    assert supporting_passages(["…", "！"], [("問", "答")]) == [(0, 1)]
    assert supporting_passages(PASSAGES, []) == []


def test_the_passage_found_is_given_in_tokens(tokenizer_folder: Path, tokenizer: PackTokenizer) -> None:
    pairs = [{"instruction": "発表したのは誰か。", "output": "白鷺隼人"}]
    paper = {"paper_id": "p", "text": "\n\n".join(PASSAGES)}
    source = Source("here", paper, [{"paper_id": "p", "kind": "qa_easy", "pairs": pairs}])
    (made,) = tokenise([source], Settings(tokenizer=tokenizer_folder, passage_tokens=40, support_tokens=40))
    start, end = made.pairs[0].support
    assert "白鷺隼人" in tokenizer.decode(made.ids[start:end].tolist())
    assert tokenizer.decode(made.ids.tolist()) == f"<s>{paper['text']}</s>"
    assert {start, end} <= set(made.passages.tolist()) and end - start <= 40
    bare = Settings(tokenizer=tokenizer_folder, passage_tokens=40, bos=False, eos=False)
    assert tokenizer.decode(tokenise([source], bare)[0].ids.tolist()) == paper["text"]


def test_a_long_paper_s_pairs_are_asked_about_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("発表したのは誰か。", "白鷺隼人"), ("再現率は。", "83.7"), ("何件か。", "12,400件")] * 3
    expected = supporting_passages(PASSAGES, pairs, most=2)
    assert [place for place, _ in expected[:3]] == [1, 2, 0]
    for size in (1, 7, 13):
        monkeypatch.setattr("nemo_kcpt.packing.passages.MOST_SCORES", size)
        assert supporting_passages(PASSAGES, pairs, most=2) == expected
