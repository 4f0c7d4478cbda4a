"""The draw: stratified by kind, by seed, and the same however many questions the filter is asked at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.evaluation.questions import choose
from nemo_kcpt.evaluation.questions.choose import draw, shares

Records = Sequence[Mapping[str, Any]]


def records(sizes: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    return [
        {"question_id": f"{split}:{kind}:{number}", "split": split, "kind": kind, "question": "?"}
        for (split, kind), size in sizes.items()
        for number in range(size)
    ]


def keep_all(asked: Records) -> list[dict[str, Any]]:
    return [{"kept": True, "filter": {}} for _ in asked]


def keep_some(asked: Records) -> list[dict[str, Any]]:
    return [{"kept": sum(map(ord, one["question_id"])) % 3 != 0, "filter": {}} for one in asked]


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 50), max_size=6), st.integers(0, 200))
def test_shares_add_up(available: dict[str, int], n: int) -> None:
    found = shares(available, n)
    assert sum(found.values()) == min(n, sum(available.values()))
    assert all(found[kind] <= number for kind, number in available.items())
    if n >= len(available):
        assert all(found[kind] >= min(1, number) for kind, number in available.items())


def test_proportional_to_what_is_there_and_at_least_one_each() -> None:
    assert shares({"a": 900, "b": 90, "c": 9, "d": 1}, 100) == {"a": 89, "b": 9, "c": 1, "d": 1}
    found = draw(records({("train", "a"): 90, ("train", "b"): 10, ("test", "a"): 4}), 20, 0, keep_all)
    assert Counter((one["split"], one["kind"]) for one in found) == {
        ("train", "a"): 18,
        ("train", "b"): 2,
        ("test", "a"): 4,
    }


def test_what_a_kind_cannot_give_the_others_make_up_for() -> None:
    def judge(asked: Records) -> list[dict[str, Any]]:
        return [{"kept": one["kind"] != "bad", "filter": {}} for one in asked]

    found = draw(records({("train", "bad"): 50, ("train", "good"): 50}), 40, 0, judge)
    assert Counter((one["kind"], one["kept"]) for one in found) == {("bad", False): 50, ("good", True): 40}


def test_a_filter_is_asked_about_little_more_than_is_wanted() -> None:
    asked: list[str] = []

    def judge(given_: Records) -> list[dict[str, Any]]:
        asked.extend(one["question_id"] for one in given_)
        return keep_some(given_)

    found = draw(records({("train", "a"): 5000, ("test", "a"): 5000}), 100, 0, judge)
    assert sum(one["kept"] for one in found) == 200
    assert len(asked) == len(set(asked)) < 450


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["train", "test"]), st.sampled_from("abc")), st.integers(1, 30), min_size=1
    ),
    st.integers(0, 40),
    st.integers(0, 3),
    st.integers(1, 7),
)
@settings(max_examples=60)
def test_the_result_does_not_depend_on_how_many_are_asked_at_once(
    sizes: dict[tuple[str, str], int], n: int, seed: int, step: int
) -> None:
    given_ = records(sizes)
    found = draw(given_, n, seed, keep_some)
    waiting = choose._Stratum.waiting
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose._Stratum, "waiting", lambda self: self._rest(step) if waiting(self) else [])
        patch.setattr(choose._Stratum, "_rest", lambda self, k: self._order[len(self._verdicts) :][:k], raising=False)
        assert draw(given_, n, seed, keep_some) == found
    for split in ("train", "test"):
        there = [one for one in given_ if one["split"] == split]
        possible = sum(one["kept"] for one in keep_some(there))
        kept = sum(one["kept"] for one in found if one["split"] == split)
        assert kept == (min(n, possible) if n else possible)
    if not n:
        assert len(found) == len(given_)
