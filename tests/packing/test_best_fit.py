"""The bin packer against its definition and against a textbook best-fit decreasing."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.packing import best_fit, pack_best_fit
from nemo_kcpt.packing.bin_slack import filled_bins


def textbook(lengths: list[int], capacity: int) -> list[int]:
    """What best-fit decreasing leaves free in each bin, sequence by sequence."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [(room, index) for index, room in enumerate(rooms) if room >= length]
        if fitting:
            rooms[min(fitting)[1]] -= length
        else:
            rooms.append(capacity - length)
    return sorted(rooms)


@st.composite
def inputs(draw: st.DrawFn) -> tuple[list[int], int]:
    capacity = draw(st.integers(1, 200))
    return draw(st.lists(st.integers(1, capacity), max_size=80)), capacity


@given(inputs(), st.booleans())
def test_bins_are_numbered_hold_their_capacity_and_are_as_few_as_best_fit_decreasing_gives(
    given_: tuple[list[int], int], fast: bool
) -> None:
    """With `fast`, as where the second try is left out: then they are that very packing."""
    lengths, capacity = given_
    with pytest.MonkeyPatch.context() as patch:
        if fast:
            patch.setattr(best_fit, "MOST_WORK", 0)
        bins = pack_best_fit(lengths, capacity)
        assert (bins == pack_best_fit(lengths, capacity)).all()
    assert bins.dtype == np.int64 and bins.shape == (len(lengths),)
    assert sorted(set(bins.tolist())) == list(range(int(bins.max(initial=-1)) + 1))
    sums = np.bincount(bins, weights=lengths) if lengths else np.zeros(0)
    assert sums.max(initial=0) <= capacity
    if fast:
        assert sorted((capacity - sums).astype(int).tolist()) == textbook(lengths, capacity)
    else:
        assert len(sums) <= len(textbook(lengths, capacity))


@given(inputs())
def test_bins_filled_one_after_the_other_hold_every_sequence_once(given_: tuple[list[int], int]) -> None:
    lengths, capacity = given_
    counts = Counter(lengths)
    held: Counter[int] = Counter()
    for count, inside in filled_bins(list(counts), list(counts.values()), capacity):
        assert count > 0 and sum(length * often for length, often in inside) <= capacity
        held += Counter({length: often * count for length, often in inside})
    assert held == counts


def test_a_second_try_is_made_where_the_first_wastes_room() -> None:
    """4, 3, 3 | 4, 3, 3 fill two bins of 10; longest first, the fours stand together and a third bin is needed."""
    lengths = [4, 4, 3, 3, 3, 3]
    assert len(textbook(lengths * 10, 10)) > 20 == pack_best_fit(lengths * 10, 10).max() + 1


def paragraphs(capacity: int) -> np.ndarray:
    return np.random.default_rng(0).normal(226, 80, 10_000).clip(60, capacity)


@pytest.mark.parametrize("capacity", [1024, 4096, 16384, 100_000])
@pytest.mark.parametrize(
    "draw", [lambda capacity: np.random.default_rng(0).lognormal(5.5, 1, 30_000).clip(1, capacity), paragraphs]
)
def test_many_sequences_come_within_half_a_percent_of_the_bound(
    draw: Callable[[int], np.ndarray], capacity: int
) -> None:
    lengths = draw(capacity).astype(np.int32)
    bins = pack_best_fit(lengths, capacity)
    sums = np.bincount(bins, weights=lengths)
    assert sums.max() <= capacity and sums.sum() == lengths.sum()
    assert len(sums) <= 1.005 * -(-int(lengths.sum()) // capacity)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64, list, tuple])
def test_any_integers_will_do(dtype: type) -> None:
    lengths = [200, 55, 200, 55, 1]
    given_ = dtype(lengths) if dtype in (list, tuple) else np.array(lengths, dtype=dtype)
    assert pack_best_fit(given_, 255).tolist() == pack_best_fit(lengths, 255).tolist()
    assert len(set(pack_best_fit(given_, 255).tolist())) == 3


def test_what_cannot_be_packed_is_named() -> None:
    with pytest.raises(ValueError, match=r"lengths\[2\] is 9, over the capacity of 8"):
        pack_best_fit([8, 1, 9, 10], 8)
    with pytest.raises(ValueError, match=r"lengths\[1\] is 0; lengths must be positive"):
        pack_best_fit([1, 0], 8)
    with pytest.raises(ValueError, match=r"lengths\[0\] is -3"):
        pack_best_fit([-3], 8)
    with pytest.raises(ValueError, match=r"one dimension, found the shape \(1, 2\)"):
        pack_best_fit([[1, 2]], 8)
    with pytest.raises(TypeError, match="must be integers, found float64"):
        pack_best_fit([1.5], 8)
    assert pack_best_fit([], 8).tolist() == []
