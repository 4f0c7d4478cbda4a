"""What stands raised, sideways, in mixed columns or without an embedded font on a PDF's page."""

from __future__ import annotations

import importlib.util
import unicodedata
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from nemo_kcpt.cleaning import STEPS, clean
from nemo_kcpt.pdf.box_font import FONT
from nemo_kcpt.pdf.fonts import use_stand_in
from nemo_kcpt.pdf.page import PageText, read_page
from tests.conftest import ROOT
from tests.pdf.pdfs import Show, make_pdf
from tests.readers.reading import found, records

pdfium = pytest.importorskip("pypdfium2")

LEFT = [
    "Kasumi is a system that learns",
    "sentences. It was built by four",
    "people in the year 2020 and it",
    "reads twelve.",
]
RIGHT = [
    "The parts of it are three, and",
    "each of them was trained alone.",
    "A test of the second part took",
    "four days.",
]
JAPANESE_LEFT = ["左の段の一行目に書かれた文は", "次の行に続いて二行目となり、", "三行目で終わるのである。"]
JAPANESE_RIGHT = ["右の段の一行目に書かれた文も", "次の行に続いて二行目となり、", "三行目で終わるのである。"]


def read(*shows: Show, **how: Any) -> PageText:
    """A page of its own, read."""
    use_stand_in()
    with pdfium.PdfDocument(make_pdf([shows], **how)) as document:
        return read_page(document[0])


@pytest.mark.parametrize(
    ("shows", "expected"),
    [
        ((Show(50, 700, "語は10"), Show(90, 704, "6", 6), Show(96, 700, "個である")), "語は10⁶個である"),
        ((Show(50, 700, "率は10"), Show(90, 705, "-5", 5), Show(100, 700, "である")), "率は10⁻⁵である"),
        ((Show(50, 700, "率は10"), Show(90, 704, "−", 6), Show(96, 704, "5", 6), Show(102, 700, "だ")), "率は10⁻⁵だ"),
        ((Show(50, 700, "水はH"), Show(80, 698, "2", 6), Show(86, 700, "Oである")), "水はH₂Oである"),
        ((Show(50, 700, "値はx"), Show(80, 697, "i", 6), Show(80, 704, "2", 6), Show(86, 700, "だ")), "値はxᵢ²だ"),
        ((Show(50, 700, "値は2"), Show(80, 704, "2", 7), Show(87, 707, "3", 5), Show(92, 700, "だ")), "値は2^(2³)だ"),
        ((Show(50, 700, "語は10"), Show(90, 704, "6"), Show(100, 700, "個である")), "語は10⁶個である"),
        ((Show(50, 700, "人は24"), Show(90, 704, "3)", 6), Show(102, 700, "人である")), "人は24[^3]人である"),
        ((Show(50, 700, "手法"), Show(70, 704, "[4]", 6), Show(88, 700, "を使う")), "手法[^4]を使う"),
        ((Show(50, 700, "山田"), Show(70, 704, "1,2", 6), Show(88, 704, "∗", 6)), "山田[^1,2∗]"),
        (
            (Show(50, 704, "1", 6), Show(56, 700, "東京の大学"), Show(50, 680, "人は24"), Show(90, 684, "1", 6)),
            "[^1]東京の大学\n人は24[^1]",
        ),
        ((Show(50, 704, "14", 6), Show(62, 700, "Cの量")), "¹⁴Cの量"),
        # a mark in the empty half of a full stop, digits that are lowered by little
        (
            (Show(50, 700, "とした。"), Show(85, 702, "*", 7), Show(92, 703, "1", 7), Show(99, 700, "次に")),
            "とした。[^*1]次に",
        ),
        ((Show(50, 700, "水はH"), Show(80, 699.5, "2", 5.8), Show(86, 700, "Oである")), "水はH₂Oである"),
        # a power that a line's end parts behind its sign
        (
            (Show(50, 700, "率は10"), Show(90, 704, "-", 6), Show(50, 684, "9", 6), Show(56, 680, "である")),
            "率は10⁻⁹\nである",
        ),
        # a reading of kanji, small print on the line, another line in small print
        ((Show(50, 700, "漢字を読む文"), Show(50, 710, "かんじ", 5)), "漢字を読む文\nかんじ"),
        ((Show(50, 700, "表は10"), Show(90, 700, "6", 6), Show(96, 700, "個である")), "表は106個である"),
        ((Show(50, 700, "一行目である"), Show(50, 690, "2", 6), Show(56, 690, "は注", 6)), "一行目である\n2は注"),
    ],
)
def test_raised_and_lowered_text(shows: tuple[Show, ...], expected: str) -> None:
    page = read(*shows)
    assert page.text == expected
    assert bool(page.changes["raised"]) == any(sign in expected for sign in "⁶⁵⁹₂ᵢ^¹")


LINES = ["The first line of", "a text in three", "lines of a page"]
NEXT_LINE = {0: (0, -14), 90: (14, 0), 180: (0, 14), 270: (-14, 0)}


def turned(angle: int, lines: list[str] = LINES) -> list[Show]:
    """Lines of text that stand at an angle."""
    right, up = NEXT_LINE[angle]
    return [Show(300 + right * n, 400 + up * n, line, 9, angle) for n, line in enumerate(lines)]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_a_page_in_any_direction_however_it_is_shown(angle: int, rotate: int) -> None:
    page = read(*turned(angle), rotate=rotate)
    assert page.text == "\n".join(LINES)
    assert page.changes["sideways"] == (angle != 0)


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("angle", [90, 180, 270])
def test_text_in_two_directions_is_never_mixed(angle: int, rotate: int) -> None:
    """A sideways table on an upright page, drawn in the middle of its text."""
    prose = [Show(50, 800 - 14 * n, f"Line {n} of the page, which is upright", 10) for n in range(6)]
    table = [Show(s.x, s.y, s.text, s.size, s.angle) for s in turned(angle, ["Name Rate", "A 0.91", "B 0.85"])]
    page = read(*prose[:3], *table, *prose[3:], rotate=rotate)
    assert page.text == "\n".join(show.text for show in prose) + "\n\nName Rate\nA 0.91\nB 0.85"
    assert page.changes["sideways"] == 1


def row_by_row(left: list[str], right: list[str], size: float = 8, lower: float = 0) -> list[Show]:
    """Two columns, drawn line by line across both."""
    pairs = zip(left, right)
    return list(
        chain(
            *(
                (Show(30, 700 - 14 * n, one, size), Show(310, 700 - lower - 14 * n, two, size))
                for n, (one, two) in enumerate(pairs)
            )
        )
    )


@pytest.mark.parametrize("lower", [0, 2, 7, 12])
@pytest.mark.parametrize(("left", "right"), [(LEFT, RIGHT), (JAPANESE_LEFT, JAPANESE_RIGHT)])
def test_columns_that_are_drawn_line_by_line(left: list[str], right: list[str], lower: float) -> None:
    over, under = (
        Show(40, 760, "A title that goes across both of the columns"),
        Show(40, 500, "What follows them below"),
    )
    page = read(over, *row_by_row(left, right, lower=lower), under)
    assert page.text.split("\n") == [over.text, *left, *right, under.text]
    assert (page.changes["columns"], page.doubts) == (2 * len(left), [])


@pytest.mark.parametrize("angle", [90, 270])
def test_such_columns_on_a_sideways_page(angle: int) -> None:
    shows = [
        Show(y, x, s.text, 8, 90) if angle == 90 else Show(842 - y, 800 - x, s.text, 8, 270)
        for s in row_by_row(LEFT, RIGHT)
        for x, y in [(s.x, 842 - s.y)]
    ]
    page = read(*shows)
    assert page.text.split("\n") == [*LEFT, *RIGHT]


def test_mixed_columns_in_doubt_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left = [
        "Kasumi learns from the sentences,",
        "Hayate hears what people may say",
        "and Minato writes it down at once",
    ]
    right = [
        "The parts of Kasumi are just three.",
        "Tests of Hayate took four days more.",
        "Years of Minato began in the winter.",
    ]
    (tmp_path / "a.pdf").write_bytes(make_pdf([[], row_by_row(left, right, 7)]))
    (item,) = found(tmp_path)
    assert item.record["mixed_pages"] == [2]
    assert item.changes["mixed_pages"] == 1
    assert "a.pdf: the lines of two columns may be mixed on page 2" in caplog.text


TABLE = [
    ("手法", "正解率", "備考"),
    ("提案手法", "0.91", "4台のGPU"),
    ("従来手法", "0.85", "1台"),
    ("人手", "0.97", "三人"),
]
PARAMETERS = [
    ("学習率", "0.00002とした"),
    ("語の数", "12,400語を使った"),
    ("機械", "4台のGPUで12時間"),
    ("回数", "三回"),
]
CONTENTS = [("はじめに", "1"), ("手法の説明と背景", "5"), ("実験の結果", "12"), ("おわりに", "14")]


def in_rows(rows: list[tuple[str, ...]]) -> list[Show]:
    return [Show(50 + 180 * c, 700 - 14 * r, cell) for r, row in enumerate(rows) for c, cell in enumerate(row)]


@pytest.mark.parametrize("rows", [TABLE, PARAMETERS])
def test_rows_of_a_table_are_rows_of_markdown_and_stay_so(rows: list[tuple[str, ...]]) -> None:
    before, after = Show(50, 760, "表の前の文である。"), Show(50, 560, "表の後の文である。")
    page = read(before, *in_rows(rows), after)
    head, *rest = [f"| {' | '.join(row)} |" for row in rows]
    expected = [before.text, head, f"|{' --- |' * len(rows[0])}", *rest, after.text]
    assert page.text.split("\n") == expected
    assert not page.doubts
    assert [line for line in clean(page.text, tuple(STEPS)).text.split("\n") if line] == expected


def test_cells_that_are_centred_or_end_below_each_other() -> None:
    rows = [("項目の名", "1.25"), ("件", "12,400"), ("長い項目の名", "3")]
    shows = [
        show
        for number, (name, value) in enumerate(rows)
        for show in (
            Show(120 - 5 * len(name), 700 - 14 * number, name),
            Show(300 - 10 * len(value), 700 - 14 * number, value),
        )
    ]
    assert "| 長い項目の名 | 3 |" in read(*shows).text


def test_cells_as_near_as_latex_sets_them() -> None:
    """Twelve of TeX's points apart in letters of ten: 1.2 times their size, and no more."""
    rows = [("甲", "12", "34"), ("乙", "1,157", "56.78"), ("丙", "13", "9.1")]
    shows = []
    for number, row in enumerate(rows):
        right = 50.0
        for cell, wide in zip(row, (1, 5, 5)):
            right += 10 * wide + 11.95
            shows.append(Show(right - 10 * len(cell), 700 - 14 * number, cell))
    assert read(*shows).text.split("\n")[2:] == ["| 乙 | 1,157 | 56.78 |", "| 丙 | 13 | 9.1 |"]


def test_cells_of_several_lines() -> None:
    """Drawn cell by cell; a number that a narrow cell has broken is one, and a heading below the table no row of it."""
    rows = [
        ("Item", "Count", "Remark"),
        ("Minato model", "12", "no"),
        ("Kasumi esti-\nmator", "1,157,5\n16", "within\nlimits"),
    ]
    rows += [("湊の\n方式", "48", "該当\nなし")]
    shows, y = [], 700
    for row in rows:
        for column, cell in enumerate(row):
            shows += [Show(50 + 180 * column, y - 12 * n, line) for n, line in enumerate(cell.split("\n"))]
        y -= 12 * max(cell.count("\n") + 1 for cell in row) + 2
    text = read(
        *shows, Show(50, y - 20, "4 Results"), Show(50, y - 40, "The results of the whole work are given below.")
    ).text.replace("\x02", "")
    assert text.split("\n")[2:] == [
        "| Minato model | 12 | no |",
        "| Kasumi estimator | 1,157,516 | within limits |",
        "| 湊の方式 | 48 | 該当なし |",
        "4 Results",
        "The results of the whole work are given below.",
    ]


def test_a_bar_in_a_cell_is_no_border() -> None:
    assert "| 甲\\|乙 | 二つ |" in read(*in_rows([("項目", "値だ"), ("甲|乙", "二つ"), ("丙", "三つ")])).text


def test_a_table_of_contents_stays_in_lines() -> None:
    page = read(*in_rows(CONTENTS))
    assert page.text.split("\n") == [" ".join(row) for row in CONTENTS]


def test_columns_that_are_drawn_one_after_another_stay_so() -> None:
    shows = sorted(row_by_row(LEFT, RIGHT), key=lambda show: show.x)
    page = read(*shows)
    assert page.text.split("\n") == [*LEFT, *RIGHT]
    assert not page.changes["columns"]


def test_vertical_writing_is_read_from_right_to_left() -> None:
    lines = ["縦書きの文章である。", "次の行は左にあり、", "二十四人が読んだ。"]
    down = [Show(500 - 20 * n, 700 - 10 * m, c) for n, line in enumerate(lines) for m, c in enumerate(line)]
    assert read(*down).text.split("\n") == lines
    heading = [Show(520, 700, "3"), *(Show(520, 680 - 10 * m, c) for m, c in enumerate("背景と目的"))]
    foot = Show(300, 40, "14")
    assert read(*down, foot, *heading).text.split("\n") == ["3 背景と目的", *lines, "14"]
    upper = [Show(500 - 20 * n, 400 - 10 * m, c) for n, line in enumerate(lines) for m, c in enumerate(line[:7])]
    assert read(*upper, *down).text.split("\n") == [*lines, *(line[:7] for line in lines)]
    number = [Show(502, 596, "12", 10, 270), *(Show(500, 566 - 10 * m, c) for m, c in enumerate("人が参加した。"))]
    text = read(*(show for show in down if show.x == 500), *number).text
    assert text.index("ある。") < text.index("1") < text.index("2") < text.index("人が")


@pytest.mark.parametrize("flags", [4, 32])
def test_single_letters_of_a_font_that_is_not_embedded_are_kept(tmp_path: Path, flags: int) -> None:
    """PDFium drops them where the machine has no such font, and always if the font calls itself Latin."""
    cells = [["大", "小"], ["○", "△"], ["高い", "x"]]
    shows = [Show(50 + 60 * c, 700 - 20 * r, cell) for r, row in enumerate(cells) for c, cell in enumerate(row)]
    (tmp_path / "a.pdf").write_bytes(make_pdf([[*shows, Show(50, 600, " "), Show(90, 600, "終")]], flags=flags))
    (item,) = found(tmp_path)
    assert item.record["text"].replace("|", " ").replace("---", "").split() == ["大", "小", "○", "△", "高い", "x", "終"]
    assert set(item.record) == {"paper_id", "title", "text", "pages"}


@settings(max_examples=40, deadline=None, phases=[Phase.generate])  # finding a smaller example takes minutes
@given(
    st.lists(
        st.builds(
            Show,
            st.integers(0, 590),
            st.integers(0, 840),
            st.sampled_from(["10", "6", "-5", "3)", "大", "縦書きの文", "a line of text", "表", "x y", "𠮷野", "。"]),
            st.sampled_from([5, 6, 9, 10, 10, 12]),
            st.sampled_from([0, 0, 0, 90, 180, 270]),
        ),
        max_size=11,
        unique_by=lambda show: show.text,  # PDFium drops what is drawn twice in one place
    ),
    st.sampled_from([0, 90]),
)
def test_no_letter_is_lost_or_twice_there_wherever_it_stands(shows: list[Show], rotate: int) -> None:
    shows = [show for show in shows if 100 < show.x < 450 and 200 < show.y < 650]
    page = read(*shows, rotate=rotate)
    flat = unicodedata.normalize("NFKC", page.text).replace("−", "-")
    written = Counter(c for c in flat if c.isalnum())
    assert written == Counter(c for show in shows for c in show.text if c.isalnum())


def test_the_stand_in_is_what_its_tool_writes() -> None:
    pytest.importorskip("fontTools")
    spec = importlib.util.spec_from_file_location("box_font", ROOT / "tools" / "box_font.py")
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.font() == FONT


def test_a_fraction_of_raised_and_lowered_digits_is_one(tmp_path: Path) -> None:
    pieces = [Show(72, 700, "幅は5"), Show(102, 704, "1", 6), Show(108, 700, "/"), Show(118, 698, "2", 6)]
    (tmp_path / "a.pdf").write_bytes(make_pdf([[*pieces, Show(124, 700, "インチ")]]))
    assert records(tmp_path)[0]["text"] == "幅は5½インチ"
