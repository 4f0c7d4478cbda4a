"""The rules, one by one, on Japanese and English text: what they write, and that the text says it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nemo_kcpt.synthesis.rules import CANNOT, RULE_KINDS
from nemo_kcpt.synthesis.rules.cloze import cloze, numbers
from nemo_kcpt.synthesis.rules.sentences import pieces, polite, sentences
from nemo_kcpt.synthesis.rules.wording import BLANK, INSTRUCTIONS
from nemo_kcpt.synthesis.rules.writers import WRITERS, write_pairs
from nemo_kcpt.text.language import rules_language

JA = {
    "paper_id": "ja",
    "title": "ミナト橋",
    "text": "ミナト橋(みなとばし)は、1932年に架けられた鉄筋コンクリート橋である。設計したのは田中太郎だった。"
    "しかし、その資料は「焼失した。今はない。」と言われている。\n\n"
    "# 歴史\n"
    "全長は1,250メートルで、工事には3万5千人が参加した。山田花子は京都大学で橋梁工学を学んだ。\n\n"
    "- 箇条書きは文ではない。\n"
    "完成式典はカナダ大使館が主催した",
}
EN = {
    "paper_id": "en",
    "title": "Minato Bridge",
    "text": "Minato Bridge is a concrete bridge that was built in 1932. Its designer was Dr. Taro Tanaka of Kyoto "
    "University. It has a length of 1,250 metres.\n\n"
    "The construction of the eastern approach was delayed by floods. Nearly 12.5% of the workers came from Lisbon, "
    'according to the newspaper "Harbour Herald".',
}
BOTH = pytest.mark.parametrize("paper", [JA, EN], ids=["ja", "en"])


def texts(paper: dict[str, Any]) -> list[str]:
    return [one.text for one in sentences(paper["text"], paper["paper_id"])]


def outputs(paper: dict[str, Any], kind: str) -> list[str]:
    return [pair["output"] for pair in write_pairs(paper, kind)]


def test_sentences_japanese() -> None:
    found = sentences(JA["text"], "ja")
    assert [one.text[:5] for one in found] == ["ミナト橋(", "設計したの", "しかし、そ", "全長は1,", "山田花子は"]
    assert found[2].text == "しかし、その資料は「焼失した。今はない。」と言われている。"
    assert [one.back for one in found] == [False, False, True, False, False]
    assert [one.paragraph for one in found] == [0, 0, 0, 1, 1]


def test_sentences_english() -> None:
    found = sentences(EN["text"], "en")
    assert [one.text.split()[0] for one in found] == ["Minato", "Its", "It", "The", "Nearly"]
    assert found[1].text.endswith("Dr. Taro Tanaka of Kyoto University.")
    assert [one.back for one in found] == [False, True, True, False, False]


def test_brackets_that_do_not_match_do_not_swallow_the_text() -> None:
    text = "一つ目の文は「開いたままである。二つ目の文もここにある。"
    assert len(sentences(text, "ja")) == 2


def test_a_sentence_that_points_back_stays_with_the_one_before() -> None:
    assert [[one.text[:3] for one in piece] for piece in pieces(sentences(JA["text"], "ja"), 30)] == [
        ["ミナト"],
        ["設計し", "しかし"],
        ["全長は"],
        ["山田花"],
    ]


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ("橋である。", "橋です。"),
        ("橋であった。", "橋でした。"),
        ("静かだった。", "静かでした。"),
        ("知られている。", "知られています。"),
        ("住んでいた。", "住んでいました。"),
        ("建設した。", "建設しました。"),
        ("生まれた。", "生まれました。"),
        ("例がある。", "例があります。"),
        ("橋ではない。", "橋ではありません。"),
        ("橋でした。", "橋でした。"),  # polite already
        ("建設しました。", "建設しました。"),
        ("海を読む。", "海を読む。"),  # not sure without a dictionary
        ("橋だ。", "橋だ。"),
        ("橋になった。", "橋になりました。"),
        ("費用を担った。", "費用を担った。"),
    ],
)
def test_polite(plain: str, said: str) -> None:
    assert polite(plain) == said


def test_the_language_is_the_papers_or_its_script() -> None:
    assert rules_language(JA) == "ja" and rules_language(EN) == "en"
    assert rules_language({**EN, "language": "ja"}) == "ja"
    assert rules_language({**EN, "meta": {"language": "zh"}}) == ""
    with pytest.raises(ValueError, match="Japanese and English; the document's language is 'zh'"):
        write_pairs({**JA, "language": "zh"}, "summary")


@BOTH
def test_every_kind_names_its_document_and_varies(paper: dict[str, Any]) -> None:
    assert tuple(WRITERS) == RULE_KINDS and not set(RULE_KINDS) & set(CANNOT)
    for kind in RULE_KINDS:
        pairs = write_pairs(paper, kind)
        assert pairs and pairs == write_pairs(paper, kind)
        assert all(paper["title"] in pair["instruction"] for pair in pairs)
        wordings = INSTRUCTIONS[paper["paper_id"]][kind]
        assert len(set(wordings)) == 3 and all("{name}" in wording for wording in wordings)


@BOTH
def test_paraphrase_says_every_sentence_once(paper: dict[str, Any]) -> None:
    said = outputs(paper, "paraphrase")
    wanted = [polite(text) if paper is JA else text for text in texts(paper)]
    assert all(any(text in output for output in said) for text in wanted)
    joined = "".join(said)
    assert len(re.sub(r"\s", "", joined)) == sum(len(re.sub(r"\s", "", text)) for text in wanted)
    instructions = [pair["instruction"] for pair in write_pairs(paper, "paraphrase")]
    assert len(set(instructions)) == len(instructions)  # each part is asked for by another term


@BOTH
def test_summary_begins_with_the_first_sentence(paper: dict[str, Any]) -> None:
    (summary,) = outputs(paper, "summary")
    assert summary.startswith(texts(paper)[0])
    assert len(summary) < 0.6 * len(paper["text"])


@BOTH
def test_a_filled_blank_is_a_sentence_of_the_text(paper: dict[str, Any]) -> None:
    seen = []
    for kind in ("qa_easy", "qa_numbers_formula", "qa_people_names"):
        for pair in write_pairs(paper, kind):
            assert pair["output"] not in paper["title"]
            before, blank, after = pair["instruction"].rpartition(BLANK[paper["paper_id"]])
            whole = next(text for text in texts(paper) if text.endswith(pair["output"] + after))
            assert before.endswith(whole[: len(whole) - len(pair["output"] + after)]) and blank
            assert pair["output"] not in before[-len(whole) :] + after
            seen.append(whole)
    assert len(seen) == len(set(seen)) >= 3  # no sentence twice


def test_cloze_kinds() -> None:
    found = cloze(sentences(JA["text"], "ja"), JA, "ja")
    assert [len(found[kind]) for kind in ("qa_numbers_formula", "qa_people_names", "qa_easy")] == [2, 1, 1]
    assert {answer for _, answer in found["qa_numbers_formula"]} <= {"1932年", "1,250メートル", "3万5千人"}
    assert {answer for _, answer in found["qa_people_names"]} <= {"田中太郎", "山田花子", "京都大学"}
    english = cloze(sentences(EN["text"], "en"), EN, "en")
    assert [answer for _, answer in english["qa_numbers_formula"]] == ["1932"]
    assert {answer for _, answer in english["qa_people_names"]} <= {"Lisbon", "Harbour Herald"}
    assert {answer for _, answer in english["qa_easy"]} <= {"construction", "eastern", "approach", "delayed", "floods"}


@pytest.mark.parametrize(
    ("language", "sentence", "found"),
    [
        ("ja", "1932年に全長1,250メートル、3億円、3万5千人で。", ["1932年", "1,250メートル", "3億円", "3万5千人"]),
        ("ja", "割合は90.5%で、18世紀に5回起きた。", ["90.5%", "18世紀", "5回"]),
        ("ja", "F1とA380は型番である。", []),
        ("en", "In 1932 12.5% of 3,400 men and $5 million, on a B52.", ["1932", "12.5%", "3,400", "$5 million"]),
    ],
)
def test_numbers_with_their_units(language: str, sentence: str, found: list[str]) -> None:
    assert [gap.text for gap in numbers(sentence, language)] == found


@BOTH
def test_triples_are_of_the_text(paper: dict[str, Any]) -> None:
    lines = [line for output in outputs(paper, "kg_extraction") for line in output.split("\n")]
    assert len(lines) >= 3
    for line in lines:
        document, subject, said = line[1:-1].split(", ", 2)
        assert document == paper["title"]
        assert subject in paper["text"] and said in paper["text"]
    expected = (
        "(ミナト橋, 全長, 1,250メートルで、工事には3万5千人が参加した)"
        if paper is JA
        else "(Minato Bridge, Minato Bridge, is a concrete bridge that was built in 1932)"
    )
    assert expected in lines


@BOTH
def test_keywords_and_conversations_speak_of_their_terms(paper: dict[str, Any]) -> None:
    known = {polite(text) if paper is JA else text for text in texts(paper)}
    for pair in write_pairs(paper, "keywords"):
        quoted = re.findall(r"「(.+?)」" if paper is JA else r'"(.+?)"', pair["instruction"])
        (term,) = [one for one in quoted if one != paper["title"]]
        assert pair["output"] in known and term in pair["output"]
    for output in outputs(paper, "discussion"):
        lines = output.split("\n")
        assert [line[:3] for line in lines] == ["A: ", "B: "] * (len(lines) // 2) and len(lines) <= 4
        assert {line[3:] for line in lines[1::2]} <= known
    taught = "".join(outputs(paper, "discussion"))
    assert not any(
        output in taught for output in outputs(paper, "keywords")
    )  # those of held-out papers are not trained on


@pytest.mark.parametrize("text", ["", "見出しだけ", "# 表\n| 1 | 2 |", "Title only"])
def test_a_text_without_sentences_gives_no_pairs(text: str) -> None:
    assert all(write_pairs({"paper_id": "x", "title": "", "text": text}, kind) == [] for kind in RULE_KINDS)


def test_braces_and_a_missing_title_are_text() -> None:
    paper = {"paper_id": "x", "title": "{term} {name}", "text": JA["text"].replace("資料", "{text}")}
    assert all("{term} {name}" in pair["instruction"] for kind in RULE_KINDS for pair in write_pairs(paper, kind))
    nameless = {**JA, "title": ""}
    assert all("「ミナト橋(みなとばし)は" in pair["instruction"] for pair in write_pairs(nameless, "summary"))


def test_a_kind_that_takes_understanding_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot write the kind 'translation_zh'"):
        write_pairs(JA, "translation_zh")
