"""The method's own packing: every token once and in order."""

from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.packing.concat import concat_segments, concat_windows
from nemo_kcpt.packing.papers import TokenisedPaper
from nemo_kcpt.packing.statistics import PackStatistics
from tests.packing.made import check_table, paper_lists


@given(paper_lists(), st.integers(8, 64))
def test_text_then_pairs_paper_after_paper(papers: list[TokenisedPaper], seq_length: int) -> None:
    windows = list(concat_windows(concat_segments(papers), seq_length, pad_id=-1))
    assert all(window.length == seq_length for window in windows[:-1])
    stream = [token for window in windows for token in window.ids[: window.length].tolist()]
    expected = [part.ids.tolist() for paper in papers for part in (paper, *paper.pairs)]
    assert stream == [token for part in expected for token in part]
    assert set(windows[-1].ids[windows[-1].length :].tolist()) <= {-1}
    check_table(papers, windows, seq_length)


@given(paper_lists(), st.integers(8, 64))
def test_cut_and_co_located_pairs_are_counted_as_defined(papers: list[TokenisedPaper], seq_length: int) -> None:
    """Against a slow recount, token by token."""
    windows = list(concat_windows(concat_segments(papers), seq_length, pad_id=-1))
    statistics = PackStatistics(seq_length)
    for window in windows:
        statistics.add(window)
    counts = statistics.counts(sum(len(paper.ids) for paper in papers))
    held = [set(window.ids.tolist()) for window in windows]
    cut = beside = 0
    for paper in papers:
        for pair in paper.pairs:
            home = next(ids for ids in held if int(pair.ids[0]) in ids)
            cut += not set(pair.ids.tolist()) <= home
            start, end = pair.support
            beside += start >= 0 and set(paper.ids[start:end].tolist()) <= home
    pairs = sum(len(paper.pairs) for paper in papers)
    assert (counts["pairs"], counts["cut_pairs"]) == (pairs, cut)
    if pairs and any(len(paper.ids) for paper in papers):
        assert counts["co_location"] == beside / pairs
    assert counts["repeated_tokens"] == 0
    assert counts["tokens"] == sum(window.length for window in windows)
