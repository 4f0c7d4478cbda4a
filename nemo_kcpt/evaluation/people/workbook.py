"""The sheet as a workbook for Excel or LibreOffice, and a filled workbook read back.

Texts stay texts: none is taken for a formula (OWASP, "CSV Injection"), what XLSX cannot hold is named instead. Limits
of a cell and its escapes: ECMA-376 Part 1, 18.3.1.96 and 22.4.2.4, and Microsoft's "Excel specifications and limits"
(32,767 characters, counted as UTF-16 units).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.items import Asked, sheet_id
from nemo_kcpt.files import atomic_write

CELL_LIMIT = 32_767
UNPACKED_LIMIT = 500_000_000
"""Bytes of a workbook's parts; a larger one is no sheet that somebody filled in."""
SHEET = "ratings"
RATER_CELL, SHEET_CELL = "E1", "A1"
HEAD_ROW = 3
COLUMNS: tuple[tuple[str, float, str], ...] = (
    ("item", 8, ""),
    ("question_id", 8, ""),
    ("answer_sha256", 8, ""),
    ("paper", 26, "Paper / 論文"),
    ("question", 46, "Question / 質問"),
    ("reference", 46, "Reference / 正解例"),
    ("letter", 9, "Answer / 回答"),
    ("answer", 60, "Text of the answer / 回答の本文"),
    ("rating", 16, "Rating: 1, 0, skip / 評価"),
    ("note", 30, "Note / メモ"),
)
"""Name, width and heading of each column; the first three are hidden and say which answer a row is."""

_ODD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
_ESCAPE = re.compile(r"_x(?=[0-9A-Fa-f]{4}_)")

HOW = (
    "1 = right, 0 = wrong, skip = cannot decide. Other words are right if they say the same as the reference answer; "
    "an answer that adds something false is wrong. Write your name into E1. / "
    "1 = 正しい、0 = 誤り、skip = 判断できない。言い回しが違っても正解例と内容が同じなら正しいとします。"
    "誤った内容を付け加えた回答は誤りです。E1 にお名前を入力してください。"
)


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cell_text(text: str) -> tuple[str, bool]:
    """`text` as a cell can hold it, and whether it had to be cut.

    Controls and marks that turn the direction of writing become their names, as [U+202E]; what Excel would read as an
    escape (_x0041_) is escaped.
    """
    text = _ODD.sub(lambda match: f"[U+{ord(match[0]):04X}]", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _ESCAPE.sub("_x005F_x", text)
    if _units(text) <= CELL_LIMIT:
        return text, False
    mark = f" … [cut: {len(text):,} characters; the whole text is in sheet.html / 全文は sheet.html にあります]"
    room = CELL_LIMIT - _units(mark)
    short = text.encode("utf-16-le", "surrogatepass")[: 2 * room].decode("utf-16-le", "ignore")
    return re.sub(r"_x?[0-9A-Fa-f]{0,4}$", "", short) + mark, True


def _put(cell: Any, text: str) -> bool:
    """Write a text that stays a text; returns whether it was cut."""
    value, cut = cell_text(text)
    cell.value = value
    if value:
        cell.data_type = "s"  # openpyxl takes what begins with = for a formula
        cell.quotePrefix = True  # and Excel what begins with = + - @, once somebody edits the cell
    return cut


def write_workbook(path: Path, asked: Sequence[Asked], titles: Mapping[str, str]) -> int:
    """Write the sheet, atomically; only rater, rating and note can be changed. Returns how many texts were cut.

    Args:
        path: the .xlsx.
        asked: questions with their answers, one row an answer.
        titles: title of each paper, by paper_id.
    """
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font, PatternFill, Protection
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    page = book.active
    page.title = SHEET
    number = {name: position for position, (name, _, _) in enumerate(COLUMNS, start=1)}
    top = Alignment(wrap_text=True, vertical="top")
    open_cell, yellow = Protection(locked=False), PatternFill("solid", fgColor="FFF7DB")
    page[SHEET_CELL] = sheet_id(asked)
    page["D1"] = "Rater / 評価者:"
    page["D1"].font = Font(bold=True)
    page["D1"].alignment = Alignment(horizontal="right")
    page[RATER_CELL].protection, page[RATER_CELL].fill = open_cell, yellow
    page[RATER_CELL].number_format = "@"
    page["D2"] = HOW
    page["D2"].alignment = top
    page.merge_cells(start_row=2, end_row=2, start_column=4, end_column=len(COLUMNS))
    page.row_dimensions[2].height = 48
    for name, width, heading in COLUMNS:
        column = get_column_letter(number[name])
        page.column_dimensions[column].width = width
        page.column_dimensions[column].hidden = not heading
        page.cell(HEAD_ROW, number[name], heading or name).font = Font(bold=True)
        page.cell(HEAD_ROW, number[name]).alignment = top
    row, cuts = HEAD_ROW, 0
    for question in asked:
        for item in question.items:
            row += 1
            texts = {
                "item": item.item,
                "question_id": question.question_id,
                "answer_sha256": item.answer_sha256,
                "paper": titles.get(question.paper_id) or question.paper_id,
                "question": question.question,
                "reference": question.reference,
                "letter": item.letter,
                "answer": item.text or "(empty / 空)",
            }
            for name, text in texts.items():
                cell = page.cell(row, number[name])
                cuts += _put(cell, text)
                cell.alignment = top
            for name in ("rating", "note"):
                cell = page.cell(row, number[name])
                cell.protection, cell.fill, cell.alignment = open_cell, yellow, top
            page.cell(row, number["note"]).number_format = "@"
    check = DataValidation(
        type="list",
        formula1='"1,0,skip"',
        allow_blank=True,
        showErrorMessage=True,
        errorTitle="1, 0, skip",
        error="1 = right / 正しい, 0 = wrong / 誤り, skip = 保留",
    )
    column = get_column_letter(number["rating"])
    check.add(f"{column}{HEAD_ROW + 1}:{column}{row}")
    page.add_data_validation(check)
    page.freeze_panes = page.cell(HEAD_ROW + 1, number["question"])
    page.protection.sheet = True
    page.protection.formatColumns = page.protection.formatRows = False  # False: allowed
    page.page_setup.orientation, page.page_setup.fitToWidth, page.page_setup.fitToHeight = "landscape", 1, 0
    page.sheet_properties.pageSetUpPr.fitToPage = True
    page.print_title_rows = f"{HEAD_ROW}:{HEAD_ROW}"
    with atomic_write(path, "wb") as stream:
        book.save(stream)
    return cuts


def _text(value: Any) -> str:
    from openpyxl.utils.escape import unescape

    return "" if value is None else str(unescape(str(value))).strip()


def read_workbook(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cell of each rating and what its row says, in the fields of a ratings file but question_id.

    `rating` is 1, 0 or null, or what the cell holds if it is none of them.

    Raises:
        BadInput: no workbook, or without the sheet, the rater's cell or the columns that `kcpt human sheet` writes.
    """
    from openpyxl import load_workbook
    from openpyxl.utils import get_column_letter

    try:
        with zipfile.ZipFile(path) as parts:
            size = sum(part.file_size for part in parts.infolist())
        if size > UNPACKED_LIMIT:
            raise ValueError(f"{size:,} bytes unpacked, more than any sheet has")
        book = load_workbook(path, data_only=True, read_only=True)
        rows = list(book[SHEET].iter_rows(max_col=len(COLUMNS), values_only=True)) if SHEET in book.sheetnames else None
        book.close()
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except Exception as error:  # zipfile, XML, missing parts: whatever openpyxl meets, the file is what is wrong
        raise BadInput(f"{path}: not a workbook in XLSX form ({' '.join(str(error).split())[:200]})") from None
    if rows is None:
        raise BadInput(f"{path}: no sheet '{SHEET}' in it; fill in the sheet.xlsx that `kcpt human sheet` wrote")
    nothing = (None,) * len(COLUMNS)
    head = [*rows, *[nothing] * HEAD_ROW][:HEAD_ROW]
    names = [name for name, _, _ in COLUMNS]
    heads = [heading or name for name, _, heading in COLUMNS]
    actual = list(head[-1])
    if actual != heads:
        column = next(position for position, (a, b) in enumerate(zip(actual, heads), start=1) if a != b)
        raise BadInput(
            f"{path}, cell {get_column_letter(column)}{HEAD_ROW}: found {actual[column - 1]!r}, expected "
            f"'{heads[column - 1]}'; the columns of sheet.xlsx must stay as they were"
        )
    sheet, rater = _text(head[0][0]), _text(head[0][4])
    rating_column = names.index("rating") + 1
    for row, cells in enumerate(rows[HEAD_ROW:], start=HEAD_ROW + 1):
        values = dict(zip(names, cells))
        written = values["rating"]
        if written is None or (isinstance(written, str) and not written.strip()):
            continue
        yield (
            f"{get_column_letter(rating_column)}{row}",
            {
                "sheet": sheet,
                "rater": rater,
                "item": _text(values["item"]),
                "answer_sha256": _text(values["answer_sha256"]),
                "rating": _rating(written),
                "note": _text(values["note"]),
                "seconds": None,
            },
        )


def _rating(value: Any) -> Any:
    """1, 0 or None (skip) from what somebody typed, full-width digits and text included; else the value itself."""
    import unicodedata

    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = unicodedata.normalize("NFKC", value).strip().lower()
        return {"1": 1, "0": 0, "skip": None}.get(text, value)
    return int(value) if isinstance(value, int | float) and value in (0, 1) else value
