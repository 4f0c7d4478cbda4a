"""EPUB: a book's chapters in their order."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.cleaning.raised_examples import EXAMPLES
from tests.readers.reading import found, problem, records

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
XHTML = (
    '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"'
    ' xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head><body>%s</body>'
    "</html>"
)
METADATA = (
    "<dc:title>霞の本 2<sub>x</sub></dc:title><dc:creator>山田 太郎</dc:creator><dc:creator>B"
    "</dc:creator><dc:date>2021-05-06T00:00:00Z</dc:date><dc:language>ja-JP</dc:language>"
    "<dc:rights>CC BY 4.0</dc:rights>"
)


def book(path: Path, *chapters: str, metadata: str = METADATA, spine: str = "", items: str = "", **more: str) -> Path:
    """A book of these bodies; `more` are other files by their names."""
    manifest = "".join(
        f'<item id="c{n}" href="text/c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    order = spine or "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata>{metadata}</metadata><manifest>{manifest}{items}</manifest><spine>{order}"
        "</spine></package>"
    )
    files = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OEBPS/book.opf": opf}
    files |= {f"OEBPS/text/c {n}.xhtml": XHTML % body for n, body in enumerate(chapters)} | more
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def text_of(path: Path) -> str:
    (record,) = records(path)
    return record["text"]


def test_text_that_a_style_sheet_of_the_book_raises(tmp_path: Path) -> None:
    head = '<link rel="stylesheet" href="../css/a.css"/><link rel="stylesheet" href="http://x.example/b.css"/>'
    body = "<p>10<span class='up'>6</span> 個、10<span class='c2'>6</span> 個</p>"
    chapter = (XHTML % body).replace("<title/>", f"<title/>{head}")
    more = {"OEBPS/text/c 0.xhtml": chapter, "OEBPS/css/a.css": ".up { vertical-align: super; font-size: 70% }"}
    assert text_of(book(tmp_path / "a.epub", "", **more)) == "10⁶ 個、106 個"


def test_chapters_in_the_order_of_the_spine_and_what_a_book_says_of_itself(tmp_path: Path) -> None:
    nav = (
        '<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        '<item id="i" href="a.png" media-type="image/png"/>'
    )
    spine = '<itemref idref="n"/><itemref idref="c1"/><itemref idref="i"/><itemref idref="c0"/>'
    book(
        tmp_path / "a.epub",
        "<h1>二</h1><p>後 2。</p>",
        "<h1>一</h1><p>前 1。</p><nav><p>目次 9</p></nav>",
        spine=spine,
        items=nav,
        **{"OEBPS/nav.xhtml": XHTML % "<nav epub:type='toc'><ol><li>目次 99</li></ol></nav>"},
    )
    (record,) = records(tmp_path)
    assert record == {
        "paper_id": "a.epub",
        "title": "霞の本 2ₓ",
        "author": "山田 太郎; B",
        "date": "2021-05-06",
        "language": "ja",
        "license": "CC BY 4.0",
        "text": "# 一\n\n前 1。\n\n# 二\n\n後 2。",
    }


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            "<p><ruby>霞<rp>(</rp><rt>かすみ</rt><rp>)</rp></ruby>は<ruby><rb>十</rb><rt>じゅう</rt></ruby>"
            "<span class='tcy'>12</span>人</p>",
            "霞は十12人",
        ),
        (
            "<p>12<span epub:type='pagebreak' title='7' id='p7'>7</span>,400円<a role='doc-pagebreak'>8</a></p>",
            "12,400円",
        ),
        (
            "<p>24<a epub:type='noteref' href='#n1'>1</a>人</p><aside epub:type='footnote' id='n1'>"
            "<p><a href='#r1'>1</a> または25人。</p></aside>",
            "24[^1]人\n\n[^1]: または25人。",
        ),
        (
            "<p>10<sup>6</sup> と H<sub>2</sub>O、３×１０<sup>−５</sup>&nbsp;m &mdash; 5&#8211;10</p>",
            "10⁶ と H₂O、３×１０⁻⁵\u00a0m — 5–10",
        ),
        (
            "<p>a<img src='g.png' class='gaiji' alt='鷗'/>外</p><p><math xmlns='http://www.w3.org/1998/Math/MathML'>"
            "<msup><mi>x</mi><mn>2</mn></msup></math></p>",
            "a鷗外\n\nx²",
        ),
        (
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>−2.5</td></tr></table><ol start='3'><li>x</li></ol>",
            "| a | b |\n| --- | --- |\n| 1 | −2.5 |\n\n- 3. x",
        ),
        ("<div><a id='x'/>行 1<br/>行 2</div><script src='x.js'/><p>後</p>", "行 1\n行 2\n\n後"),
        ("<p>unclosed 5<br><p>second 6", "unclosed 5\n\nsecond 6"),
    ],
)
def test_what_a_chapter_says(tmp_path: Path, body: str, text: str) -> None:
    assert text_of(book(tmp_path / "a.epub", body)) == text


@pytest.mark.parametrize(("markup", "text"), [one for one in EXAMPLES if "cite_ref" not in one[0]])
def test_raised_text_is_written_as_in_html(tmp_path: Path, markup: str, text: str) -> None:
    assert text_of(book(tmp_path / "a.epub", f"<p>{markup}</p>")).startswith(text)


def test_parts_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    items = (
        '<item id="gone" href="gone.xhtml" media-type="application/xhtml+xml"/><item'
        ' id="bomb" href="b.xhtml" media-type="application/xhtml+xml"/>'
    )
    bomb = '<!DOCTYPE html [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><html><body><p>&b;</p></body></html>'
    spine = '<itemref idref="gone"/><itemref idref="c0"/><itemref idref="bomb"/>'
    book(tmp_path / "a.epub", "<p>Text 5.</p>", spine=spine, items=items, **{"OEBPS/b.xhtml": bomb})
    (item,) = found(tmp_path)
    assert item.record["text"] == "Text 5."
    assert [flaw.detail.split(",")[0] for flaw in item.flaws] == [
        "OEBPS/gone.xhtml: the book has no such file",
        "OEBPS/b.xhtml: declares entities of its own (a",
    ]


def encryption(algorithm: str) -> dict[str, str]:
    return {
        "META-INF/encryption.xml": (
            '<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData>'
            f'<enc:EncryptionMethod Algorithm="{algorithm}"/></enc:EncryptedData></encryption>'
        )
    }


def test_locked_books_are_named_and_disguised_fonts_lock_nothing(tmp_path: Path) -> None:
    book(tmp_path / "a.epub", "<p>5</p>", **encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc"))
    assert "is locked by DRM" in problem(tmp_path)
    assert text_of(book(tmp_path / "a.epub", "<p>5</p>", **encryption("http://www.idpf.org/2008/embedding"))) == "5"


def test_bad_books_are_named(tmp_path: Path) -> None:
    good = book(tmp_path / "a.epub", "<p>5</p>")
    data = good.read_bytes()
    for content, expected in (
        (b"", "the file is empty"),
        (data[:-200], "is damaged or cut off"),
        (b"plain text", "is plain text under another name"),
    ):
        good.write_bytes(content)
        assert expected in problem(tmp_path)
    assert "there is no text in the book" in problem(book(good, "<p><img src='a.png'/></p>"))
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
    assert "is no EPUB, or damaged" in problem(tmp_path)
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", b"\0" * (40 << 20))
    assert "a mistake or a bomb" in problem(tmp_path)
