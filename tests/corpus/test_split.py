from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.corpus.split import Draw, draw, heldout_count, shares, write_split
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json

FEW = settings(max_examples=25)  # each opens a database
IDS = st.sets(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1), min_size=2, max_size=30)


def drawn(
    ids: Iterable[str],
    groups: Iterable[Iterable[str]] = (),
    strata: Mapping[str, str] | None = None,
    fates: Mapping[str, tuple[str, str | None]] | None = None,
    **keys: Any,
) -> dict[str, bool | None]:
    """Paper id -> held out, as drawn from a table like that of merge; `fates` gives (fate, id that is kept)."""
    names = list(ids)
    numbers = {name: number for number, name in enumerate(names)}
    connection = duckdb.connect()
    connection.execute(
        """CREATE TABLE documents (number BIGINT, paper_id VARCHAR, stratum VARCHAR, fate VARCHAR, reason VARCHAR,
           kept BIGINT); CREATE TABLE together (number BIGINT, leader BIGINT)"""
    )
    for name, number in numbers.items():
        fate, kept = (fates or {}).get(name, ("", None))
        row = [number, name, (strata or {}).get(name, ""), fate, "", None if kept is None else numbers[kept]]
        connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", row)
    for group in groups:
        members = [numbers[name] for name in group]
        for number in members:
            connection.execute("INSERT INTO together VALUES (?, ?)", [number, min(members)])
    draw(connection, Draw(**keys))
    return dict(connection.execute("SELECT paper_id, heldout FROM documents").fetchall())


def heldout(*args: Any, **keys: Any) -> set[str]:
    return {name for name, side in drawn(*args, **keys).items() if side}


def numbered(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


@FEW
@given(IDS, st.integers(0, 5), st.data())
def test_the_split_depends_on_ids_and_seed_only(ids: set[str], seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(ids) - 1))
    shuffled = data.draw(st.permutations(sorted(ids)))
    found = heldout(shuffled, count=count, seed=seed)
    assert len(found) == count and found <= ids
    assert found == heldout(sorted(ids), count=count, seed=seed)


@FEW
@given(IDS, st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1), st.integers(0, 5), st.data())
def test_one_more_paper_moves_at_most_one(ids: set[str], new: str, seed: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, len(ids) - 1))
    before, after = (heldout(sorted(names), count=count, seed=seed) for names in (ids, ids | {new}))
    assert len(before - after) <= 1


@FEW
@given(st.data(), st.integers(0, 3))
def test_no_group_is_torn(data: st.DataObject, seed: int) -> None:
    names = numbered(20)
    group_of = [data.draw(st.integers(0, 12)) for _ in names]
    groups = [[name for name, group in zip(names, group_of) if group == number] for number in range(13)]
    groups = [group for group in groups if len(group) > 1]
    sides = drawn(names, groups, count=6, seed=seed)
    assert all(len({sides[name] for name in group}) == 1 for group in groups)
    assert sum(map(bool, sides.values())) <= 6


def test_another_seed_draws_others() -> None:
    assert heldout(numbered(100), count=20, seed=1) != heldout(numbered(100), count=20, seed=2)


def test_a_group_that_is_too_large_is_told(caplog: pytest.LogCaptureFixture) -> None:
    names = numbered(4)
    assert heldout(names, [names], count=1) == set()
    assert "1 fewer papers are held out than asked for: the 1 groups left" in caplog.text


def test_strata_are_held_out_in_proportion() -> None:
    names = numbered(100)
    strata = {name: "2023" if number < 60 else "2024" if number < 90 else "2025" for number, name in enumerate(names)}
    found = heldout(names, strata=strata, fraction=0.2, stratified=True)
    assert [sum(strata[name] == year for name in found) for year in ("2023", "2024", "2025")] == [12, 6, 2]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10), st.data())
def test_shares_add_up_and_are_nearly_exact(sizes: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(sizes)))
    found = shares(sizes, total)
    assert sum(found) == total
    assert all(abs(share - size * total / sum(sizes)) < 1 for share, size in zip(found, sizes))


@FEW
@given(st.integers(2, 30), st.integers(0, 30), st.integers(0, 3))
def test_a_later_run_keeps_old_sides(tmp_path_factory: pytest.TempPathFactory, old: int, new: int, seed: int) -> None:
    path = tmp_path_factory.mktemp("split") / "split.json"
    before = drawn(numbered(old), fraction=0.25, seed=seed)
    sides = {True: "heldout", False: "train"}
    write_json(path, {sides[side]: [name for name in before if before[name] is side] for side in (True, False)})
    after = drawn(numbered(old + new), fraction=0.25, seed=seed + 1, earlier=path)
    assert {name: after[name] for name in before} == before
    assert sum(map(bool, after.values())) == max(
        sum(map(bool, before.values())), heldout_count(old + new, fraction=0.25)
    )


def test_a_new_paper_goes_to_the_side_of_its_group(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_json(tmp_path / "split.json", {"heldout": ["a"], "train": ["b", "c"]})
    sides = drawn(["a", "b", "c", "a2", "b2"], [["a", "a2"], ["b", "b2"]], count=2, earlier=tmp_path / "split.json")
    assert sides == {"a": True, "a2": True, "b": False, "b2": False, "c": False}
    ours = [record for record in caplog.records if record.name == "kcpt"]
    assert all(record.levelno < logging.WARNING for record in ours)
    drawn(["a", "b", "c"], [["a", "b"]], count=1, earlier=tmp_path / "split.json")
    assert "'a' is held out and 'b' is trained on" in caplog.text and "fresh_split=true" in caplog.text


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
    ids = ["a", "b", "c", "a-copy", "short"]
    fates: dict[str, tuple[str, str | None]] = {"a-copy": ("near duplicate", "a"), "short": ("filtered", None)}
    file = tmp_path / "list.txt"
    file.write_text("a\n\nb\n")
    assert heldout(ids, fates=fates, names=file) == {"a", "b"}
    file.write_text("a-copy\n")
    assert heldout(ids, [["a", "c"]], fates=fates, names=file) == {"a", "c"}
    file.write_text("a\nx\ny\nshort\n")
    with pytest.raises(BadInput, match=r"list\.txt: 3 of 4 ids are not in the corpus: x, y, short \(filtered"):
        drawn(ids, fates=fates, names=file)
    file.write_text("a\nb\nc\n")
    with pytest.raises(BadInput, match="names all 3 papers"):
        drawn(ids, fates=fates, names=file)
    file.write_bytes(b"\xff")
    with pytest.raises(BadInput, match="not UTF-8"):
        drawn(ids, names=file)
    with pytest.raises(BadInput, match="no such file"):
        drawn(ids, names=tmp_path / "none.txt")
    (tmp_path / "split.json").write_text('{"train": []}')
    with pytest.raises(BadInput, match='a list "heldout"'):
        drawn(ids, names=tmp_path / "split.json")
    with pytest.raises(BadInput, match="lists heldout and train"):
        drawn(ids, earlier=tmp_path / "split.json")


@FEW
@given(IDS, st.data())
def test_the_written_split_is_json(
    tmp_path_factory: pytest.TempPathFactory, ids: set[str], data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(sorted(ids))))
    connection = duckdb.connect()
    connection.execute("CREATE TABLE documents (paper_id VARCHAR, heldout BOOLEAN, fate VARCHAR)")
    connection.executemany("INSERT INTO documents VALUES (?, ?, '')", [(name, name in chosen) for name in sorted(ids)])
    path = tmp_path_factory.mktemp("split") / "split.json"
    write_split(connection, path, 7)
    found = read_json(path)
    assert found["seed"] == 7 and set(found["heldout"]) == chosen and set(found["train"]) == ids - chosen
    assert len(found["heldout"]) + len(found["train"]) == len(ids)
