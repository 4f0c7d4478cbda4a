"""PowerPoint's presentations: slides in order, each from its title to its notes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lxml.etree
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.cleaning import clean
from nemo_kcpt.office.drawings import chart_lines
from nemo_kcpt.office.pptx.order import Box, reading_order
from tests.office.files import ap, shape, write_pptx
from tests.readers.reading import found, problem, records


def text_of(folder: Path, *slides: str, **more: Any) -> str:
    (record,) = records(write_pptx(folder / "a.pptx", list(slides), **more))
    return str(record["text"])


def flaws_of(folder: Path, *slides: str, **more: Any) -> list[tuple[str, str]]:
    (one,) = found(write_pptx(folder / "a.pptx", list(slides), **more))
    assert not one.problem
    return [(flaw.kind, flaw.where.partition(", ")[2]) for flaw in one.flaws]


PICTURE = '<p:pic><p:nvPicPr><p:cNvPr id="3" name="x"/><p:nvPr/></p:nvPicPr></p:pic>'


def test_slides_come_in_the_order_of_the_presentation(tmp_path: Path) -> None:
    slides = [shape("Kasumi", "title"), shape("Hayate", "ctrTitle") + shape("2020")]
    assert text_of(tmp_path, *slides, order=[2, 1]) == "# Hayate\n\n2020\f# Kasumi"
    (record,) = records(tmp_path / "a.pptx")
    assert record["title"] == "Hayate" and record["slides"] == 2


def test_page_furniture_and_hidden_slides_are_left_out(tmp_path: Path) -> None:
    number = shape('<a:p><a:fld id="x" type="slidenum"><a:t>7</a:t></a:fld></a:p>')
    slide = shape("a", "title") + shape("社外秘", "ftr") + shape("7", "sldNum") + shape("2020/4/1", "dt") + number
    assert text_of(tmp_path, slide, shape("gone"), shape("b"), attributes={2: 'show="0"'}) == "# a\fb"
    assert flaws_of(tmp_path, slide, shape("gone"), attributes={2: 'show="0"'}) == [
        ("slides and shapes that are hidden and left out", "slide 2")
    ]


def test_a_field_within_a_sentence_is_text(tmp_path: Path) -> None:
    def field(kind: str, text: str) -> str:
        return f'<a:fld id="x" type="{kind}"><a:t>{text}</a:t></a:fld>'

    dated = ap(f"<a:r><a:t>作成日 </a:t></a:r>{field('datetime1', '2020/4/1')}")
    assert text_of(tmp_path, shape(dated + ap(field("datetime1", "2020/4/1")))) == "作成日 2020/4/1"
    assert text_of(tmp_path, shape(ap(f"{field('slidenum', '3')}<a:r><a:t>/20</a:t></a:r>"))) == "3/20"


def test_shapes_that_are_hidden_are_named(tmp_path: Path) -> None:
    gone = shape("12 persons").replace('name="x"', 'name="Box 1" hidden="1"')
    picture = PICTURE.replace('name="x"', 'name="y" hidden="1"')
    group = f'<p:grpSp><p:nvGrpSpPr><p:cNvPr id="4" name="Group 2" hidden="1"/></p:nvGrpSpPr>{shape("13")}</p:grpSp>'
    assert text_of(tmp_path, shape("a") + gone + picture + group) == "a"
    (one,) = found(tmp_path / "a.pptx")
    kind = "slides and shapes that are hidden and left out"
    assert [(flaw.kind, flaw.detail.partition(";")[0]) for flaw in one.flaws] == [
        (kind, f"shape {name}") for name in ("Box 1", "Group 2")
    ]
    assert one.flaws[0].where.endswith("slide 1")


def test_notes_are_quotations(tmp_path: Path) -> None:
    notes = shape("", "sldImg") + shape(ap("one") + ap("two"), "body") + shape("3", "sldNum")
    assert text_of(tmp_path, shape("a", "title"), notes={1: notes}) == "# a\n\n> one\n>\n> two"


def test_bullets_numbers_and_levels(tmp_path: Path) -> None:
    dot, none = '<a:buChar char="•"/>', "<a:buNone/>"
    counted = '<a:buAutoNum type="arabicPeriod"/>'
    body = ap("a", dot) + ap("b", dot, 1) + ap("c", none) + ap("d", counted) + ap("e", counted)
    body += ap("f", '<a:buAutoNum type="circleNumDbPlain" startAt="3"/>')
    assert text_of(tmp_path, shape(body)) == "- a\n  - b\n\nc\n\n1. d\n2. e\n- ③ f"


def test_bullets_come_from_layout_and_master(tmp_path: Path) -> None:
    styles = '<p:txStyles><p:bodyStyle><a:lvl1pPr><a:buChar char="•"/></a:lvl1pPr></p:bodyStyle></p:txStyles>'
    assert text_of(tmp_path, shape("a", "body") + shape("b"), master=styles) == "- a\n\nb"
    plain = shape("", "body").replace("<a:p>", "<a:lstStyle><a:lvl1pPr><a:buNone/></a:lvl1pPr></a:lstStyle><a:p>")
    assert text_of(tmp_path, shape("a", "body"), master=styles, layout=plain) == "a"


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ('<a:r><a:t>10</a:t></a:r><a:r><a:rPr baseline="30000"/><a:t>6</a:t></a:r>', "10⁶"),
        ('<a:r><a:t>H</a:t></a:r><a:r><a:rPr baseline="-25000"/><a:t>2</a:t></a:r><a:r><a:t>O</a:t></a:r>', "H₂O"),
        ('<a:r><a:rPr strike="sngStrike"/><a:t>12</a:t></a:r><a:r><a:t>13</a:t></a:r>', "~~12~~13"),
        ('<a:r><a:rPr cap="all"/><a:t>kasumi</a:t></a:r>', "KASUMI"),
        ("<a:r><a:t>a</a:t></a:r><a:br/><a:r><a:t>b</a:t></a:r>", "a\nb"),
        ('<a:r><a:rPr><a:sym typeface="Symbol"/></a:rPr><a:t>\uf06d</a:t></a:r><a:r><a:t>m</a:t></a:r>', "μm"),
        (
            "<mc:AlternateContent><mc:Choice Requires='a14'><a14:m><m:oMath><m:r><m:t>x</m:t></m:r></m:oMath></a14:m>"
            "</mc:Choice><mc:Fallback><a:r><a:t> </a:t></a:r></mc:Fallback></mc:AlternateContent>",
            "$x$",
        ),
    ],
)
def test_runs(tmp_path: Path, runs: str, expected: str) -> None:
    assert text_of(tmp_path, shape(f"<a:p>{runs}</a:p>")) == expected


def frame(content: str) -> str:
    return (
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="4" name="x"/><p:nvPr/></p:nvGraphicFramePr>'
        f"<a:graphic><a:graphicData>{content}</a:graphicData></a:graphic></p:graphicFrame>"
    )


def test_tables(tmp_path: Path) -> None:
    def row(*cells: str) -> str:
        parted = (cell.partition("|") for cell in cells)
        made = (f"<a:tc {more}><a:txBody>{ap(text)}</a:txBody></a:tc>" for text, _, more in parted)
        return f"<a:tr>{''.join(made)}</a:tr>"

    head = row("年|gridSpan='2'", "x|hMerge='1'", "人")
    table = f"<a:tbl>{head}{row('2020', '上', '12')}{row('2021', '下', '400')}</a:tbl>"
    assert text_of(tmp_path, frame(table)) == (
        "| 年 |  | 人 |\n| --- | --- | --- |\n| 2020 | 上 | 12 |\n| 2021 | 下 | 400 |"
    )


def test_charts_and_diagrams_and_what_is_embedded(tmp_path: Path) -> None:
    point = '<c:pt idx="{}"><c:v>{}</c:v></c:pt>'
    years = f"<c:strRef><c:strCache>{point.format(0, '2020')}{point.format(1, '2021')}</c:strCache></c:strRef>"
    values = f"<c:formatCode>#,##0</c:formatCode>{point.format(0, '12400.00000001')}{point.format(1, '13')}"
    series = (
        f"<c:ser><c:tx><c:strRef><c:strCache>{point.format(0, '売上')}</c:strCache></c:strRef></c:tx>"
        f"<c:cat>{years}</c:cat><c:val><c:numRef><c:numCache>{values}</c:numCache></c:numRef></c:val></c:ser>"
    )
    title = "<c:title><c:tx><c:rich><a:p><a:r><a:t>推移</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    plot = f"<c:plotArea><c:barChart>{series}</c:barChart></c:plotArea>"
    chart = f"<c:chartSpace {{ns}}><c:chart>{title}{plot}</c:chart></c:chartSpace>"
    text = text_of(
        tmp_path,
        frame('<c:chart r:id="rId5"/>'),
        parts={"ppt/charts/c.xml": chart},
        relations="rId5 chart ../charts/c.xml",
    )
    assert text == "推移\n\n|  | 売上 |\n| --- | --- |\n| 2020 | 12,400 |\n| 2021 | 13 |"
    embedded = frame('<p:oleObj progId="Excel.Sheet.12"/>')
    assert flaws_of(tmp_path, shape("a") + embedded) == [("parts left out", "object Excel.Sheet.12")]


def test_names_within_names_of_a_chart() -> None:
    def level(*names: str) -> str:
        return "".join(f'<pt idx="{place}"><v>{name}</v></pt>' for place, name in enumerate(names) if name)

    inner, outer = level("Tokyo", "Osaka", "Leeds"), level("Japan", "", "England")
    series = (
        f"<ser><cat><multiLvlStrRef><multiLvlStrCache><lvl>{inner}</lvl><lvl>{outer}</lvl></multiLvlStrCache>"
        f"</multiLvlStrRef></cat><val><numCache>{level('1', '2', '3')}</numCache></val></ser>"
    )
    chart = f"<x><chart><plotArea>{series}</plotArea></chart></x>"
    assert chart_lines(lxml.etree.fromstring(chart))[1].split("\n")[2:] == [
        "| Japan Tokyo | 1 |",
        "| Japan Osaka | 2 |",
        "| England Leeds | 3 |",
    ]


def test_a_slide_that_is_only_a_picture_is_named_with_its_number(tmp_path: Path) -> None:
    slides = [shape("a", "title") + PICTURE, PICTURE + shape("社外秘", "ftr"), ""]
    assert flaws_of(tmp_path, *slides) == [("slides that are only pictures", "slide 2")]
    (record,) = records(tmp_path / "a.pptx")
    assert record["image_slides"] == [2] and record["text"] == "# a\f\f"[: len(record["text"])]
    assert "holds only pictures (1)" in problem(write_pptx(tmp_path / "a.pptx", [PICTURE]))


def test_shapes_are_read_by_where_they_are(tmp_path: Path) -> None:
    right, left = shape("right", at=(50, 9, 40, 80)), shape("left", at=(0, 10, 40, 80))
    low, head = shape("low", at=(0, 95, 90, 5)), shape("head", at=(0, 0, 90, 5))
    assert text_of(tmp_path, low + right + left + head) == "head\n\nleft\n\nright\n\nlow"
    vertical = 'vert="eaVert"'
    first, second = shape("右", at=(50, 9, 40, 80), body=vertical), shape("左", at=(0, 10, 40, 80), body=vertical)
    assert text_of(tmp_path, second + first) == "右\n\n左"


def test_groups_are_read_as_one_and_placeholders_where_the_layout_has_them(tmp_path: Path) -> None:
    inner = shape("2", at=(0, 9, 5, 5)) + shape("1", at=(0, 0, 5, 5))
    place = '<a:xfrm><a:off x="50" y="0"/><a:ext cx="40" cy="90"/></a:xfrm>'
    about = '<p:nvGrpSpPr><p:cNvPr id="5" name="x"/><p:nvPr/></p:nvGrpSpPr>'
    group = f"<p:grpSp>{about}<p:grpSpPr>{place}</p:grpSpPr>{inner}</p:grpSp>"
    layout = shape("", "body", at=(0, 0, 40, 90))
    assert text_of(tmp_path, group + shape("0", "body"), layout=layout) == "0\n\n1\n\n2"


@given(st.permutations(range(12)))
def test_a_grid_is_read_row_by_row_whatever_the_order_of_the_file(order: list[int]) -> None:
    boxes = {n: Box(n % 3 * 10, n // 3 * 10, n % 3 * 10 + 8, n // 3 * 10 + 8) for n in range(12)}
    assert reading_order([(n, boxes[n]) for n in order]) == list(range(12))


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), max_size=12))
def test_no_shape_is_lost_or_read_twice(places: list[tuple[int, int, int, int]]) -> None:
    shapes = [(n, Box(a, b, a + c, b + d)) for n, (a, b, c, d) in enumerate(places)]
    assert sorted(reading_order(shapes)) == list(range(len(places)))


def test_cleaning_keeps_titles_and_numbers_of_slides(tmp_path: Path) -> None:
    slides = [shape("売上", "title") + shape(f"{number} 件") for number in (12, 400, 7)]
    text = clean(text_of(tmp_path, *slides)).text
    assert text == "# 売上\n\n12 件\n\n# 売上\n\n400 件\n\n# 売上\n\n7 件"
