"""Notes at the foot of a PDF's column, which must part no sentence and no number."""

from __future__ import annotations

import pytest

from nemo_kcpt.cleaning import STEPS, clean
from tests.pdf.pdfs import Show
from tests.pdf.test_pages import read


def column(x: float, lines: list[str], size: float = 10) -> list[Show]:
    return [Show(x, 700 - 15 * n, line, size) for n, line in enumerate(lines)]


FIRST_LINES = [
    Show(50, 700, "注の印"), Show(82, 704, "1", 6), Show(50, 685, "人は九千百"), Show(102, 689, "*2", 6),
    Show(50, 670, "本稿では標本の数を九"),
]  # fmt: skip
LAST_LINE = "全体で九千人の数は20"
REST = ["69人の標本を調べた。", "その結果は次の通り。"]
NOTES = [("1 一つ目の注は二行に", 620), ("わたって書く。", 608), ("*2 二つ目の注", 596)]


def noted(last: str, *after: Show, marks: bool = True, notes: bool = True) -> list[str]:
    """The lines of a page whose first column ends with a line, and with two notes below it."""
    body = [show for show in FIRST_LINES if marks or show.size == 10]
    below = [Show(52, y, text, 8) for text, y in NOTES if notes]
    return read(*body, Show(50, 655, last), *below, *after).text.split("\n")[2 + marks :]


@pytest.mark.parametrize("foot", [[], [Show(150, 40, "社外秘 7")]])
def test_a_note_at_a_column_s_foot_parts_no_sentence(foot: list[Show]) -> None:
    lines = noted(LAST_LINE, *column(300, REST), *foot)
    notes = ["[^1]: 一つ目の注は二行にわたって書く。", "[^*2]: 二つ目の注"]
    assert lines[-len(foot) - 5 :] == [LAST_LINE, *REST, *notes, *(show.text for show in foot)]


def test_the_rest_of_a_note_at_the_next_column_s_foot_follows_it() -> None:
    rest = Show(302, 620, "は三行にわたって書く。", 8)
    lines = noted(LAST_LINE, *column(300, ["69人を", "調べた数は"]), rest, *column(450, ["八"]))
    assert lines[-3:] == ["八", "[^1]: 一つ目の注は二行にわたって書く。", "[^*2]: 二つ目の注は三行にわたって書く。"]


@pytest.mark.parametrize(
    ("end", "start", "whole"), [("の値は-", "9.5である。", "の値は-9.5である。"), ("com-", "mon words", "common words")]
)
def test_a_word_and_a_sign_that_a_note_parts(end: str, start: str, whole: str) -> None:
    shows = [*FIRST_LINES, Show(50, 655, end), *(Show(52, y, text, 8) for text, y in NOTES), Show(300, 700, start)]
    page = read(*shows)
    assert page.changes["notes"] == 2
    text = clean(page.text, tuple(STEPS)).text
    assert f"{whole}[^1]: 一つ目の注は二行にわたって書く。[^*2]: 二つ目の注" in text.replace("\n", "")


def test_notes_whose_marks_are_raised_too() -> None:
    body = [show for show in FIRST_LINES if show.text != "*2"]
    body.insert(3, Show(102, 689, "2", 6))
    notes = [
        Show(52, 624, "1", 5), Show(57, 620, "一つ目の注", 8), Show(52, 612, "2", 5), Show(57, 608, "二つ目の注", 8),
    ]  # fmt: skip
    lines = read(*body, Show(50, 655, LAST_LINE), *notes, *column(300, REST)).text.split("\n")
    assert lines[3:] == [LAST_LINE, *REST, "[^1]: 一つ目の注", "[^2]: 二つ目の注"]


def test_the_limits_of_a_sum_stay_there() -> None:
    shows = [*FIRST_LINES, Show(50, 640, "E="), Show(80, 652, "10", 6), Show(80, 628, "i=1", 6), Show(100, 640, "x+3")]
    assert "i=1" in read(*shows, Show(50, 600, "本文が続く。")).text.split("本文")[0]


def test_authors_below_a_title_stay_there() -> None:
    shows = [Show(50, 780, "表題", 16), Show(50, 760, "山田一郎", 8), *FIRST_LINES, Show(50, 655, "以上である。")]
    assert read(*shows).text.split("\n")[:2] == ["表題", "山田一郎"]


def test_the_rest_of_a_note_of_the_page_before_follows_the_text() -> None:
    show = Show(52, 625, "われた。", 8)
    assert noted(LAST_LINE, show, *column(300, REST), notes=False)[-4:] == [LAST_LINE, *REST, "われた。"]


def test_notes_that_part_no_sentence_and_lists_of_works_stay_where_they_are() -> None:
    columns = column(300, REST)
    for lines in (
        noted("全体の数は20人。", *columns), noted("参考文献", *columns), noted(LAST_LINE, *columns, marks=False)
    ):  # fmt: skip
        assert lines[-5:] == [*(text for text, _ in NOTES), *REST]


def test_a_heading_with_the_number_of_a_note_is_none() -> None:
    for size in (14, 10):
        section = [Show(50, 630, "1 結果の検討", size), Show(50, 615, "標本の数は次の通り。")]
        assert noted(LAST_LINE, *section, *column(300, REST), notes=False)[-4:] == [
            "1 結果の検討",
            section[1].text,
            *REST,
        ]
