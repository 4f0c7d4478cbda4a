"""Excel's workbooks: tables as they are shown."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

import pytest

from tests.office.files import NAMESPACES, write_xlsx
from tests.readers.reading import found, peak_of, problem, records


def data(*rows: str, before: str = "", after: str = "") -> str:
    """A sheet of rows; `1 | x` is a cell with a number beside one with a text, nothing between bars no cell."""
    made = ""
    for number, row in enumerate(rows, 1):
        cells = ""
        for column, text in enumerate(map(str.strip, row.split("|"))):
            name = f"{chr(65 + column)}{number}"
            if text.startswith("<"):
                cells += text.replace("<c", f'<c r="{name}"', 1)
            elif text.replace(".", "").replace("-", "").isdigit():
                cells += f'<c r="{name}"><v>{text}</v></c>'
            elif text:
                cells += f'<c r="{name}" t="inlineStr"><is><t>{text}</t></is></c>'
        made += f'<row r="{number}">{cells}</row>' if cells else ""
    return f"{before}<sheetData>{made}</sheetData>{after}"


def text_of(folder: Path, sheet: str, **parts: Any) -> str:
    (record,) = records(write_xlsx(folder / "a.xlsx", {"Sheet1": sheet}, **parts))
    return str(record["text"])


def flaws_of(folder: Path, sheet: str, **parts: Any) -> list[tuple[str, str, str]]:
    (one,) = found(write_xlsx(folder / "a.xlsx", {"Sheet1": sheet}, **parts))
    assert not one.problem
    return [(flaw.kind, flaw.where.partition(", ")[2], flaw.detail) for flaw in one.flaws]


def styles(*codes: str, fonts: str = "<font/>", font: int = 0) -> str:
    """Cell style n, from 1, has the n-th format."""
    formats = "".join(f'<numFmt numFmtId="{164 + n}" formatCode="{code}"/>' for n, code in enumerate(codes))
    cells = "".join(f'<xf numFmtId="{164 + n}" fontId="{font}"/>' for n in range(len(codes)))
    return f'<numFmts>{formats}</numFmts><fonts>{fonts}</fonts><cellXfs><xf numFmtId="0"/>{cells}</cellXfs>'


def test_sheets_are_tables_with_their_names(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"売上": data("年 | 額", "2020 | 12"), "人員": data("部 | 人", "a | 400")})
    (record,) = records(path)
    assert record["text"] == (
        "# 売上\n\n| 年 | 額 |\n| --- | --- |\n| 2020 | 12 |\n\n# 人員\n\n| 部 | 人 |\n| --- | --- |\n| a | 400 |"
    )
    assert record["sheets"] == 2


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ("#,##0", "1234567.5", "1,234,568"),
        ("0.0%", "0.12", "12.0%"),
        ("[$-411]ggge&quot;年&quot;m&quot;月&quot;d&quot;日&quot;", "43922", "令和2年4月1日"),
        ("&quot;¥&quot;#,##0;[Red]&quot;▲&quot;#,##0", "-12400", "▲12,400"),
        ("yyyy/m/d", "43922", "2020/4/1"),
        ("0.00", "1.0049999999999999", "1.01"),
    ],
)
def test_numbers_and_dates_are_as_shown(tmp_path: Path, code: str, value: str, shown: str) -> None:
    assert text_of(tmp_path, data(f'<c s="1"><v>{value}</v></c>'), styles=styles(code)) == shown


def test_what_openpyxl_writes_with_the_formats_of_the_file_format(tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    for value, code in (
        (datetime.datetime(2020, 4, 1), "yyyy-mm-dd"),
        (datetime.time(9, 5), "h:mm"),
        (datetime.date(2020, 4, 1), "mm-dd-yy"),
        (0.5, "0%"),
        (-1234, "#,##0;[Red]-#,##0"),
        (True, "General"),
        ("１２", "@"),
        (0.1 + 0.2, "General"),
    ):
        sheet.append([value])
        sheet.cell(sheet.max_row, 1).number_format = code
    book.save(tmp_path / "a.xlsx")
    (record,) = records(tmp_path / "a.xlsx")
    assert record["text"].split("\n")[2:] == [
        f"| {text} |" for text in ("9:05", "2020/4/1", "50%", "-1,234", "TRUE", "１２", "0.3")
    ]
    assert record["text"].startswith("| 2020-04-01 |")


def test_dates_of_a_workbook_since_1904(tmp_path: Path) -> None:
    sheet = data('<c s="1"><v>42460</v></c>')
    assert text_of(tmp_path, sheet, styles=styles("yyyy/m/d"), workbook='<workbookPr date1904="1"/>') == "2020/4/1"


def test_kinds_of_cells(tmp_path: Path) -> None:
    cells = (
        '<c t="s"><v>0</v></c> | <c t="b"><v>1</v></c> | <c t="e"><v>#N/A</v></c>'
        ' | <c t="str"><f>A1</f><v>12人</v></c> | <c t="d"><v>2020-04-01</v></c>'
        ' | <c><f>1+1</f><v>2</v></c> | <c t="inlineStr"><is><t>a_x000D_|b</t></is></c>'
    )
    raised = "<r><rPr><vertAlign val='superscript'/></rPr><t>6</t></r>"
    strings = f"<si><r><t>10</t></r>{raised}<rPh sb='0' eb='1'><t>ヨミ</t></rPh></si>"
    sheet = data(cells.replace("|b", "&#124;b"))
    assert text_of(tmp_path, sheet, strings=strings).split("\n")[0] == (
        "| 10⁶ | TRUE | #N/A | 12人 | 2020-04-01 | 2 | a \\|b |"
    )


def test_a_font_that_strikes_through(tmp_path: Path) -> None:
    fonts = "<font/><font><strike/></font>"
    assert text_of(tmp_path, data('<c s="1"><v>12</v></c>'), styles=styles("0", fonts=fonts, font=1)) == "~~12~~"


def test_marks_in_a_symbol_font(tmp_path: Path) -> None:
    fonts = '<font/><font><name val="Wingdings"/></font>'
    run = "<si><r><rPr><rFont val='Symbol'/></rPr><t>m</t></r><r><t>m</t></r></si>"
    sheet = data('<c s="1" t="inlineStr"><is><t>ü</t></is></c> | <c t="s"><v>0</v></c>')
    assert text_of(tmp_path, sheet, styles=styles("General", fonts=fonts, font=1), strings=run).startswith("| ✓ | μm |")


def test_lines_of_a_cell_stay_apart(tmp_path: Path) -> None:
    assert text_of(tmp_path, data("a\nb | 12\n400")).startswith("| a b | 12; 400 |")


def test_the_title_is_the_file_s_name_unless_it_has_one(tmp_path: Path) -> None:
    (record,) = records(write_xlsx(tmp_path / "売上2020.xlsx", {"Sheet1": data("12"), "Sheet2": data("13")}))
    assert record["title"] == "売上2020"


def test_merged_cells_show_the_first_alone(tmp_path: Path) -> None:
    sheet = data("年 | hidden | 人", "2020 | a | 12", after='<mergeCells><mergeCell ref="A1:B1"/></mergeCells>')
    assert text_of(tmp_path, sheet) == "| 年 |  | 人 |\n| --- | --- | --- |\n| 2020 | a | 12 |"


def test_columns_under_merged_cells_part_no_table(tmp_path: Path) -> None:
    """As forms have them: each name stands in two merged columns, a title across all of them."""
    merged = "".join(f'<mergeCell ref="{one}"/>' for one in ("A1:F1", "B2:C2", "B3:C3", "B4:C4", "A5:A6"))
    after = f"<mergeCells>{merged}</mergeCells>"
    rows = [
        "請求書",
        "No. | 品名 |  | 数量 |  | 備考",
        "1 | 甲 |  | 12 |  | x",
        "2 | 乙 |  | 13 |  | y",
        "計 |  |  | 25",
    ]
    assert text_of(tmp_path, data(*rows, after=after)) == (
        "請求書\n\n| No. | 品名 | 数量 |\n| --- | --- | --- |\n| 1 | 甲 | 12 |\n| 2 | 乙 | 13 |\n| 計 |  | 25 |\n\n"
        "| 備考 |\n| --- |\n| x |\n| y |"
    )


def test_several_tables_and_lines_on_a_sheet(tmp_path: Path) -> None:
    sheet = data("売上報告", "年 | 額 |  | 部 | 人", "2020 | 12 |  | a | 400", "", "注: 概数", "", "x | y", "1 | 2")
    assert text_of(tmp_path, sheet) == (
        "売上報告\n\n| 年 | 額 |\n| --- | --- |\n| 2020 | 12 |\n\n| 部 | 人 |\n| --- | --- |\n| a | 400 |\n\n"
        "注: 概数\n\n| x | y |\n| --- | --- |\n| 1 | 2 |"
    )


def test_what_is_hidden_is_left_out_and_named(tmp_path: Path) -> None:
    sheet = data(
        "a | b | c", "1 | 2 | 3", "4 | 5 | 6", "7 | 8 | 9", before='<cols><col min="2" max="2" hidden="1"/></cols>'
    )
    sheet = sheet.replace('<row r="3">', '<row r="3" hidden="1">')
    assert text_of(tmp_path, sheet) == "| a | c |\n| --- | --- |\n| 1 | 3 |\n| 7 | 9 |"
    ((kind, where, detail),) = flaws_of(tmp_path, sheet)
    assert (kind, where) == ("sheets that are hidden, or of which rows, columns or cells are, left out", "sheet Sheet1")
    assert detail.startswith("1 row and columns B")
    path = write_xlsx(tmp_path / "b.xlsx", {"a": data("1"), "b": data("2")}, states={"b": "veryHidden"})
    (one,) = found(path)
    assert one.record["text"] == "# a\n\n1" and one.flaws[0].where.endswith("sheet b")


def test_cells_whose_format_hides_what_they_hold_are_named(tmp_path: Path) -> None:
    secret = '<c s="1" t="inlineStr"><is><t>secret</t></is></c>'
    sheet = data("x | y | z", f'a | <c s="1"><v>12</v></c> | {secret}', "b | 3 | 4")
    assert text_of(tmp_path, sheet, styles=styles(";;;")).split("\n")[2:] == ["| a |  |  |", "| b | 3 | 4 |"]
    ((kind, where, detail),) = flaws_of(tmp_path, sheet, styles=styles(";;;"))
    assert (kind, where) == ("sheets that are hidden, or of which rows, columns or cells are, left out", "sheet Sheet1")
    assert detail == "B2, C2: their format shows nothing; change it in Excel to have them read"
    nothing = data('a | <c s="1"><v>0</v></c>', "b | 3")
    assert flaws_of(tmp_path, nothing, styles=styles("0;-0;")) == []


@pytest.mark.parametrize(
    "column", ['<col min="2" max="2" width="0" customWidth="1"/>', '<col min="2" max="2" hidden="true"/>']
)
def test_a_column_without_width_and_a_row_without_height_are_hidden(tmp_path: Path, column: str) -> None:
    sheet = data("a | b", "1 | 2", "3 | 4", before=f"<cols>{column}</cols>")
    sheet = sheet.replace('<row r="3">', '<row r="3" ht="0" customHeight="1">')
    assert text_of(tmp_path, sheet) == "| a |\n| --- |\n| 1 |"
    ((_, _, detail),) = flaws_of(tmp_path, sheet)
    assert detail.startswith("1 row and columns B")


def test_a_text_box_that_is_hidden_is_named(tmp_path: Path) -> None:
    boxed = "<xdr:txBody><a:p><a:r><a:t>12</a:t></a:r></a:p></xdr:txBody>"
    about = '<xdr:nvSpPr><xdr:cNvPr id="2" name="Box 1" hidden="1"/></xdr:nvSpPr>'
    drawing = f'<xdr:wsDr xmlns:xdr="d" {NAMESPACES}><xdr:sp>{about}{boxed}</xdr:sp></xdr:wsDr>'
    about_drawing = {
        "parts": {"xl/drawings/d.xml": drawing},
        "relations": {"xl/worksheets/sheet1.xml": "rId1 drawing ../drawings/d.xml"},
    }
    assert text_of(tmp_path, data("a"), **about_drawing) == "a"
    ((_, where, detail),) = flaws_of(tmp_path, data("a"), **about_drawing)
    assert (where, detail) == ("sheet Sheet1", "drawing Box 1; unhide it in Excel to have it read")


def test_a_workbook_of_which_everything_is_hidden_says_so(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"a": data("1")}, states={"a": "hidden"})
    assert "left out: sheet a" in problem(path)


def test_a_formula_without_a_value_is_named_and_not_guessed(tmp_path: Path) -> None:
    sheet = data("a | b", "1 | <c><f>A2*2</f></c>")
    assert text_of(tmp_path, sheet) == "| a | b |\n| --- | --- |\n| 1 |  |"
    ((kind, where, detail),) = flaws_of(tmp_path, sheet)
    assert (kind, where, detail[:3]) == ("sheets with formulas of which no value is stored", "sheet Sheet1", "B2:")


def test_a_format_that_is_not_known_is_named(tmp_path: Path) -> None:
    sheet = data('<c s="1"><v>43922</v></c>')
    assert text_of(tmp_path, sheet, styles=styles("[$-40C]mmmm")) == "43922"
    ((kind, _, detail),) = flaws_of(tmp_path, sheet, styles=styles("[$-40C]mmmm"))
    assert kind == "sheets with numbers whose format is not known" and detail.startswith("A1:")


def test_a_currency_that_only_excel_s_locale_knows_is_named(tmp_path: Path) -> None:
    own = '<numFmts><numFmt numFmtId="7" formatCode="&quot;$&quot;#,##0.00"/></numFmts>'
    style = '<fonts><font/></fonts><cellXfs><xf numFmtId="0"/><xf numFmtId="7"/></cellXfs>'
    sheet = data('<c s="1"><v>1234.5</v></c>')
    assert text_of(tmp_path, sheet, styles=style) == "1,234.50"
    ((kind, where, detail),) = flaws_of(tmp_path, sheet, styles=style)
    assert (kind, where) == ("sheets with amounts whose currency the file does not say", "sheet Sheet1")
    assert detail == "A1: Excel shows them with the sign of the country where it runs; these are written without one"
    assert text_of(tmp_path, sheet, styles=own + style) == "$1,234.50"
    assert flaws_of(tmp_path, sheet, styles=own + style) == []


def test_formats_that_depend_on_conditions_are_named(tmp_path: Path) -> None:
    shown = '<dxfs><dxf><numFmt numFmtId="200" formatCode="0%"/></dxf><dxf><font/></dxf></dxfs>'
    for rule, told in ((0, True), (1, False)):
        one = f'<cfRule type="cellIs" dxfId="{rule}" priority="1"/>'
        sheet = data("a | 0.5", after=f'<conditionalFormatting sqref="A1">{one}</conditionalFormatting>')
        assert "| a | 0.5 |" in text_of(tmp_path, sheet, styles=shown)
        found = [(kind, where) for kind, where, _ in flaws_of(tmp_path, sheet, styles=shown)]
        assert found == [("sheets with number formats that depend on conditions", "sheet Sheet1")] * told


def test_text_boxes_and_titles_of_charts(tmp_path: Path) -> None:
    boxed = "<xdr:txBody><a:p><a:r><a:t>注意</a:t></a:r></a:p></xdr:txBody>"
    drawing = f'<xdr:wsDr xmlns:xdr="d" {NAMESPACES}><xdr:sp>{boxed}</xdr:sp><c:chart r:id="rId1"/></xdr:wsDr>'
    title = "<c:title><a:p><a:r><a:t>推移</a:t></a:r></a:p></c:title>"
    text = text_of(
        tmp_path,
        data("a | b", "1 | 2"),
        parts={
            "xl/drawings/d.xml": drawing,
            "xl/charts/c.xml": f"<c:chartSpace {{ns}}><c:chart>{title}</c:chart></c:chartSpace>",
        },
        relations={
            "xl/worksheets/sheet1.xml": "rId1 drawing ../drawings/d.xml",
            "xl/drawings/d.xml": "rId1 chart ../charts/c.xml",
        },
    )
    assert text == "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n注意\n\n推移"


def test_a_binary_workbook_and_an_empty_one(tmp_path: Path) -> None:
    from tests.office.files import write_package

    path = write_package(tmp_path / "a.xlsb", "xl/workbook.bin", {"xl/workbook.bin": b"x"}, {})
    assert "binary workbook (.xlsb); save it as .xlsx" in problem(path)
    assert "there is no text" in problem(write_xlsx(tmp_path / "a.xlsx", {"a": data()}))


def test_a_long_table_is_one_table_and_takes_little_memory(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{n}"><c><v>{n}</v></c><c><v>{n}.5</v></c></row>' for n in range(2, 60_002))
    head = '<row r="1"><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><t>b|</t></is></c></row>'
    path = write_xlsx(tmp_path / "a.xlsx", {"Sheet1": f"<sheetData>{head}{rows}</sheetData>"})
    program = """
before = peak()
(one,) = found(sys.argv[1])
lines = one.record["text"].split("\\n")
assert lines[:3] == ["| a | b\\\\| |", "| --- | --- |", "| 2 | 2.5 |"] and lines[-1] == "| 60001 | 60001.5 |", lines[:3]
print(len(lines), peak() - before)
print(peak())
"""
    lines, _ = peak_of(program, path)
    count, grown = map(int, lines[-1].split())
    assert count == 60_002
    assert grown < 60


def test_a_row_beyond_the_first_columns_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemo_kcpt.office.xlsx.regions.CHUNK", 2)
    sheet = data("a | b", "1 | 2", "3 | 4", "5 | 6", "7 | 8 | 9")
    text = text_of(tmp_path, sheet)
    assert text.startswith("| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |")
    assert "| 7 | 8 | 9 |" in text


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", {"Sheet1": data(*(["x" * 1000] * 1100))})
    assert "max_document_mb=" in problem(path, max_bytes=1 << 20)


def test_hidden_columns_that_are_declared_without_end_cost_no_time(tmp_path: Path) -> None:
    columns = '<col min="1" max="16384" hidden="1"/>' * 20_000 + '<col min="2" max="99999999" width="0"/>'
    sheet = f'<cols>{columns}</cols><sheetData><row r="1"><c r="A1"><v>12</v></c></row></sheetData>'
    began = time.process_time()
    assert "hidden" in problem(write_xlsx(tmp_path / "a.xlsx", {"Kasumi": sheet}))
    assert time.process_time() - began < 5
