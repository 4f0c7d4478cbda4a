"""sheet.xlsx: texts stay texts, ratings are checked as they are typed, and what people type is read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.items import Asked, Item
from nemo_kcpt.evaluation.people.workbook import CELL_LIMIT, cell_text, read_workbook, write_workbook
from tests.evaluation.human import sheets


def _asked(*texts: str) -> list[Asked]:
    items = tuple(Item(f"001{chr(65 + n)}", chr(65 + n), text, f"hash{n}", ("m",)) for n, text in enumerate(texts))
    return [Asked(1, "q:1", "p", "=question", "+reference", items)]


def _cells(path: Path, column: str, rows: int) -> list[Any]:
    page = load_workbook(path)["ratings"]
    return [page[f"{column}{row}"] for row in range(4, 4 + rows)]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1", "12"])
def test_texts_are_no_formulas(tmp_path: Path, text: str) -> None:
    write_workbook(tmp_path / "s.xlsx", _asked(text), {})
    (cell,) = _cells(tmp_path / "s.xlsx", "H", 1)
    assert (cell.data_type, cell.value, cell.quotePrefix) == ("s", text, True)


def test_what_a_cell_cannot_hold_is_named() -> None:
    assert cell_text("a\x00b\x1f\u202ec\ufffe\ud800\r\nd") == ("a[U+0000]b[U+001F][U+202E]c[U+FFFE][U+D800]\nd", False)
    assert cell_text("_x0041_ _y") == ("_x005F_x0041_ _y", False)


def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    assert cell_text("あ" * CELL_LIMIT) == ("あ" * CELL_LIMIT, False)
    for text in ("あ" * (CELL_LIMIT + 1), "😀" * 20_000, "=" * 100_000):
        cut, was_cut = cell_text(text)
        assert was_cut and len(cut.encode("utf-16-le")) // 2 <= CELL_LIMIT and "sheet.html" in cut
        assert cut.startswith(text[:10_000])
    assert write_workbook(tmp_path / "s.xlsx", _asked("あ" * 40_000, "short"), {}) == 1
    assert len(_cells(tmp_path / "s.xlsx", "H", 1)[0].value) <= CELL_LIMIT


def test_validation_protection_and_hidden_columns(tmp_path: Path) -> None:
    write_workbook(tmp_path / "s.xlsx", _asked("x", "y"), {"p": "Title"})
    page = load_workbook(tmp_path / "s.xlsx")["ratings"]
    (check,) = page.data_validations.dataValidation
    assert (check.formula1, str(check.sqref), check.type) == ('"1,0,skip"', "I4:I5", "list")
    assert page.protection.sheet
    assert [page[cell].protection.locked for cell in ("E1", "I4", "J5", "H4", "A4", "A1")] == [False] * 3 + [True] * 3
    assert all(page.column_dimensions[column].hidden for column in "ABC")
    assert page["D4"].value == "Title" and page["A5"].value == "001B"


def fill(path: Path, rater: Any, ratings: list[Any]) -> None:
    book = load_workbook(path)
    page = book["ratings"]
    page["E1"] = rater
    for row, rating in enumerate(ratings, start=4):
        page[f"I{row}"] = rating
    page["J4"] = "=memo"
    book.save(path)


def test_filled_in_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "s.xlsx"
    write_workbook(path, _asked(*"abcdefg"), {})
    fill(path, " 佐藤 ", [1, 0.0, "１", " Skip ", None, "maybe", True])
    rows = dict(read_workbook(path))
    assert {cell: row["rating"] for cell, row in rows.items()} == {
        "I4": 1,
        "I5": 0,
        "I6": 1,
        "I7": None,
        "I9": "maybe",
        "I10": True,
    }
    assert {row["rater"] for row in rows.values()} == {"佐藤"}
    assert rows["I6"]["item"] == "001C" and rows["I6"]["answer_sha256"] == "hash2"


def test_not_a_sheet(tmp_path: Path) -> None:
    path = tmp_path / "s.xlsx"
    path.write_text("no zip")
    with pytest.raises(BadInput, match="not a workbook in XLSX form"):
        list(read_workbook(path))
    write_workbook(path, _asked("x"), {})
    book = load_workbook(path)
    book["ratings"].delete_cols(5)
    book.save(path)
    with pytest.raises(BadInput, match=r"cell E3: found 'Reference / 正解例', expected 'Question / 質問'"):
        list(read_workbook(path))
    book["ratings"].delete_rows(1, 99)
    book.save(path)
    with pytest.raises(BadInput, match="cell A3: found None, expected 'item'"):
        list(read_workbook(path))
    book["ratings"].title = "else"
    book.save(path)
    with pytest.raises(BadInput, match="no sheet 'ratings'"):
        list(read_workbook(path))


def test_a_file_that_unpacks_to_more_than_any_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_workbook(tmp_path / "s.xlsx", _asked("x"), {})
    monkeypatch.setattr("nemo_kcpt.evaluation.people.workbook.UNPACKED_LIMIT", 1000)
    with pytest.raises(BadInput, match="bytes unpacked, more than any sheet has"):
        list(read_workbook(tmp_path / "s.xlsx"))


def test_the_sheet_s_hostile_answers(tmp_path: Path) -> None:
    folder = sheets.make_sheet(tmp_path)
    cells = _cells(folder / "sheet.xlsx", "H", 7)
    assert {cell.data_type for cell in cells} == {"s"}
    assert "=1+1" in [cell.value for cell in cells]
    assert any("[U+202E]" in cell.value for cell in cells)
