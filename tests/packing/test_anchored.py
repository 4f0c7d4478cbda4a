"""Anchored packing: whole pairs beside their passages, every token present, nothing repeated beyond the budget."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemo_kcpt.packing.anchored import anchored_windows, sample_windows
from nemo_kcpt.packing.bundles import make_bundles
from nemo_kcpt.packing.papers import TokenisedPaper
from nemo_kcpt.packing.statistics import PackStatistics
from nemo_kcpt.packing.windows import Window
from tests.packing.made import check_table, make_papers, paper_lists

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
BUDGETS = st.sampled_from([0.0, 0.1, 0.5, 10.0])


def pack(papers: list[TokenisedPaper], seq_length: int, budget: float, folder: Path) -> list[Window]:
    return list(anchored_windows(papers, seq_length, -1, budget, folder / "spool.tmp"))


def counted(papers: list[TokenisedPaper], windows: list[Window], seq_length: int) -> dict[str, float]:
    statistics = PackStatistics(seq_length)
    for window in windows:
        statistics.add(window)
    return statistics.counts(sum(len(paper.ids) for paper in papers))


@SHARED
@given(papers=paper_lists(), seq_length=st.integers(8, 64), budget=BUDGETS)
def test_every_token_is_there_and_no_pair_that_fits_is_cut(
    papers: list[TokenisedPaper], seq_length: int, budget: float, tmp_path: Path
) -> None:
    windows = pack(papers, seq_length, budget, tmp_path)
    check_table(papers, windows, seq_length)
    often = Counter(token for window in windows for token in window.ids[: window.length].tolist())
    held = [set(window.ids.tolist()) for window in windows]
    for paper in papers:
        assert all(often[int(token)] >= 1 for token in paper.ids)
        for pair in paper.pairs:
            assert {often[int(token)] for token in pair.ids} == {1}
            if len(pair.ids) <= seq_length:
                assert any(set(pair.ids.tolist()) <= ids for ids in held)
    allowed = budget * sum(paper.tokens for paper in papers)
    assert sum(often[int(token)] - 1 for paper in papers for token in paper.ids) <= allowed
    for window in windows:  # nothing is said twice in a window
        assert Counter(window.ids[: window.length].tolist()).most_common(1)[0][1] == 1
    assert not list(tmp_path.iterdir())


@SHARED
@given(papers=paper_lists(), seq_length=st.integers(8, 64), budget=BUDGETS)
def test_a_paper_that_fits_a_window_stays_whole(
    papers: list[TokenisedPaper], seq_length: int, budget: float, tmp_path: Path
) -> None:
    held = [set(window.ids.tolist()) for window in pack(papers, seq_length, budget, tmp_path)]
    for paper in papers:
        everything = {int(token) for part in (paper, *paper.pairs) for token in part.ids}
        if everything and len(everything) <= seq_length:
            assert any(everything <= ids for ids in held)


@SHARED
@given(papers=paper_lists(), seq_length=st.integers(8, 64))
def test_with_a_large_budget_every_pair_that_leaves_room_is_beside_its_passage(
    papers: list[TokenisedPaper], seq_length: int, tmp_path: Path
) -> None:
    held = [set(window.ids.tolist()) for window in pack(papers, seq_length, 1000.0, tmp_path)]
    for paper in papers:
        for pair in paper.pairs:
            start, end = pair.support
            if start >= 0 and len(pair.ids) + end - start <= seq_length:
                together = {*pair.ids.tolist(), *paper.ids[start:end].tolist()}
                assert any(together <= ids for ids in held)


@SHARED
@given(papers=paper_lists(), seq_length=st.integers(8, 64), budget=BUDGETS)
def test_the_same_papers_give_the_same_windows(
    papers: list[TokenisedPaper], seq_length: int, budget: float, tmp_path: Path
) -> None:
    first, second = (pack(papers, seq_length, budget, tmp_path) for _ in range(2))
    assert [window.ids.tolist() for window in first] == [window.ids.tolist() for window in second]
    assert [window.row() for window in first] == [window.row() for window in second]


def test_pairs_that_overflow_get_their_passage_again_within_the_budget(tmp_path: Path) -> None:
    papers = make_papers([(40, [(12, 0)] * 6)], passage=8)
    plenty = counted(papers, pack(papers, 32, 1.0, tmp_path), 32)
    assert plenty["co_location"] == 1.0 and plenty["repeated_tokens"] >= 16
    assert plenty["repeated_share"] == plenty["repeated_tokens"] / 112
    nothing = counted(papers, pack(papers, 32, 0.0, tmp_path), 32)
    assert nothing["repeated_tokens"] == 0 and nothing["co_location"] == pytest.approx(2 / 6)


def test_a_pair_longer_than_the_window_is_cut_and_stands_alone(tmp_path: Path) -> None:
    papers = make_papers([(10, [(70, 0), (5, 0)])], passage=8)
    windows = pack(papers, 32, 0.5, tmp_path)
    counts = counted(papers, windows, 32)
    assert (counts["pairs_over_window"], counts["cut_pairs"], counts["pairs"]) == (1, 1, 2)
    assert sorted(len([s for s in window.segments if s.pair == 0]) > 0 for window in windows).count(True) == 3


def test_a_pair_as_long_as_the_window_leaves_no_room_for_its_passage(tmp_path: Path) -> None:
    papers = make_papers([(80, [(32, 2), (31, 3), (10, 9)])], passage=8)
    counts = counted(papers, pack(papers, 32, 1.0, tmp_path), 32)
    assert counts["cut_pairs"] == 0 and counts["co_location"] == pytest.approx(1 / 3)


def test_a_paper_a_hundred_times_the_window_is_divided_at_its_passages(tmp_path: Path) -> None:
    papers = make_papers([(3200, [(9, place) for place in range(0, 400, 7)])], passage=8)
    bundles = make_bundles(papers[0], 32, 0.0)
    starts = sorted((bundle.start, bundle.end) for bundle in bundles if bundle.end > bundle.start)
    assert starts[0][0] == 0 and starts[-1][1] == 3200
    assert all(one[1] == two[0] and one[1] % 8 == 0 for one, two in itertools.pairwise(starts))
    counts = counted(papers, pack(papers, 32, 0.0, tmp_path), 32)
    assert counts["co_location"] == 1.0 and counts["cut_pairs"] == 0


def test_room_that_is_left_goes_to_the_text_around(tmp_path: Path) -> None:
    papers = make_papers([(48, [(9, 0), (9, 2), (9, 4)])], passage=8)
    without = counted(papers, pack(papers, 32, 0.0, tmp_path), 32)
    filled = counted(papers, pack(papers, 32, 0.5, tmp_path), 32)
    assert filled["windows"] == without["windows"]
    assert filled["fill_rate"] > without["fill_rate"] and filled["repeated_tokens"] > 0


@SHARED
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=30), seq_length=st.integers(8, 40))
def test_samples_are_whole_and_documents_of_their_own(lengths: list[int], seq_length: int, tmp_path: Path) -> None:
    samples = make_papers([(0, [(length, 0) for length in lengths])], passage=4)[0].pairs
    windows = list(sample_windows(samples, seq_length, -1, tmp_path / "spool.tmp"))
    held = [window.ids[: window.length].tolist() for window in windows]
    assert sorted(token for ids in held for token in ids) == sorted(int(x) for s in samples for x in s.ids)
    for sample in samples:
        if len(sample.ids) <= seq_length:
            (home,) = (window for window in windows if int(sample.ids[0]) in window.ids)
            start = int(np.flatnonzero(home.ids == sample.ids[0])[0])
            assert home.ids[start : start + len(sample.ids)].tolist() == sample.ids.tolist()
            assert start in home.cu_seqlens and start + len(sample.ids) in home.cu_seqlens


def test_pairs_without_room_at_home_share_one_repetition_of_their_passages(tmp_path: Path) -> None:
    """Two about the first passage, two about the second, two about both: all beside one repetition of both."""
    paper = make_papers([(24, [(13, 0), (13, 1)] + [(4, place) for place in (0, 0, 1, 1)])], passage=8)[0]
    bundles = make_bundles(paper, 32, 1.0)
    counts = counted([paper], pack([paper], 32, 1.0, tmp_path), 32)
    assert counts["co_location"] == 1.0 and counts["cut_pairs"] == 0
    assert sum(bundle.repeated for bundle in bundles) <= 16


@SHARED
@given(papers=paper_lists(), seq_length=st.integers(8, 64), budget=BUDGETS)
def test_what_a_bundle_repeats_stands_in_another(papers: list[TokenisedPaper], seq_length: int, budget: float) -> None:
    for paper in papers:
        bundles = make_bundles(paper, seq_length, budget)
        often = Counter(place for bundle in bundles for place in range(bundle.start, bundle.end))
        assert set(often) == set(range(len(paper.ids)))
        assert sum(often.values()) - len(often) == sum(bundle.repeated for bundle in bundles) <= budget * paper.tokens
        assert sorted({number for bundle in bundles for number in bundle.pairs}) == list(range(len(paper.pairs)))
