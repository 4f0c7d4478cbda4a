from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.corpus.clean import clean, count_unusable, repair
from nemo_kcpt.corpus.split import draw_heldout, heldout_count, read_heldout_list
from nemo_kcpt.errors import BadInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\n", "a\nb\nc"),
        ("\ufeff\n\n a \u3000\t\n\n b", " a\n\n b"),
        ("\u3000段落", "\u3000段落"),
        ("か\u3099", "か\u3099"),
        ("", ""),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_nfc_only_on_request() -> None:
    assert clean("か\u3099", nfc=True) == "が"


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(repair(text))
    assert clean(once) == once
    assert "\r" not in once
    assert count_unusable(once) == 0
    once.encode("utf-8")


IDS = st.sets(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=40)


@given(IDS, st.integers(0, 5), st.data())
def test_the_split_depends_on_ids_and_seed_only(ids: set[str], seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(ids) - 1))
    shuffled = data.draw(st.permutations(sorted(ids)))
    heldout = draw_heldout(shuffled, count, seed)
    assert len(heldout) == count and heldout <= ids
    assert heldout == draw_heldout(sorted(ids), count, seed)


@given(IDS, st.text(st.characters(codec="utf-8"), min_size=1), st.integers(0, 5), st.data())
def test_one_more_paper_moves_at_most_one(ids: set[str], new: str, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(ids)))
    assert len(draw_heldout(ids, count, seed) - draw_heldout(ids | {new}, count, seed)) <= 1


def test_another_seed_draws_others() -> None:
    ids = [f"p{number}" for number in range(100)]
    assert draw_heldout(ids, 20, 1) != draw_heldout(ids, 20, 2)


def test_how_many() -> None:
    assert heldout_count(40, fraction=0.25) == 10
    assert heldout_count(3, fraction=0.01) == 1
    assert heldout_count(3, fraction=0) == 0
    assert heldout_count(3, count=2) == 2
    with pytest.raises(BadInput, match=r"heldout_fraction=0\.9, which is 3 of 3 papers"):
        heldout_count(3, fraction=0.9)
    with pytest.raises(BadInput, match="heldout_count=5 of 3 papers"):
        heldout_count(3, count=5)


def test_list_files(tmp_path: Path) -> None:
    ids = {"a", "b", "c"}
    file = tmp_path / "list.txt"
    file.write_text("a\nx\ny\n")
    with pytest.raises(BadInput, match=r"list\.txt: 2 of 3 ids are not in the corpus: x, y\."):
        read_heldout_list(file, ids)
    file.write_text("a\nb\nc\n")
    with pytest.raises(BadInput, match="names all 3 papers"):
        read_heldout_list(file, ids)
    file.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="not UTF-8"):
        read_heldout_list(file, ids)
    with pytest.raises(BadInput, match="no such file"):
        read_heldout_list(tmp_path / "none.txt", ids)
    (tmp_path / "split.json").write_text('{"train": []}')
    with pytest.raises(BadInput, match='a list "heldout"'):
        read_heldout_list(tmp_path / "split.json", ids)
