"""Word's documents: what a reader sees of them, as Markdown, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.office.files import down, p, r, up, write_docx
from tests.readers.reading import found, problem, records


def text_of(folder: Path, body: str, **parts: Any) -> str:
    """The text of a document."""
    return str(record_of(folder, body, **parts)["text"])


def record_of(folder: Path, body: str, **parts: Any) -> dict[str, Any]:
    (record,) = records(write_docx(folder / "a.docx", body, **parts))
    return record


def flaws_of(folder: Path, body: str, **parts: Any) -> list[tuple[str, str]]:
    (one,) = found(write_docx(folder / "a.docx", body, **parts))
    assert not one.problem
    return [(flaw.kind, flaw.where.partition(", ")[2]) for flaw in one.flaws]


STYLES = (
    '<w:style w:type="paragraph" w:styleId="1"><w:name w:val="heading 1"/>'
    '<w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="mine"><w:name w:val="社内見出し"/><w:basedOn w:val="1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="deep"><w:name w:val="deep"/><w:basedOn w:val="mine"/>'
    '<w:pPr><w:outlineLvl w:val="2"/></w:pPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="other"><w:name w:val="見出し 2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="t"><w:name w:val="Title"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="toc1"><w:name w:val="toc 1"/></w:style>'
    '<w:style w:type="character" w:styleId="hide"><w:name w:val="hide"/><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="sup"><w:name w:val="footnote reference"/>'
    '<w:rPr><w:vertAlign w:val="superscript"/></w:rPr></w:style>'
)


def styled(name: str) -> str:
    return f'<w:pStyle w:val="{name}"/>'


def test_headings_go_by_outline_level_whatever_the_style_is_called(tmp_path: Path) -> None:
    body = p("Kasumi", styled("t")) + p("一", styled("1")) + p("二", styled("mine")) + p("三", styled("deep"))
    body += (
        p("四", styled("other"))
        + p("五", '<w:outlineLvl w:val="3"/>')
        + p("六", styled("1") + '<w:outlineLvl w:val="9"/>')
    )
    record = record_of(tmp_path, body, styles=STYLES)
    assert record["text"] == "# Kasumi\n\n# 一\n\n# 二\n\n### 三\n\n## 四\n\n#### 五\n\n六"
    assert record["title"] == "Kasumi"


def numbering(*levels: str, number: str = "1", extra: str = "") -> str:
    """A list of levels given as "form text"."""
    made = "".join(
        f'<w:lvl w:ilvl="{place}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/></w:lvl>'
        for place, (form, _, text) in enumerate(level.partition(" ") for level in levels)
    )
    return (
        f'<w:abstractNum w:abstractNumId="{number}">{made}</w:abstractNum>'
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="{number}"/>{extra}</w:num>'
    )


def item(level: int, number: str = "1") -> str:
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'


def test_counted_numbers_are_written(tmp_path: Path) -> None:
    body = "".join(p(text, item(level)) for text, level in (("a", 0), ("b", 1), ("c", 1), ("d", 0), ("e", 1)))
    assert text_of(tmp_path, body, numbering=numbering("decimal %1.", "lowerLetter (%2)")) == (
        "1. a\n  - (a) b\n  - (b) c\n2. d\n  - (a) e"
    )
    assert text_of(tmp_path, body, numbering=numbering("bullet ・", "bullet -")) == "- a\n  - b\n  - c\n- d\n  - e"
    assert text_of(tmp_path, body, numbering=numbering("japaneseCounting 第%1章", "decimal %1.%2")) == (
        "第一章 a\n\n一.1 b\n\n一.2 c\n\n第二章 d\n\n二.1 e"
    ).replace("一.1 b", "- 一.1 b").replace("\n\n一.2", "\n- 一.2").replace("二.1 e", "- 二.1 e")


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        ("aiueoFullWidth", "ア イ"),
        ("irohaFullWidth", "イ ロ"),
        ("decimalEnclosedCircle", "① ②"),
        ("upperRoman", "I II"),
    ],
)
def test_japanese_and_other_forms_of_counting(tmp_path: Path, form: str, labels: str) -> None:
    first, second = labels.split()
    body = p("a", item(0)) + p("b", item(0))
    assert text_of(tmp_path, body, numbering=numbering(f"{form} %1")) == f"- {first} a\n- {second} b"


def test_numbers_of_headings_start_values_and_restarts(tmp_path: Path) -> None:
    override = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride>'
    second = '<w:num w:numId="2"><w:abstractNumId w:val="1"/>' + override + "</w:num>"
    body = p("a", styled("1") + item(0)) + p("b", item(1)) + p("c", styled("1") + item(0, "2")) + p("d", item(1, "2"))
    body += p("e", styled("1") + item(0, "2"))
    text = text_of(tmp_path, body, styles=STYLES, numbering=numbering("decimal %1", "decimal %1.%2") + second)
    assert text == "# 1 a\n\n1.1 b\n\n# 5 c\n\n5.1 d\n\n# 6 e"


def test_a_style_may_carry_the_list_and_a_paragraph_leave_it(tmp_path: Path) -> None:
    styles = STYLES.replace(
        '<w:outlineLvl w:val="0"/>', '<w:numPr><w:numId w:val="1"/></w:numPr><w:outlineLvl w:val="0"/>'
    )
    body = p("a", styled("1")) + p("b", styled("1") + '<w:numPr><w:numId w:val="0"/></w:numPr>') + p("c", styled("1"))
    assert (
        text_of(tmp_path, body, styles=styles, numbering=numbering("decimal 第%1条")) == "# 第1条 a\n\n# b\n\n# 第2条 c"
    )


def test_deleted_and_hidden_items_are_not_counted(tmp_path: Path) -> None:
    deleted = "<w:del><w:r><w:delText>x</w:delText></w:r></w:del>"
    gone = f"<w:p><w:pPr>{item(0)}<w:rPr><w:del w:id='1'/></w:rPr></w:pPr>{deleted}</w:p>"
    hidden = f"<w:p><w:pPr>{item(0)}<w:rPr><w:vanish/></w:rPr></w:pPr>{r('y', '<w:vanish/>')}</w:p>"
    body = p("a", item(0)) + gone + hidden + p("b", item(0))
    assert text_of(tmp_path, body, numbering=numbering("decimal %1.")) == "1. a\n2. b"


def test_an_unknown_form_of_counting_is_named(tmp_path: Path) -> None:
    flaws = flaws_of(tmp_path, p("a", item(0)), numbering=numbering("bahtText %1)"))
    assert flaws == [("numbers in a form of counting that is not known", "number 1)")]


def test_accepted_changes(tmp_path: Path) -> None:
    body = p(r("12,") + f"<w:del>{'<w:r><w:delText>300</w:delText></w:r>'}</w:del><w:ins>{r('400')}</w:ins>")
    body += p(f"<w:moveFrom>{r('gone')}</w:moveFrom><w:moveTo>{r('here')}</w:moveTo>")
    assert text_of(tmp_path, body) == "12,400\n\nhere"


def test_a_deleted_end_of_a_paragraph_joins_it_to_the_next(tmp_path: Path) -> None:
    body = p("自然", "<w:rPr><w:del w:id='1'/></w:rPr>") + p("言語")
    assert text_of(tmp_path, body) == "自然言語"


def test_an_initial_joins_its_word(tmp_path: Path) -> None:
    assert text_of(tmp_path, p("K", '<w:framePr w:dropCap="drop"/>') + p("asumi")) == "Kasumi"


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (r("10") + up("6"), "10⁶"),
        (r("10") + up("-") + up("5"), "10⁻⁵"),
        (r("H") + down("2") + r("O"), "H₂O"),
        (r("24") + up("3)") + r(" persons"), "24[^3] persons"),
        (r("3") + up("1") + r("/") + down("2"), "3½"),
        (r("x") + r("2", '<w:rStyle w:val="sup"/>'), "x²"),
        (r("10") + r("6", '<w:position w:val="6"/><w:sz w:val="14"/>'), "10⁶"),
        (r("abc", '<w:position w:val="6"/>'), "abc"),
        (r("12", "<w:strike/>") + r("13"), "~~12~~13"),
        (r("kasumi", "<w:caps/>") + r("mW", "<w:smallCaps/>"), "KASUMImW"),
        (r("a") + r("secret", "<w:vanish/>") + r("b", '<w:vanish w:val="0"/>'), "ab"),
        (r("a") + r("secret", '<w:rStyle w:val="hide"/>'), "a"),
        (f"<w:r><w:ruby><w:rt>{r('とうきょう')}</w:rt><w:rubyBase>{r('東京')}</w:rubyBase></w:ruby></w:r>", "東京"),
        ('<w:r><w:sym w:font="Symbol" w:char="F06D"/></w:r>' + r("m"), "μm"),
        (r("m", '<w:rFonts w:ascii="Symbol"/>') + r("m"), "μm"),
        (r("12", '<w:eastAsianLayout w:id="1" w:vert="1"/>') + r("月"), "12月"),
        ("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/><w:t>d</w:t></w:r>", "a\tb\nc-d"),
        ('<w:hyperlink r:id="rId9">' + r("a link") + "</w:hyperlink>", "a link"),
        ("<w:sdt><w:sdtPr/><w:sdtContent>" + r("chosen") + "</w:sdtContent></w:sdt>", "chosen"),
        (f"{r('a')}<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{r('b')}</w:sdtContent></w:sdt>", "a"),
        ('<w:fldSimple w:instr=" PAGE ">' + r("7") + "</w:fldSimple>", "7"),
        (r("a") + '<w:r><w:commentReference w:id="0"/></w:r><w:commentRangeStart w:id="0"/>', "a"),
        ("<w:smartTag>" + r("Tokyo") + "</w:smartTag>", "Tokyo"),
    ],
)
def test_a_line_as_it_is_shown(tmp_path: Path, runs: str, expected: str) -> None:
    assert text_of(tmp_path, p(runs), styles=STYLES) == expected


def field(code: str, result: str, separate: str = '<w:r><w:fldChar w:fldCharType="separate"/></w:r>') -> str:
    begin, end = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "end"))
    return f"{begin}<w:r><w:instrText>{code}</w:instrText></w:r>{separate}{result}{end}"


def test_fields_show_their_results(tmp_path: Path) -> None:
    assert text_of(tmp_path, p(r("see ") + field(" REF a ", r("Table 3")))) == "see Table 3"
    inner = field(" PAGE ", r("4"))
    assert text_of(tmp_path, p(r("a") + field(" IF " + inner, r("yes")))) == "ayes"
    assert text_of(tmp_path, p(field(r" EQ \o\ac(○,秘) ", "", ""))) == "秘"
    ruby = r'EQ \* jc2 \* "Font:MS" \* hps10 \o\ad(\s\up 9(とうきょう),東京)'
    assert text_of(tmp_path, p(field(ruby, "", "") + r("都"))) == "東京都"
    assert text_of(tmp_path, p(field(r" EQ \f(1,2) ", "", ""))) == "1/2"
    assert flaws_of(tmp_path, p(r("a") + field(r" EQ \b(x) ", "", ""))) == [("fields left out", r"field EQ \b(x)")]


def test_a_table_of_contents_goes_however_it_is_made(tmp_path: Path) -> None:
    begin, _, end = field(" TOC ", "|").partition("|")
    spanning = f"<w:p>{begin}{r('Kasumi 3')}</w:p>{p('Hayate 4')}<w:p>{end}{r('Text')}</w:p>"
    assert text_of(tmp_path, spanning) == "Text"
    assert text_of(tmp_path, p("Kasumi\t3", styled("toc1")) + p("Text"), styles=STYLES) == "Text"
    gallery = '<w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
    assert text_of(tmp_path, f"<w:sdt>{gallery}<w:sdtContent>{p('3')}</w:sdtContent></w:sdt>{p('Text')}") == "Text"


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content if content.startswith('<') else p(content)}</w:tc>"


def rows(*lines: str) -> str:
    return f"<w:tbl>{''.join(f'<w:tr>{line}</w:tr>' for line in lines)}</w:tbl>"


def test_tables_with_merged_cells_and_tables_in_cells(tmp_path: Path) -> None:
    wide, start, more = '<w:gridSpan w:val="2"/>', '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    inner = rows(cell("1") + cell("2"), cell("3") + cell("4"))
    body = rows(
        cell("年", start) + cell("売上", wide),
        cell("", more) + cell("国内") + cell("a|b"),
        cell("2020") + cell(p("12") + p("400")) + cell(inner + p("")),
    )
    assert text_of(tmp_path, body) == (
        "| 年 | 売上 |  |\n| --- | --- | --- |\n|  | 国内 | a\\|b |\n| 2020 | 12; 400 | 1, 2; 3, 4 |"
    )


def test_vertical_text_is_read_in_its_order(tmp_path: Path) -> None:
    upright = '<w:textDirection w:val="tbRl"/>'
    combined = r("12", '<w:eastAsianLayout w:id="1" w:vert="1" w:vertCompress="1"/>')
    body = p(r("昭和") + combined + r("年")) + rows(cell("縦", upright) + cell("横"), cell("一") + cell("二"))
    section = f"<w:sectPr>{upright}</w:sectPr>"
    assert text_of(tmp_path, body + section) == "昭和12年\n\n| 縦 | 横 |\n| --- | --- |\n| 一 | 二 |"


def test_deleted_rows_go_and_a_frame_is_no_table(tmp_path: Path) -> None:
    gone = f"<w:tr><w:trPr><w:del w:id='1'/></w:trPr>{cell('x')}{cell('y')}</w:tr>"
    assert text_of(
        tmp_path, rows(cell("a") + cell("b"), cell("1") + cell("2")).replace("</w:tbl>", f"{gone}</w:tbl>")
    ) == ("| a | b |\n| --- | --- |\n| 1 | 2 |")
    assert text_of(tmp_path, rows(cell(p("Kasumi") + p("Hayate")))) == "Kasumi\n\nHayate"


def test_a_text_box_is_read_once_behind_its_paragraph(tmp_path: Path) -> None:
    box = f"<w:txbxContent>{p('boxed')}</w:txbxContent>"
    choice = f'<mc:Choice Requires="wps"><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>'
    fallback = f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
    both = f"<w:r><mc:AlternateContent>{choice}{fallback}</mc:AlternateContent></w:r>"
    assert text_of(tmp_path, p(r("before ") + both + r("after")) + p("next")) == "before after\n\nboxed\n\nnext"
    old = f"<w:r><w:pict><v:textbox>{box}</v:textbox></w:pict></w:r>"
    assert text_of(tmp_path, p(old)) == "boxed"


def test_notes_have_their_marks_as_shown(tmp_path: Path) -> None:
    def notes(kind: str, *texts: str) -> str:
        first = f'<w:{kind} w:type="separator" w:id="0">{p("---")}</w:{kind}>'
        return first + "".join(
            f'<w:{kind} w:id="{number}">{p(f"<w:r><w:{kind}Ref/></w:r>" + r(text))}</w:{kind}>'
            for number, text in enumerate(texts, 1)
        )

    def reference(kind: str, number: int, more: str = "") -> str:
        return f'<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:{kind}Reference w:id="{number}"{more}/></w:r>'

    body = p(r("12,400") + reference("footnote", 2) + r(" and 7") + reference("footnote", 1))
    body += p(r("end") + reference("endnote", 1))
    text = text_of(tmp_path, body, footnotes=notes("footnote", " one", " two"), endnotes=notes("endnote", " three"))
    assert text == "12,400[^1] and 7[^2]\n\nend[^i]\n\n[^1]: two\n[^2]: one\n[^i]: three"
    same = '<w:endnotePr><w:numFmt w:val="decimal"/></w:endnotePr>'
    parts = {"footnotes": notes("footnote", " one"), "endnotes": notes("endnote", " two"), "settings": same}
    both = p(r("a") + reference("footnote", 1) + r("b") + reference("endnote", 1))
    assert text_of(tmp_path, both, **parts) == "a[^1]b[^1*]\n\n[^1]: one\n[^1*]: two"
    own = p(r("8") + reference("footnote", 1, ' w:customMarkFollows="1"') + up("*"))
    assert text_of(tmp_path, own, footnotes=notes("footnote", "* one")) == "8[^*]\n\n* one"


def test_formulas_are_tex(tmp_path: Path) -> None:
    power = "<m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>12</m:t></m:r></m:sup></m:sSup>"
    body = p(r("where ") + f"<m:oMath>{power}</m:oMath>" + r(" grows"))
    body += f"<w:p><m:oMathPara><m:oMath>{power}</m:oMath></m:oMathPara></w:p>"
    assert text_of(tmp_path, body) == "where $x^{12}$ grows\n\n$$x^{12}$$"


def test_what_is_only_a_picture_is_named(tmp_path: Path) -> None:
    picture = "<w:r><w:drawing><pic:pic/></w:drawing></w:r>"
    assert "holds only pictures (2)" in problem(write_docx(tmp_path / "a.docx", p(picture) + p(picture)))
    assert "there is no text" in problem(write_docx(tmp_path / "a.docx", p("")))
    inner = '<v:shape><v:imagedata/></v:shape><o:OLEObject ProgID="Equation.3" ObjectID="_12"/>'
    old = f"<w:r><w:object>{inner}</w:object></w:r>"
    sheet = '<w:r><w:object><o:OLEObject ProgID="Excel.Sheet.12"/></w:object></w:r>'
    assert flaws_of(tmp_path, p(r("a") + old + sheet)) == [
        ("formulas that are only pictures", "object _12"),
        ("parts left out", "object Excel.Sheet.12"),
    ]


def test_diagrams_and_charts(tmp_path: Path) -> None:
    diagram = (
        '<dgm:dataModel {ns}><dgm:ptLst><dgm:pt modelId="0" type="doc"/>'
        + "".join(
            f'<dgm:pt modelId="{n}"><dgm:t><a:p><a:r><a:t>{t}</a:t></a:r></a:p></dgm:t></dgm:pt>'
            for n, t in ((2, "later"), (1, "first"), (3, "below"))
        )
        + '</dgm:ptLst><dgm:cxnLst><dgm:cxn srcId="0" destId="2" srcOrd="1"/><dgm:cxn srcId="0" destId="1" srcOrd="0"/>'
        '<dgm:cxn srcId="1" destId="3" srcOrd="0"/></dgm:cxnLst></dgm:dataModel>'
    )
    drawing = '<w:r><w:drawing><a:graphic><dgm:relIds r:dm="rId7"/></a:graphic></w:drawing></w:r>'
    text = text_of(
        tmp_path,
        p(drawing),
        relations="rId7 diagramData diagrams/data1.xml",
        parts={"word/diagrams/data1.xml": diagram},
    )
    assert text == "- first\n  - below\n- later"


def test_metadata_are_fields(tmp_path: Path) -> None:
    core = (
        "<dc:title>Kasumi report</dc:title><dc:creator>佐藤</dc:creator><dc:language>ja-JP</dc:language>"
        '<dcterms:created xsi:type="dcterms:W3CDTF">2020-04-01T00:30:00Z</dcterms:created>'
        '<dcterms:modified xsi:type="dcterms:W3CDTF">2021-05-02T23:30:00Z</dcterms:modified>'
    )
    record = record_of(tmp_path, p("Kasumi  report") + p("Text"), core=core)
    assert {key: record[key] for key in ("title", "author", "date", "created", "language")} == {
        "title": "Kasumi report",
        "author": "佐藤",
        "date": "2021-05-02",
        "created": "2020-04-01",
        "language": "ja-JP",
    }
    assert record_of(tmp_path, p("Text"), core=core)["title"] == ""


def test_a_strict_file_reads_like_any_other(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "a.docx", p(r("10") + up("6")))
    strict = {
        "word/document.xml": (
            '<w:document xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"><w:body>'
            + p(r("10") + up("6"))
            + "</w:body></w:document>"
        )
    }
    assert records(path)[0]["text"] == text_of(tmp_path, "", parts=strict) == "10⁶"
