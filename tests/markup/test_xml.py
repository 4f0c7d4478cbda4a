"""JATS and TEI, and XML that must not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.readers import Found
from tests.cleaning.raised_examples import EXAMPLES
from tests.readers.reading import found, problem, records

NAMES = 'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML"'
DOCTYPE = '<!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.2//EN" "JATS-publishing1.dtd">'


def jats(body: str, front: str = "", back: str = "", head: str = DOCTYPE) -> str:
    meta = front or "<title-group><article-title>Kasumi</article-title></title-group>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<article article-type="research-article" xml:lang="en" {NAMES}>'
        f"<front><article-meta>{meta}</article-meta></front><body>{body}</body><back>{back}</back></article>"
    )


def tei(body: str, header: str = "", back: str = "") -> str:
    return (
        '<TEI xmlns="http://www.tei-c.org/ns/1.0"><teiHeader xml:lang="en"><fileDesc><titleStmt><title>Kasumi</title>'
        f"</titleStmt>{header}</fileDesc></teiHeader><text><body>{body}</body><back>{back}</back></text></TEI>"
    )


def read(tmp_path: Path, text: str, name: str = "a.xml") -> Found:
    (tmp_path / name).write_text(text, encoding="utf-8")
    (item,) = found(tmp_path / name)
    assert not item.problem
    return item


def lines(tmp_path: Path, text: str) -> list[str]:
    return [line for line in read(tmp_path, text).record["text"].splitlines() if line]


def test_the_front_of_an_article_is_fields(tmp_path: Path) -> None:
    front = """<article-id pub-id-type="doi">10.1234/k.5</article-id>
    <title-group><article-title>CO<sub>2</sub> at 10<sup>6</sup> Pa<xref ref-type="fn"><sup>*</sup></xref>
    </article-title></title-group>
    <contrib-group><contrib contrib-type="author"><name><surname>Yamada</surname>
    <given-names>Taro</given-names></name></contrib>
    <contrib contrib-type="author"><name><surname>佐藤</surname><given-names>花子</given-names></name></contrib>
    <contrib contrib-type="editor"><name><surname>Not</surname><given-names>Me</given-names></name></contrib>
    </contrib-group>
    <pub-date pub-type="collection"><year>2020</year></pub-date>
    <pub-date pub-type="epub"><day>3</day><month>4</month><year>2021</year></pub-date>
    <permissions><license xlink:href="https://creativecommons.org/licenses/by-nc/4.0/"><license-p>x</license-p>
    </license></permissions>
    <abstract><p>We measured 12&nbsp;400 cells.</p></abstract><kwd-group><kwd>H<sub>2</sub>O</kwd></kwd-group>"""
    (record,) = records(Path(_written(tmp_path, jats("<p>Body.</p>", front))))
    text = record.pop("text")
    assert record == {
        "paper_id": "a.xml",
        "title": "CO₂ at 10⁶ Pa",
        "author": "Taro Yamada; 佐藤 花子",
        "date": "2021-04-03",
        "language": "en",
        "doi": "10.1234/k.5",
        "license": "CC BY-NC 4.0",
        "keywords": ["H₂O"],
        "abstract": "We measured 12\u00a0400 cells.",
    }
    assert text.split("\n\n")[1:] == ["## Abstract", "We measured 12\u00a0400 cells.", "Body."]


def _written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    return tmp_path / "a.xml"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "<sec><label>2</label><title>Methods</title><sec><title>Cells</title><p>x</p></sec></sec>",
            ["## 2 Methods", "### Cells", "x"],
        ),
        (
            "<p>3&#xd7;10<sup>5</sup> (&minus;0.5 &#xb1; 0.1), 5&ndash;10&thinsp;µm, ½</p>",
            ["3×10⁵ (−0.5 ± 0.1), 5–10\u2009µm, ½"],
        ),
        (
            "<p>work<sup><xref ref-type='bibr' rid='B1'>1</xref>,<xref ref-type='bibr' rid='B2'>2"
            "</xref></sup> of 24<sup><xref ref-type='bibr'>3</xref></sup> and [<xref ref-type='bibr'>4"
            "</xref>]</p>",
            ["work[^1,2] of 24[^3] and [4]"],
        ),
        (
            "<p>24<xref ref-type='fn' rid='f'>1</xref> of 25<fn><p>Or 26.</p></fn> people.</p><p>More.</p>",
            ["24[^1] of 25[^1] people.", "[^1]: Or 26.", "More."],
        ),
        (  # notes that stand in no paragraph
            "<sec><title>Sizes<fn><label>b</label><p>In 25 places.</p></fn></title><p>12</p>"
            "<fn id='f'><label>a</label><p>Or 26.</p></fn></sec>",
            ["## Sizes[^b]", "[^b]: In 25 places.", "12", "[^a]: Or 26."],
        ),
        (
            "<table-wrap><label>T 1</label><caption><title>Sizes<fn><p>In 27 places.</p></fn></title></caption><table>"
            "<tr><th>A</th><th>B<fn><p>Or 28.</p></fn></th></tr><tr><td>1</td><td>2</td></tr></table></table-wrap>",
            ["T 1 Sizes[^1]", "| A | B[^2] |", "| --- | --- |", "| 1 | 2 |", "[^1]: In 27 places.", "[^2]: Or 28."],
        ),
        (
            "<p>A <inline-formula><tex-math>\\documentclass{minimal}\\begin{document}$$x^{2}$$\\end{document}"
            "</tex-math></inline-formula> b <inline-formula><mml:math><mml:mn>2</mml:mn><mml:mo>×"
            "</mml:mo><mml:msup><mml:mn>10</mml:mn><mml:mn>6</mml:mn></mml:msup></mml:math></inline-formula>"
            "</p>",
            ["A $x^{2}$ b 2 × 10⁶"],
        ),
        (
            "<p>So <disp-formula><label>(7)</label><alternatives><mml:math><mml:mi>E</mml:mi>"
            "</mml:math><tex-math>E=mc^2</tex-math></alternatives></disp-formula> holds.</p>",
            ["So", "$$E=mc^2$$ (7)", "holds."],
        ),
        (
            "<table-wrap><label>Table 1</label><caption><title>Sizes</title></caption><table>"
            "<tr><th rowspan='2'>Name</th><th colspan='2'>Size</th></tr><tr><th>min</th><th>max"
            "</th></tr><tr><td>A|B</td><td>1.0<xref ref-type='table-fn'><sup>a</sup></xref></td>"
            "<td>−2.5</td></tr></table><table-wrap-foot><fn><label>a</label><p>At 20 °C.</p></fn>"
            "</table-wrap-foot></table-wrap>",
            [
                "Table 1 Sizes",
                "| Name | Size |  |",
                "| --- | --- | --- |",
                "|  | min | max |",
                "| A\\|B | 1.0[^a] | −2.5 |",
                "[^a]: At 20 °C.",
            ],
        ),
        (
            "<table-wrap><table><tgroup cols='3'><colspec colname='c1'/><colspec colname='c2'/>"
            "<colspec colname='c3'/><thead><row><entry morerows='1'>n</entry><entry namest='c2' "
            "nameend='c3'>size</entry></row><row><entry>lo</entry><entry>hi</entry></row></thead>"
            "<tbody><row><entry>1</entry><entry>2</entry><entry>10<sup>3</sup></entry></row></tbody>"
            "</tgroup></table></table-wrap>",
            ["| n | size |  |", "| --- | --- | --- |", "|  | lo | hi |", "| 1 | 2 | 10³ |"],
        ),
        (
            "<fig><label>Fig. 2</label><caption><p>Three lenses.</p></caption><graphic xlink:href='f.jpg'/></fig>",
            ["Fig. 2 Three lenses."],
        ),
        (
            "<list list-type='order'><list-item><p>a</p></list-item><list-item><p>b</p><list list-type='bullet'>"
            "<list-item><p>c</p></list-item></list></list-item></list>",
            ["1. a", "2. b", "   - c"],
        ),
        ("<list><list-item><label>(iv)</label><p>a 5</p></list-item></list>", ["- (iv) a 5"]),
        ("<list list-type='alpha-lower'><list-item><p>x</p></list-item></list>", ["- a. x"]),
        ("<def-list><def-item><term>TP</term><def><p>True 5</p></def></def-item></def-list>", ["TP", ": True 5"]),
        ("<p>日本語の\n文、English\nwords 5\n人</p>", ["日本語の文、English words 5 人"]),
        ("<p><ruby><rb>霞</rb><rt>かすみ</rt></ruby>は<styled-content>12</styled-content>人</p>", ["霞は12人"]),
        (
            "<disp-quote><p>Said 5.</p></disp-quote><preformat>a  b\n c</preformat>",
            ["> Said 5.", "```", "a  b", " c", "```"],
        ),
    ],
)
def test_what_a_body_says(tmp_path: Path, body: str, expected: list[str]) -> None:
    assert lines(tmp_path, jats(body))[1:] == expected


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        one
        for one in EXAMPLES
        if "&" not in one[0]
        and "<b" not in one[0]
        and "<a" not in one[0]
        and "SUP" not in one[0]
        and "class" not in one[0]
    ],
)
def test_raised_text_is_written_as_in_html(tmp_path: Path, markup: str, text: str) -> None:
    assert lines(tmp_path, jats(f"<p>{markup}</p>"))[-1] == text


def test_references_by_their_words_or_their_parts(tmp_path: Path) -> None:
    whole = (
        "<ref><label>1.</label><mixed-citation><string-name><surname>Ito</surname> K</string-name>. "
        "On H<sub>2</sub>O. (<year>2020</year>) <volume>3</volume>:5–9.</mixed-citation></ref>"
    )
    parts = (
        "<ref><label>[2]</label><element-citation><name><surname>Abe</surname><given-names>S</given-names></name>"
        "<article-title>10<sup>6</sup> pages</article-title><source>Nature</source><year>2019</year><volume>12</volume>"
        "<issue>3</issue><fpage>1</fpage><lpage>4</lpage><pub-id pub-id-type='doi'>10.1/x"
        "</pub-id></element-citation></ref>"
    )
    text = lines(tmp_path, jats("<p>x</p>", back=f"<ref-list><title>References</title>{whole}{parts}</ref-list>"))
    assert text[-3:] == [
        "## References",
        "[1] Ito K. On H₂O. (2020) 3:5–9.",
        "[2] S Abe. 10⁶ pages. Nature. 12(3):1–4 (2019). doi:10.1/x",
    ]


def test_appended_articles_are_documents_that_name_the_article(tmp_path: Path) -> None:
    more = (
        '<sub-article article-type="translation" id="S1" xml:lang="ja"><front-stub><title-group><article-title>霞'
        "</article-title></title-group></front-stub><body><p>本文</p></body></sub-article>"
        '<sub-article article-type="reviewer-report"><body><p>Good, 5 stars.</p></body></sub-article></article>'
    )
    _written(tmp_path, jats("<p>Body.</p>").replace("</article>", more))
    first, second, third = records(tmp_path)
    assert [one["paper_id"] for one in (first, second, third)] == ["a.xml", "a.xml#S1", "a.xml#sub-article-2"]
    assert (second["title"], second["translation_of"], third["part_of"]) == ("霞", "a.xml", "a.xml")
    assert "Good" not in first["text"] and "本文" not in first["text"]


def test_what_is_only_a_picture_is_named(tmp_path: Path) -> None:
    body = (
        "<p>x <inline-formula><inline-graphic/></inline-formula></p><table-wrap><label>T</label><graphic/></table-wrap>"
    )
    details = [flaw.detail for flaw in read(tmp_path, jats(body)).flaws]
    assert details == ["1 of its formulas can only be seen, not read", "1 of its tables can only be seen, not read"]


def test_a_tei_of_grobid(tmp_path: Path) -> None:
    header = """<publicationStmt><date when="2021-05-06"/></publicationStmt><sourceDesc><biblStruct><analytic>
    <author><persName>
    <forename>Taro</forename><surname>Yamada</surname></persName></author></analytic><monogr><title
    level="j">J. Test</title></monogr>
    <idno type="DOI">10.5/x</idno></biblStruct></sourceDesc>"""
    body = """<div><head n="1">Introduction</head><p>As in <ref type="bibr" target="#b0">[1]</ref>, 24<ref
    type="foot">1</ref>
    drank H<hi rend="subscript">2</hi>O at 10<hi rend="superscript">6</hi> Pa.</p><formula>E = mc
    2<label>(1)</label></formula></div>
    <div><head n="1.1">Sub</head><p><choice><sic>teh</sic><corr>the</corr></choice> end<note place="foot">Of
    7.</note></p></div>
    <figure type="table"><head>Table 1</head><figDesc>Sizes</figDesc><table><row role="label"><cell>a</cell>
    <cell cols="2">b</cell></row>
    <row><cell>1</cell><cell>2.0</cell><cell>−3</cell></row></table></figure><note place="foot" n="1">Of 25.</note>"""
    back = """<div type="references"><listBibl><biblStruct xml:id="b0"><analytic><title>On pages</title>
    <author><persName>
    <forename>K</forename><surname>Ito</surname></persName></author></analytic><monogr><title>J</title>
    <imprint><biblScope unit="volume">3</biblScope>
    <biblScope unit="page" from="5" to="9"/><date when="2020"/></imprint></monogr></biblStruct></listBibl></div>"""
    item = read(tmp_path, tei(body, header, back), "paper.tei.xml")
    record = dict(item.record)
    assert [line for line in record.pop("text").splitlines() if line] == [
        "# Kasumi",
        "## 1 Introduction",
        "As in [1], 24[^1] drank H₂O at 10⁶ Pa.",
        "E = mc 2 (1)",
        "### 1.1 Sub",
        "the end[^2]",
        "[^2]: Of 7.",
        "Table 1 Sizes",
        "| a | b |  |",
        "| --- | --- | --- |",
        "| 1 | 2.0 | −3 |",
        "[^1]: Of 25.",
        "## References",
        "[1] K Ito. On pages. J. 3:5–9 (2020)",
    ]
    assert record == {
        "paper_id": "paper.tei.xml",
        "title": "Kasumi",
        "author": "Taro Yamada",
        "date": "2021-05-06",
        "language": "en",
        "journal": "J. Test",
        "doi": "10.5/x",
    }


def test_a_tei_of_an_editor(tmp_path: Path) -> None:
    body = (
        "<div><head>一</head><p>行<lb/>目<pb n='2'/>、<ruby><rb>霞</rb><rt>かすみ</rt></ruby> <del>5</del>6"
        "<formula notation='tex'>x^2</formula></p><fw>HEAD 7</fw></div>"
    )
    assert lines(tmp_path, tei(body)) == ["# Kasumi", "## 一", "行", "目、霞 ~~5~~6$x^2$"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            jats("<p>&a;</p>", head='<!DOCTYPE article [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]>'),
            "declares entities of its own (a, b), which are never expanded",
        ),
        (
            jats("<p>&a;</p>", head='<!DOCTYPE article [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
            "declares entities of its own (a)",
        ),
        (
            jats("<p>x</p>", head='<!DOCTYPE article [<!ENTITY % a SYSTEM "http://127.0.0.1/x.dtd">%a;]>'),
            "declares entities of its own (a)",
        ),
        (
            jats("<p>x</p>", head=f'<!DOCTYPE article [<!--{"x" * 70_000}--><!ENTITY a "x">]>'),
            "no XML element begins in its first 64 KiB",
        ),
        (jats("<p>&house; x</p>"), "refers to the entity &house;, which only its DTD may know"),
        (jats("<p>x</p>")[:-20], "is not well-formed XML"),
        (jats("<b>" * 300 + "x" + "</b>" * 300), "is not well-formed XML"),
        (jats(""), "there is no text in its abstract and body"),
        (tei(""), "there is no text in its <text> and abstract"),
        (
            "<project><a/></project>",
            "is XML with the root element <project>; of XML are read: JATS (<article>), TEI (<TEI>)",
        ),
        ('<article xmlns="http://docbook.org/ns/docbook"><para/></article>', "root element <article>"),
        ("", "the file is empty"),
        ("plain text", "no XML element begins"),
    ],
)
def test_bad_xml_is_named(tmp_path: Path, text: str, expected: str) -> None:
    _written(tmp_path, text)
    assert expected in problem(tmp_path)


def test_a_doctype_is_never_loaded_and_its_pictures_names_are_tolerated(tmp_path: Path) -> None:
    (tmp_path / "own.dtd").write_text('<!ENTITY house "HOUSE">')
    head = f'<!DOCTYPE article SYSTEM "{tmp_path}/own.dtd" [<!ENTITY gr1 SYSTEM "gr1" NDATA IMAGE>]>'
    assert lines(tmp_path, jats("<p>&alpha; 5</p>", head=head))[-1] == "α 5"
    assert "refers to the entity &house;" in problem(_written(tmp_path, jats("<p>&house;</p>", head=head)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp932", "euc_jp"])
def test_xml_in_the_encoding_of_its_bytes(tmp_path: Path, encoding: str) -> None:
    name = {"cp932": "Shift_JIS", "euc_jp": "EUC-JP"}.get(encoding, encoding)
    text = jats("<p>本研究では、低資源言語における語義の手法を提案する。参加者は２４人。</p>").replace("UTF-8", name)
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    (record,) = records(tmp_path)
    assert record["text"].endswith("参加者は２４人。")


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    _written(tmp_path, jats("<p>Body 5.</p>"))
    (tmp_path / "b.xml").write_text("<project/>")
    (tmp_path / "c.tei.xml").write_text(tei("<p>Text 6.</p>"))
    (tmp_path / "d.md").write_text("# D\n7\n")
    items = found(tmp_path)
    assert sorted(item.source for item in items) == ["a.xml", "b.xml", "c.tei.xml", "d.md"]
    assert [item.source for item in items if item.problem] == ["b.xml"]


def test_a_format_given_by_hand_says_what_a_file_is_instead(tmp_path: Path) -> None:
    _written(tmp_path, tei("<p>x</p>"))
    assert "has the root element <TEI>; of JATS, <article> was expected" in problem(tmp_path, "jats")
