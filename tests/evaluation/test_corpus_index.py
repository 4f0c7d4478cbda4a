"""The index over all papers: it finds what is there, says where, and always the same."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from nemo_kcpt.evaluation.corpus_index import CorpusIndex

FILLER = "本研究では実験の条件を変えて結果を調べ、考察を述べる。"
PAPERS = {
    "a": {"text": FILLER * 60 + "カスミは誤り訂正の手法で、正解率は81.3%であった。" + FILLER * 60},
    "b": {"text": "The encoder of Kasumi has 24 layers.\n\n" + "We thank our colleagues. " * 80},
    "c": {"text": FILLER * 30},
    "empty": {"text": " \n"},
}


def test_finds_the_passage_and_says_where_it_stands() -> None:
    index = CorpusIndex(PAPERS)
    (best,) = index.search("カスミの正解率はいくつですか", 1)
    assert best.paper_id == "a" and "81.3%" in best.text and best.score > 0
    assert PAPERS["a"]["text"][best.start : best.end] == best.text
    assert best.span == {"paper_id": "a", "start": best.start, "end": best.end}
    (best,) = index.search("How many layers does the encoder have?", 1)
    assert best.paper_id == "b" and "24 layers" in best.text


def test_what_is_looked_for_again_counts_twice() -> None:
    papers = {"x": {"text": "カスミの速度。"}, "y": {"text": "アサギの重さ。"}, "z": {"text": FILLER}}
    index = CorpusIndex(papers)
    (both, other) = index.search("カスミ", 2, again="アサギ")
    assert (both.paper_id, other.paper_id) == ("y", "x")
    assert both.score == pytest.approx(2 * index.search("アサギ", 1)[0].score)


def test_within_a_paper() -> None:
    index = CorpusIndex(PAPERS)
    found = index.search("カスミの正解率 実験", 100, within="c")
    assert found and {passage.paper_id for passage in found} == {"c"}
    assert index.search("カスミ", 5, within="empty") == [] and index.passages("empty") == []
    with pytest.raises(KeyError):
        index.search("x", 1, within="unknown")


def test_passages_are_the_whole_paper_and_short() -> None:
    index = CorpusIndex(PAPERS)
    for paper_id in "abc":
        passages = index.passages(paper_id)
        assert "".join(passage.text for passage in passages) == PAPERS[paper_id]["text"]
        assert all(0 < len(passage.text) <= 700 for passage in passages)
        assert all(one.end == other.start for one, other in pairwise(passages))
    assert len(index) == sum(len(index.passages(paper_id)) for paper_id in PAPERS)


@pytest.mark.parametrize("text", ["", " ", "zzz qqq", "🦊", "\ud800", "。", "\x00"])
def test_nothing_shared_finds_nothing(text: str) -> None:
    assert CorpusIndex(PAPERS).search(text, 5) == []


def test_no_papers() -> None:
    assert CorpusIndex({}).search("x", 5) == [] and len(CorpusIndex({})) == 0
    assert CorpusIndex({"e": {"text": ""}}).search("x", 5) == []


def test_equals_come_in_the_papers_order_and_k_is_obeyed() -> None:
    papers = {f"p{number}": {"text": "カスミの正解率は81.3%である。"} for number in range(50)}
    index = CorpusIndex(papers)
    for k in (1, 3, 49, 50, 51):
        found = index.search("正解率", k)
        assert [passage.paper_id for passage in found] == [f"p{number}" for number in range(min(k, 50))]
    assert index.search("正解率", 0) == []


def test_the_best_k_are_those_of_the_whole_ranking() -> None:
    words = [f"語{number}番目" for number in range(60)] + [f"word{number}" for number in range(60)]
    generator = random.Random(1)
    papers = {f"p{n}": {"text": "。".join(generator.choices(words, k=60))} for n in range(40)}
    index = CorpusIndex(papers, length=100)
    for _ in range(20):
        query = " ".join(generator.choices(words, k=5))
        ranking = index.search(query, len(index))
        scores = [passage.score for passage in ranking]
        assert scores == sorted(scores, reverse=True) and min(scores) > 0
        assert index.search(query, 7) == ranking[:7] == CorpusIndex(papers, length=100).search(query, 7)
