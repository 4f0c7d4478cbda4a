from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.corpus.similarity import BANDS, SHINGLE, bands, signature, similarity, units
from nemo_kcpt.text.language import language_of


def alike(left: str, right: str) -> float:
    return similarity(signature(left).tobytes(), signature(right).tobytes())


def jaccard(left: str, right: str) -> float:
    sets = [
        {letters[start : start + SHINGLE] for start in range(len(letters) - SHINGLE + 1)}
        for letters in (units(left), units(right))
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_a_unit_is_a_character_or_a_word() -> None:
    assert len(units("自然言語処理")) == 6
    assert len(units("natural language processing")) == 3
    assert len(units("NeMoで自然言語、処理!")) == 8
    assert units("ＮｅＭｏ  を") == units("nemo を") == units("NEMO、を")
    assert units("… 、。!") == ""


@given(st.text(st.characters(codec="utf-8")))
def test_white_space_and_marks_do_not_count(text: str) -> None:
    spaced = "、".join(text.split(" "))
    assert units(spaced) == units(text)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_estimates_are_near_the_jaccard_similarity(share: float) -> None:
    random.seed(20261123)
    letters = [chr(random.randrange(0x4E00, 0x9FFF)) for _ in range(3000)]
    other = letters[: int(3000 * (1 - share))] + [chr(random.randrange(0x4E00, 0x9FFF)) for _ in range(200)]
    left, right = "".join(letters), "".join(other)
    assert abs(alike(left, right) - jaccard(left, right)) < 0.12  # three standard deviations at 128 values


@pytest.mark.parametrize("text", ["彼は東京に住んでいる。" * 3, "He lives in Tokyo and works there as an engineer."])
def test_the_same_text_shares_all_bands(text: str) -> None:
    assert bands(signature(text)) == bands(signature(text + "\n"))
    assert len(bands(signature(text))) == BANDS
    assert all(0 <= key < 1 << 63 for key in bands(signature(text)))


def test_texts_without_letters_are_not_alike() -> None:
    assert bands(signature("")) == bands(signature("… !")) == []


def test_signatures_do_not_change_from_version_to_version() -> None:
    """Parts of one corpus may be made on several machines; a library that hashed differently would find no pair."""
    assert signature("継続事前学習による知識獲得")[:4].tolist() == [3235426392, 3317161281, 3416936648, 3306159834]


def test_real_articles_are_not_alike(shared_data: Path) -> None:
    articles = [
        " ".join(paragraph["context"] for paragraph in article["paragraphs"])
        for file in sorted((shared_data / "jaquad").glob("*.json"))
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]
    ]
    signatures = [signature(text).tobytes() for text in articles]
    assert max(similarity(one, other) for one, other in itertools.combinations(signatures, 2)) < 0.1
    assert {language_of(text) for text in articles} == {"ja"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("本手法は、大規模言語モデルに文書の知識を獲得させる。", "ja"),
        ("Knowledge acquisition by continual pretraining of language models.", "en"),
        ("本文提出了一种基于持续预训练的知识获取方法，并在多个数据集上进行了实验验证其有效性。", "zh"),
        ("자연어 처리를 위한 대규모 언어 모델의 지속적 사전 학습 방법을 제안한다.", "ko"),
        ("Nous proposons une méthode d'acquisition de connaissances par pré-entraînement.", "fr"),
        ("東京都", ""),
        ("1234 + 5678 = 6912", ""),
        ("", ""),
    ],
)
def test_languages(text: str, code: str) -> None:
    assert language_of(text) == code
