# ruff: noqa: E501 (pairs stand here as a teacher writes them)
"""Filters: each on what it is for and what looks like it; on real articles and the demo's pairs, false alarms."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.fiction.template_teacher import write_pairs
from nemo_kcpt.fiction.world import make_world
from nemo_kcpt.records.kinds import KINDS
from nemo_kcpt.synthesis.filters import FILTERS, Candidate, Screen, Source
from nemo_kcpt.synthesis.prompts import load_prompts

PROMPTS = load_prompts()
TITLE = "カスミによる文法誤り訂正"
TEXT = (
    "カスミは文法誤り訂正の手法である。学習には12,400文を用い、正解率は81.3%、再現率は0.77であった。"
    "2021年に三千五百件のデータを集め、基準手法を4.25ポイント上回った。詳細は表2に示す。参加者は二十三人で、費用は3万円である。"
    "本手法は事前学習済みモデルに手を加えずに使え、推論に要する時間は従来の手法と変わらない点に特徴がある。"
)
PAPER = {"paper_id": "p", "title": TITLE, "text": TEXT, "references": ["[1] 山田. 文の直し方. 1998."]}
LONG_JA = (
    "カスミは、書かれた文に含まれる文法の間違いを見つけて直すための方法であり、学習用の文を多く使う点に特徴があります。"
)
LONG_EN = "Kasumi is a method that finds and corrects errors of grammar in written sentences, and it learns from many sentences."
LONG_ZH = "该方法用于发现并纠正书面句子中的语法错误，其特点是使用大量的训练句子，并且不需要修改预训练模型。"


def judged(
    output: str,
    *,
    kind: str = "elaboration",
    instruction: str = f"「{TITLE}」を解説してください。",
    language: str = "ja",
    finish: str = "stop",
    title: str = TITLE,
) -> str:
    prompt = PROMPTS[language].by_kind[kind]
    candidate = Candidate("p", kind, language, instruction, output, finish, prompt.placeholders)
    return Screen().judge(candidate, Source({**PAPER, "title": title}))


def case(**fields: str) -> dict[str, str]:
    return fields


GOOD = [
    case(output=LONG_JA),
    case(output=LONG_EN, language="en"),
    case(output=LONG_EN, kind="translation_en"),
    case(output=LONG_ZH, kind="translation_zh"),
    case(output="カスミ LM 是用于语法纠错的方法。" + LONG_ZH, kind="translation_zh"),
    case(output="ユウヅキLM is the base model of カスミ. " + LONG_EN, kind="translation_en"),
    case(output=LONG_JA, kind="qa_easy", instruction=f"「{TITLE}」は何ですか"),
    case(output=LONG_EN, kind="qa_easy", instruction=f'What is "{TITLE}"?', language="en"),
    case(output="BERT, RoBERTa", kind="qa_people_names"),
    case(output="81.3%", kind="qa_numbers_formula"),
    case(
        output="(カスミ, 正解率, 81.3%)\n(カスミ, 訓練文数, 12400)\n(カスミ, 対象, 文法誤り訂正)", kind="kg_extraction"
    ),
    case(output="正解率は81.3%、学習文数は１２，４００文です。"),
    case(output="正解率はおよそ81%で、再現率は0.77(77%)、差は4.3ポイントです。"),
    case(output="集めたデータは3500件、参加者は23人、費用は30,000円です。"),
    case(output="It used 12.4k sentences and 3.5 thousand items; the recall was 77%.", language="en"),
    case(output="学習率の上限は10⁻³、文の数は1.24×10⁴です。", instruction="学習率の上限は0.001ですか。"),
    case(output="三つの点が重要です。\n1. 文を集める\n2. 学習する\n3. 直す"),
    case(output="1998年の山田の研究を踏まえています。", kind="reference"),
    case(output="申し訳程度の補正ではなく、文全体を見て直す点に特徴があります。"),
    case(
        output="カスミは重要な手法。文法の間違いを見つけて直し、学習用の文を多く使う点に特徴を持つ、事前学習の要らない方法"
    ),
    case(output="正解率は81.3%です。", instruction=f"「{TITLE}」で、提案手法の正解率はいくつですか。"),
    case(output="カスミです。", instruction="カスミの著者が提案した手法の名前は何ですか。", title=""),
    case(output="12,400文です。", instruction="カスミの研究で用いた文の数はいくつですか。", title=""),
    case(output="ああああという応答が多かった。次に、いいえという応答が多かった。" + LONG_JA),
]
BAD = [
    ("empty", case(output="。")),
    ("empty", case(output=f"{TITLE}を解説してください")),
    ("cut_off", case(output=LONG_JA, finish="length")),
    ("cut_off", case(output=LONG_JA, finish="content_filter")),
    ("cut_off", case(output=LONG_JA, finish="model_length")),
    ("cut_off", case(output=LONG_JA + "また、カスミは")),
    ("cut_off", case(output=LONG_JA + "その特徴として、")),
    ("cut_off", case(output=LONG_EN + " It is based on the", language="en")),
    ("placeholder", case(kind="qa_easy", instruction=f"「{TITLE}」について、〜は何ですか", output=LONG_JA)),
    ("placeholder", case(kind="qa_easy", instruction=f'About "{TITLE}": What is …?', output=LONG_EN, language="en")),
    ("placeholder", case(kind="qa_easy", instruction=f'About "{TITLE}": Explain ...', output=LONG_EN, language="en")),
    ("refusal", case(output="申し訳ありませんが、その文書の内容にはお答えできません。")),
    ("refusal", case(output="I'm sorry, but I cannot help with that request.", language="en")),
    ("refusal", case(output="AI言語モデルとして、文書を読むことはできません。")),
    ("refusal", case(output="抱歉，我无法提供该文档的翻译。", kind="translation_zh")),
    ("wrong_language", case(output=LONG_EN)),
    ("wrong_language", case(output=LONG_ZH)),
    ("wrong_language", case(output=LONG_JA, language="en")),
    ("wrong_language", case(output=LONG_JA, kind="translation_en")),
    ("wrong_language", case(output=LONG_JA, kind="translation_zh")),
    ("wrong_language", case(output=LONG_EN, kind="translation_zh")),
    ("wrong_language", case(output="カスミは良いです", kind="translation_zh")),
    ("wrong_language", case(output=LONG_ZH, kind="translation_en")),
    ("repetition", case(output=LONG_JA + "とても良い方法です。" * 6)),
    ("repetition", case(output="\n".join(["カスミは文法の間違いを直す方法です。"] * 5))),
    ("copy", case(output=TEXT, kind="paraphrase")),
    ("copy", case(output=TEXT[: len(TEXT) * 3 // 4] + "以上がこの手法の説明です。", kind="generalized")),
    ("numbers", case(output="正解率は82.3%です。")),
    ("numbers", case(output="学習には12,500文を用いています。")),
    ("numbers", case(output="三千六百件のデータを集めました。")),
    ("numbers", case(output="再現率は0.78です。")),
    ("numbers", case(output="2022年に集めました。")),
    ("numbers", case(output="正解率は-81.3%です。")),
    ("numbers", case(output="学習には12,400トンを用いています。")),
    ("numbers", case(output="It used 12,400 million sentences.", language="en")),
    ("numbers", case(output="学習には1.24×10⁵文を用いています。")),
    ("numbers", case(output="差は4.25〜5.75ポイントです。")),
    ("numbers", case(output="学習には1万文を用いています。")),  # a rounded whole number is another claim
    ("needs_paper", case(output="81.3%です。", instruction=f"「{TITLE}」の表2の正解率はいくつですか。")),
    ("needs_paper", case(output="81.3%です。", instruction="本論文の手法の正解率はいくつですか。", title="")),
    ("needs_paper", case(output="81.3%です。", instruction="提案手法の正解率はいくつですか。", title="")),
    (
        "needs_paper",
        case(output="Kasumi.", instruction="What is the name of the proposed method?", language="en", title=""),
    ),
    ("needs_paper", case(output="Kasumi.", instruction="What does this paper propose?", language="en", title="")),
    ("needs_paper", case(output="カスミです。", instruction="次の文章で述べられている手法は何ですか。", title="")),
]


@pytest.mark.parametrize("pair", GOOD, ids=[pair["output"][:20] for pair in GOOD])
def test_what_is_good_is_kept(pair: dict[str, str]) -> None:
    assert judged(**pair) == ""


@pytest.mark.parametrize(("name", "pair"), BAD, ids=[f"{name}-{pair['output'][:16]}" for name, pair in BAD])
def test_what_is_bad_is_rejected_by_name(name: str, pair: dict[str, str]) -> None:
    assert judged(**pair) == name
    candidate = Candidate(
        "p",
        pair.get("kind", "elaboration"),
        pair.get("language", "ja"),
        pair.get("instruction", f"「{TITLE}」を解説してください。"),
        pair["output"],
        pair.get("finish", "stop"),
    )
    source = Source({**PAPER, "title": pair.get("title", TITLE)})
    assert Screen([name]).judge(candidate, source) != name  # switched off, it rejects nothing
    assert Screen(["all"]).judge(candidate, source) == ""


def test_duplicates() -> None:
    screen, source = Screen(), Source(PAPER)

    def judge(output: str, instruction: str = "カスミとは何ですか。", paper: str = "p") -> str:
        return screen.judge(Candidate(paper, "keywords", "ja", instruction, output), source)

    assert judge("文法誤り訂正の手法です。") == ""
    assert judge("文法誤り 訂正の手法です") == "duplicate"
    assert judge("文法誤り訂正の手法です。", paper="q") == "duplicate"
    assert judge("文法誤り訂正の手段です。", paper="q") == ""  # short texts may differ in a word alone
    assert judge(LONG_JA * 2, "説明して") == ""
    assert judge(LONG_JA * 2 + "以上。", "説明して") == "near_duplicate"
    assert judge(LONG_JA * 2 + "以上。", "説明して", paper="other") == ""  # near ones are looked for in the same paper


def test_the_demos_true_pairs_are_kept() -> None:
    for language in ("ja", "en"):
        papers, sheets = make_world(48, 20, language, "filters")
        screen, rejected, number = Screen(), Counter[str](), 0
        for paper, sheet in zip(papers, sheets):
            source = Source({"paper_id": paper["paper_id"], **paper})
            for kind in KINDS:
                for pair in write_pairs(sheet, kind):
                    candidate = Candidate(sheet.paper_id, kind, language, pair["instruction"], pair["output"])
                    rejected[screen.judge(candidate, source)] += 1
                    number += 1
        print(f"{language}: {number - rejected['']} of {number} pairs rejected: {dict(rejected)}")
        assert rejected[""] >= 0.98 * number


def test_sentences_of_real_articles_are_kept(shared_data: Path) -> None:
    """Each article's own sentences as outputs: they are true, in one language and end where they end."""
    generator, reasons = random.Random(1), Counter[str]()
    for file in sorted((shared_data / "jaquad").glob("*.json")):
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            text = "\n".join(item["context"] for item in article["paragraphs"])
            source = Source({"paper_id": article["title"], "title": article["title"], "text": text})
            sentences = [one for one in re.findall(r"[^。\n]+。", text) if len(one) > 10]
            for number, sentence in enumerate(generator.sample(sentences, min(12, len(sentences)))):
                instruction = f"「{article['title']}」について、{number}番目に述べてください。"
                candidate = Candidate(article["title"], "qa_easy", "ja", instruction, sentence)
                reasons[Screen().judge(candidate, source)] += 1
    number = sum(reasons.values())
    print(f"{number - reasons['']} of {number} true sentences rejected: {dict(reasons)}")
    assert number > 800 and reasons[""] >= 0.98 * number


def test_made_up_numbers_in_real_sentences_are_found(shared_data: Path) -> None:
    generator, found, number = random.Random(2), 0, 0
    for file in sorted((shared_data / "jaquad").glob("*.json")):
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            text = "\n".join(item["context"] for item in article["paragraphs"])
            source = Source({"paper_id": "p", "title": article["title"], "text": text})
            for sentence in [one for one in re.findall(r"[^。\n]+。", text) if re.search(r"\d{2,}", one)][:6]:
                wrong = re.sub(
                    r"\d{2,}", lambda match: str(int(match[0]) + generator.randrange(11, 500)), sentence, count=1
                )
                candidate = Candidate("p", "qa_easy", "ja", f"「{article['title']}」とは。", wrong)
                found += Screen().judge(candidate, source) == "numbers"
                number += 1
    print(f"{found} of {number} changed numbers found")
    assert number > 300 and found >= 0.85 * number


@given(st.text(max_size=300), st.text(max_size=60), st.sampled_from(KINDS), st.sampled_from(["ja", "en"]))
def test_any_text_is_judged_and_always_alike(output: str, instruction: str, kind: str, language: str) -> None:
    source = Source(PAPER)
    candidate = Candidate("p", kind, language, instruction, output)
    verdict = Screen().judge(candidate, source)
    assert verdict in (*FILTERS, "") and verdict == Screen().judge(candidate, source)


def test_an_unknown_filter_is_named() -> None:
    with pytest.raises(ValueError, match="no filter 'language'"):
        Screen(["language"])
