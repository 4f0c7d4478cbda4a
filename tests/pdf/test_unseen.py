"""Text that PDFium does not see, or has no characters for: read all the same, or named with its page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from nemo_kcpt.cleaning import STEPS, clean
from tests.pdf.pdfs import Show, make_pdf, written
from tests.readers.reading import found, problem, records

pytest.importorskip("pypdfium2")

FIELDS = {"paper_id", "title", "text", "pages"}
BODY = "A rate of 0.91 was measured in 24 trials, and 7 of them were left out."
DESCRIPTOR = (
    b"<< /Type /FontDescriptor /FontName /Made /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 "
    b"/Descent -200 /CapHeight 700 /StemV 80%s >>"
)
IDENTITY = b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"


def stream(content: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %s >> stream\n%s\nendstream" % (len(content), more, content)


def one_page(content: bytes, *fonts: bytes, page: bytes = b"", catalog: bytes = b"") -> bytes:
    """A page whose font F is object 5, the first of `fonts`."""
    resources = b"/Resources << /Font << /F 5 0 R >> >>"
    about = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R %s %s >>" % (resources, page)
    tree = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return written([b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog, tree, about, stream(content), *fonts], 1, b"")


def show(codes: Sequence[bytes]) -> bytes:
    """Lines of text as codes in hexadecimal."""
    return b"".join(b"BT /F 10 Tf 50 %d Td <%s> Tj ET\n" % (700 - 14 * n, line) for n, line in enumerate(codes))


def subset(text: str, *, shapes: bool = True) -> tuple[bytes, dict[str, int]]:
    """A font with the letters of `text` alone, in an order of its own and without names; and their numbers."""
    import matplotlib
    from fontTools import subset as tool
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.ttLib import TTFont

    font = TTFont(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")
    options = tool.Options(glyph_names=False, drop_tables=["GSUB", "GPOS", "GDEF", "kern", "name", "FFTM"])
    made = tool.Subsetter(options)
    made.populate(text=text)
    made.subset(font)
    numbers = {letter: font.getGlyphID(font.getBestCmap()[ord(letter)]) for letter in set(text)}
    if not shapes:
        for name in font.getGlyphOrder():
            font["glyf"][name] = TTGlyphPen(None).glyph()
    del font["cmap"]
    out = io.BytesIO()
    font.save(out)
    return out.getvalue(), numbers


def embedded(lines: Sequence[str], *, unicode: bool, shapes: bool = True) -> bytes:
    """A page in an embedded font with glyph numbers for codes, with or without a map to Unicode."""
    data, numbers = subset("".join(lines), shapes=shapes)
    pairs = b"\n".join(b"<%04X> <%04X>" % (number, ord(letter)) for letter, number in numbers.items())
    cmap = b"begincmap 1 begincodespacerange <0000> <FFFF> endcodespacerange %d beginbfchar %s endbfchar endcmap" % (
        len(numbers),
        pairs,
    )
    codes = ["".join(f"{numbers[letter]:04X}" for letter in line).encode() for line in lines]
    return one_page(
        show(codes),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Made /Encoding /Identity-H /DescendantFonts [6 0 R] %s >>"
        % (b"/ToUnicode 9 0 R" if unicode else b""),
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Made /FontDescriptor 7 0 R /DW 600 %s >>" % IDENTITY,
        DESCRIPTOR % b" /FontFile2 8 0 R",
        stream(data, b"/Length1 %d" % len(data)),
        stream(cmap),
    )


def test_a_font_without_a_map_is_named_and_its_numbers_are_taken_for_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(embedded([BODY], unicode=False))
    assert "all 1 pages are in a font that does not say what its glyphs are; run OCR first" in problem(tmp_path)


def test_the_same_font_with_a_map_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(embedded([BODY], unicode=True))
    (record,) = records(tmp_path)
    assert (record["text"], set(record)) == (BODY, FIELDS)


@pytest.mark.parametrize("body", [BODY, "測定では0.91の率が24回の試行で得られ、7回は除かれた。"])
def test_a_font_that_is_not_embedded_and_has_no_map(tmp_path: Path, body: str) -> None:
    data = make_pdf([[Show(30, 700, body)]]).replace(b"/ToUnicode", b"/NoUnicode")
    (tmp_path / "a.pdf").write_bytes(data)
    assert "does not say what its glyphs are" in problem(tmp_path)


def test_a_simple_font_that_numbers_its_glyphs_as_they_are_used(tmp_path: Path) -> None:
    """PDFium finds "!"#$ where the page says A rat."""
    order = {letter: 33 + number for number, letter in enumerate(dict.fromkeys(BODY))}
    codes = "".join(f"{order[letter]:02X}" for letter in BODY).encode()
    font = (
        b"<< /Type /Font /Subtype /TrueType /BaseFont /Made /FirstChar 33 /LastChar 90 /Widths [%s] "
        b"/FontDescriptor 6 0 R >>"
    )
    (tmp_path / "a.pdf").write_bytes(one_page(show([codes]), font % (b"600 " * 58), DESCRIPTOR % b""))
    assert "does not say what its glyphs are" in problem(tmp_path)


@pytest.mark.parametrize("text", ['f(a+b)*c = 100% of #1 & "2"!', "(1) $5 * 3 (20%) 'x' & \"y\" #4", "!()*+"])
def test_signs_of_a_text_are_no_numbering(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([[Show(50, 700, text)]]))
    (record,) = records(tmp_path)
    assert "\ufffd" not in record["text"]
    assert set(record) == FIELDS


def test_a_page_of_several_is_named_by_its_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """On the second page some characters have no entry in the map: what is known stays, none of the rest is made up."""
    data = make_pdf([[Show(30, 700, "一頁目の本文である。")], [Show(30, 700, "値は甲と乙の七である。")]])
    for letter in "甲乙七":
        data = data.replace(b"<%s>" % letter.encode("utf-16-be").hex().encode(), b"<FFFD>")
    (tmp_path / "a.pdf").write_bytes(data)
    (item,) = found(tmp_path)
    assert item.record["text"] == "一頁目の本文である。\f値は\ufffdと\ufffdの\ufffdである。"
    assert (item.record["unmapped_pages"], item.changes["unmapped_pages"]) == ([2], 1)
    assert "a.pdf: characters are not known on page 2: a font does not say what its glyphs are" in caplog.text


@pytest.mark.parametrize(("text", "named"), [("\uf0b7 一つ目の項目", False), ("値は\ue012である", True)])
def test_a_private_character_is_named_unless_it_is_a_bullet(tmp_path: Path, text: str, named: bool) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([[Show(30, 700, text), Show(30, 680, "次の行である。")]]))
    assert ("unmapped_pages" in records(tmp_path)[0]) == named


@pytest.mark.parametrize("shapes", [True, False])
@pytest.mark.parametrize("lines", [["x", "7", "A", "q", "z"], ["Rates", "7", "x", "of all"]])
def test_single_letters_below_each_other(tmp_path: Path, lines: list[str], shapes: bool) -> None:
    """As that of the text behind a scan; PDFium drops those, and glues others to one word or number."""
    (tmp_path / "a.pdf").write_bytes(embedded(lines, unicode=True, shapes=shapes))
    (record,) = records(tmp_path)
    assert (record["text"].split("\n"), set(record)) == (lines, FIELDS)


def test_spaces_without_width_change_nothing(tmp_path: Path) -> None:
    shows = [Show(30, 700, "値は十である。"), Show(100, 700, "次の文である。")]
    spaces = [Show(100, 700, " "), Show(170, 700, " "), Show(30, 600, " ")]
    texts = []
    for page in (shows, [shows[0], spaces[0], shows[1], *spaces[1:]]):
        (tmp_path / "a.pdf").write_bytes(make_pdf([page], flags=32))
        texts.append(records(tmp_path)[0]["text"])
    assert texts[0] == texts[1]


@pytest.mark.parametrize("drawn", [True, False])
def test_what_the_fields_of_a_form_and_notes_on_the_page_show_is_read(tmp_path: Path, drawn: bool) -> None:
    """Comments, which are not on the page, are not."""
    box = b"/Type /XObject /Subtype /Form /BBox [0 0 150 20] /Resources << /Font << /F 5 0 R >> >>"
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (f) /V (Filled 42) /Rect [50 600 200 620] /DA (/F 10 Tf 0 g)%s >>"
    )
    data = one_page(
        b"BT /F 12 Tf 50 700 Td (Number of trials) Tj ET",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        field % (b" /AP << /N 7 0 R >>" if drawn else b""),
        stream(b"/Tx BMC q BT /F 10 Tf 2 5 Td (Filled 42) Tj ET Q EMC", box),
        b"<< /Type /Annot /Subtype /FreeText /Contents (x) /Rect [50 500 200 520] /AP << /N 9 0 R >> >>",
        stream(b"q BT /F 10 Tf 2 5 Td (Note of 17) Tj ET Q", box),
        b"<< /Type /Annot /Subtype /Text /Contents (A comment 99) /Rect [300 500 320 520] >>",
        page=b"/Annots [6 0 R 8 0 R 10 0 R]",
        catalog=b"/AcroForm << /Fields [6 0 R] /DR << /Font << /F 5 0 R >> >> >>",
    )
    (tmp_path / "a.pdf").write_bytes(data)
    assert records(tmp_path)[0]["text"].split("\n") == ["Number of trials", "Filled 42", "Note of 17"]


@pytest.mark.parametrize(
    ("first", "second"), [("設計値-", "13.9である"), ("設計値−", "13.9である"), ("it fell to -", "13.9 then")]
)
def test_a_sign_at_a_line_end_stays_with_its_number(tmp_path: Path, first: str, second: str) -> None:
    """PDFium takes some of them for hyphens, which the cleaning would drop: 13.9 is not -13.9."""
    (tmp_path / "a.pdf").write_bytes(make_pdf([[Show(50, 700, first), Show(50, 688, second)]]))
    text = records(tmp_path)[0]["text"]
    assert f"{first[-1]}{second}" in text
    assert text.replace("\n", "").replace(" ", "") == (first + second).replace(" ", "")


@pytest.mark.parametrize("first", ["再現率を-", "再現率を −", "it fell to -"])
def test_a_sign_before_a_note_at_the_column_end_stays(tmp_path: Path, first: str) -> None:
    """The number goes on in the next column; PDFium takes the sign for a hyphen of the note's word."""
    shows = [
        Show(248, 130, first),
        Show(99, 95, "われた。" if "を" in first else "then measured"),
        Show(320, 700, "20.556"),
    ]
    (tmp_path / "a.pdf").write_bytes(make_pdf([shows]))
    (record,) = records(tmp_path)
    text = clean(record["text"], tuple(STEPS)).text
    assert first[-1] in text.replace("−", first[-1]) and "20.556" in text
    assert "を われた" not in text and "をわれた" not in text
