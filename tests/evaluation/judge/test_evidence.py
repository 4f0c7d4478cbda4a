"""The evidence for an answer: the whole paper, its best passages, or those of the corpus."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_kcpt.evaluation.judging.evidence import OWN, Finder

FILLER = "本研究では条件を変えて結果を調べ、考察を述べる。"
FACTS = {"a": "カスミの正解率は81.3%である。", "b": "The model has 24 layers.", "c": "カスミは東京で作られた。"}
PAPERS: dict[str, dict[str, Any]] = {name: {"text": FILLER * 80 + fact + FILLER * 80} for name, fact in FACTS.items()}
PAPERS |= {"short": {"text": "短い文書。"}, "empty": {"text": ""}}


def finder(mode: str, tokens: int = 1000, passages: int = 3) -> Finder:
    return Finder(PAPERS, mode, tokens=tokens, passages=passages, count=len)


def test_a_paper_within_the_limit_is_shown_whole() -> None:
    whole = finder("paper", tokens=len(PAPERS["a"]["text"]))
    evidence = whole.find("a", "正解率は?", "81.3%", "80%")
    assert evidence.spans == (("a", 0, len(PAPERS["a"]["text"])),) and not evidence.cut
    assert whole.text(evidence) == [("a", PAPERS["a"]["text"])]
    assert whole.find("empty", "q", "r", "a").spans == (("empty", 0, 0),)


@pytest.mark.parametrize(
    ("question", "reference", "answer"),
    [
        ("カスミの正解率はいくつですか", "x", "わかりません"),
        ("何ですか", "81.3%", ""),
        ("何ですか", "x", "カスミの正解率は81.3%である。"),
    ],
)
def test_a_longer_one_is_cut_to_what_question_reference_or_answer_is_about(
    question: str, reference: str, answer: str
) -> None:
    evidence = finder("paper").find("a", question, reference, answer)
    assert evidence.cut
    texts = [text for _, text in finder("paper").text(evidence)]
    assert FACTS["a"] in "".join(texts) and 300 < sum(map(len, texts)) <= 1000
    starts = [start for _, start, _ in evidence.spans]
    assert starts == sorted(starts)
    assert all(one[2] < other[1] for one, other in zip(evidence.spans, evidence.spans[1:]))


def test_what_shares_no_word_with_a_long_paper_still_gets_its_beginning() -> None:
    evidence = finder("paper").find("a", "zzz", "yyy", "")
    assert evidence.cut and evidence.spans[0][1] == 0


def test_the_corpus_has_passages_of_other_papers_and_always_some_of_the_own() -> None:
    both = finder("corpus")
    evidence = both.find("c", "カスミの正解率はいくつですか", "81.3%", "24 layers")
    papers = [paper_id for paper_id, _, _ in evidence.spans]
    assert papers[0] == "c" and {"a", "b"} <= set(papers) and not evidence.cut
    shown = "".join(text for _, text in both.text(evidence))
    assert FACTS["a"] in shown and FACTS["b"] in shown and FACTS["c"] in shown
    assert len(set(evidence.spans)) == len(evidence.spans) <= 3 + 3 + OWN
    assert evidence.records[0] == dict(zip(("paper_id", "start", "end"), evidence.spans[0]))
    assert both.find("c", "カスミの正解率はいくつですか", "81.3%", "24 layers") == evidence


def test_a_paper_that_shares_nothing_is_there_all_the_same() -> None:
    evidence = finder("corpus").find("short", "カスミの正解率は?", "81.3%", "zzz")
    assert evidence.spans[0] == ("short", 0, 5)
    assert "empty" not in {paper_id for paper_id, _, _ in finder("corpus").find("empty", "カスミ", "x", "y").spans}
