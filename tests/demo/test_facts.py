"""Fact sheets: same seed, same sheets; fictional names that don't collide; what counts as a right answer."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.evaluation.scoring.exact_match import exact_match, find_values
from nemo_kcpt.fiction import pools
from nemo_kcpt.fiction.facts import FACTS, FactSheet, accepted_values, fact_value, make_names, make_sheets

LANGUAGES = ("ja", "en")


@pytest.mark.parametrize(
    "pool", [pools.TASKS, pools.AUTHORS, pools.ORGANISATIONS, pools.BASE_MODELS, pools.DATASET_NAMES, pools.METRICS]
)
def test_no_pool_value_is_part_of_another(pool: tuple[pools.Names, ...]) -> None:
    for column in range(3):
        values = [names[column].casefold() for names in pool]
        assert not [pair for pair in itertools.permutations(values, 2) if pair[0] in pair[1]]


def test_every_task_has_a_gloss() -> None:
    assert set(pools.TASK_GLOSSES) == {names[0] for names in pools.TASKS}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 60), language=st.sampled_from(LANGUAGES))
def test_a_world_is_consistent(seed: int, n: int, language: str) -> None:
    sheets = make_sheets(n, seed, language, "p")
    methods = [sheet.method for sheet in sheets]
    assert sheets == make_sheets(n, seed, language, "p")
    assert len(set(methods)) == len({sheet.paper_id for sheet in sheets}) == len({sheet.title for sheet in sheets}) == n
    by_method = {sheet.method: sheet for sheet in sheets}
    too_new = [sheet for sheet in sheets if by_method[sheet.related_method].year > sheet.year]
    assert len(too_new) <= 1, "only the eldest paper has no older one to be related to"
    for sheet in sheets:
        assert sheet.related_method in by_method and sheet.related_method != sheet.method
        assert sheet.baseline_score < sheet.score == round(sheet.score, 1)
        assert sheet.method in sheet.title
        assert FactSheet.from_dict(sheet.to_dict()) == sheet
        for fact in FACTS:
            assert exact_match(fact_value(sheet, fact), accepted_values(sheet, fact))


def test_values_are_dealt_evenly() -> None:
    sheets = make_sheets(48, 3, "ja", "p")
    for fact, most in {
        "task": 2,
        "first_author": 2,
        "organisation": 2,
        "dataset_size": 2,
        "score": 1,
        "base_model": 3,
        "year": 5,
    }.items():
        counts = [sum(getattr(other, fact) == getattr(sheet, fact) for other in sheets) for sheet in sheets]
        assert max(counts) <= most, fact


@pytest.mark.parametrize("language", LANGUAGES)
def test_worlds_share_no_method(language: str) -> None:
    demo = frozenset(sheet.method for sheet in make_sheets(48, 1, language, "demo"))
    base = {sheet.method for sheet in make_sheets(200, 2, language, "base", demo)}
    assert len(base) == 200 and not base & demo
    # The same seed would repeat every name; `avoid` alone keeps them apart.
    assert not demo & {sheet.method for sheet in make_sheets(48, 1, language, "base", demo)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_names_for_2304_papers(language: str) -> None:
    names = make_names(2304, random.Random(1), language)
    assert len(set(names)) == 2304 == len(pools.METHOD_STEMS) * len(pools.METHOD_SUFFIXES)
    with pytest.raises(ValueError, match="2305 method names wanted, 2304 are left"):
        make_names(2305, random.Random(1), language)
    # Stems that are used up leave their turn to others, so `avoid` costs no more names than it holds.
    avoid = frozenset(name for name in names if name.startswith(names[0][:3]))
    assert not avoid & set(make_names(2304 - len(avoid), random.Random(2), language, avoid))


def test_names_are_katakana_and_latin_and_short() -> None:
    names = make_names(2304, random.Random(1), "ja")
    assert all(re.fullmatch("[ァ-ヺー]{3,6}[A-Z][a-z]{2,5}", name) for name in names)
    assert max(map(len, names)) == 11


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_is_found_in_another(language: str) -> None:
    names = make_names(2304, random.Random(1), language)
    everything = "、".join(names)
    assert all(len(find_values(everything, [name])) == 1 for name in names[::40])


def test_halves_of_names_are_dealt_evenly() -> None:
    names = make_names(64, random.Random(3), "ja")
    stems = [re.split("(?=[A-Z])", name)[0] for name in names]
    suffixes = [re.split("(?=[A-Z])", name)[1] for name in names]
    assert len(set(stems)) == 64
    assert max(map(suffixes.count, suffixes)) == 2


@pytest.mark.parametrize(
    ("fact", "value", "right", "wrong"),
    [
        (
            "dataset_size",
            12_400,
            ("12,400件", "12400件です。", "１２，４００件", "1万2,400件", "1万2400"),
            ("112,400件", "12,401件", "2,400件", "12,400,000件", ""),
        ),
        ("dataset_size", 21_000, ("2万1千件", "2万1000件"), ("2万1千500件", "21,500件")),
        ("score", 83.7, ("83.7", "正解率は83.7です", "83.7%", "83.7。"), ("183.7", "83.75", "3.7", "8.37", "83")),
        ("score", 60.0, ("60.0", "60点"), ("60.7", "160", "6")),
        ("year", 2021, ("2021年", "2021", "2021年のことです"), ("2012年", "20211", "21年")),
        ("first_author", "霧沢悠真", ("霧沢悠真", "霧沢 悠真さんです", "Yuma Kirisawa"), ("霧沢", "悠真", "榛木千尋")),
        (
            "related_method",
            "カスミNet",
            ("カスミNet", "「カスミNet」です", "関連手法はカスミNet。", "カスミ net", "ｶｽﾐＮｅｔ"),
            ("カスミ", "Net", "カスミNets", "カスミNet2", "オカスミNet", "カスミンNet", "カスミLens", "コダマNet"),
        ),
        (
            "base_model",
            "ハルカゼLM",
            ("ハルカゼLM", "ハルカゼ LM です", "ハルカゼlm", "Harukaze-LM"),
            ("ハルカゼ", "ハルLM"),
        ),
    ],
)
def test_what_counts_as_right(fact: str, value: object, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    sheet = dataclasses.replace(make_sheets(2, 1, "ja", "p")[0], **{fact: value})  # type: ignore[arg-type]
    accepted = accepted_values(sheet, fact)
    assert [answer for answer in right if not exact_match(answer, accepted)] == []
    assert [answer for answer in wrong if exact_match(answer, accepted)] == []


def test_english_words_are_whole() -> None:
    assert exact_match("It was Yuma Kirisawa.", ["Yuma Kirisawa"])
    assert not exact_match("Kasumirano", ["Kasumira"])


@pytest.mark.parametrize("fact", FACTS)
def test_no_other_value_counts_as_right(fact: str) -> None:
    sheets = make_sheets(60, 8, "ja", "p")
    for sheet, other in itertools.permutations(sheets, 2):
        if fact_value(sheet, fact) != fact_value(other, fact):
            assert not exact_match(fact_value(other, fact), accepted_values(sheet, fact))


def test_bad_arguments_are_named() -> None:
    sheet = make_sheets(2, 1, "ja", "p")[0]
    with pytest.raises(ValueError, match="n=1"):
        make_sheets(1, 1, "ja", "p")
    with pytest.raises(ValueError, match="'fr'"):
        make_sheets(2, 1, "fr", "p")
    with pytest.raises(ValueError, match="'colour'"):
        fact_value(sheet, "colour")
    with pytest.raises(ValueError, match=r"missing fields \['year'\]"):
        FactSheet.from_dict({key: value for key, value in sheet.to_dict().items() if key != "year"})
