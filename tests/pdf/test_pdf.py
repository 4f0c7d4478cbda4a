from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.pdf import document
from nemo_kcpt.readers.pdf import title_of
from tests.pdf.pdfs import Show, make_pdf
from tests.readers.reading import found, problem, records

pytest.importorskip("pypdfium2")

TITLE = "低資源言語における語義曖昧性解消"
LEFT = ["左の段の一行目である", "左の段の二行目である", "左の段の三行目である"]
RIGHT = ["右の段の一行目である", "右の段の二行目である"]
COLUMNS = [
    Show(50, 800, TITLE, 14),
    *(Show(50, 760 - 16 * number, text) for number, text in enumerate(LEFT)),
    *(Show(320, 760 - 16 * number, text) for number, text in enumerate(RIGHT)),
]


def test_pages_are_joined_by_form_feeds_in_reading_order(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([COLUMNS, [], [Show(50, 700, "終わり𠮷野ﬁ")]], title=TITLE))
    (record,) = records(tmp_path)
    assert record == {
        "paper_id": "a.pdf",
        "title": TITLE,
        "text": "\n".join([TITLE, *LEFT, *RIGHT]) + "\f\f終わり𠮷野fi",
        "pages": 3,
    }


def test_a_hyphen_at_a_line_end_is_left_to_the_cleaning(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([[Show(50, 700, "is hyphen-"), Show(50, 688, "ated here")]]))
    assert records(tmp_path)[0]["text"] == "is hyphen\x02ated here"


def test_pages_that_are_pictures_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stamp = [Show(50, 20, "NII-Electronic Library Service")]
    text = [Show(50, 800 - 20 * line, f"{line}行目の本文である") for line in range(20)]
    data = make_pdf([text, [], stamp, text, [], stamp], pictures=[2, 3, 4], small_pictures=[6])
    (tmp_path / "a.pdf").write_bytes(data)
    (record,) = records(tmp_path)
    assert record["image_pages"] == [2, 3]  # 4 has a text layer, 5 is blank, 6 has a small picture beside its line
    pages = record["text"].split("\f")
    assert [bool(page) for page in pages] == [True, False, False, True, False, True]
    assert "a.pdf: only pictures on pages 2, 3; their text would need OCR" in caplog.text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (make_pdf([[], []], pictures=[1, 2]), "all 2 pages are pictures; run OCR first, for instance ocrmypdf"),
        (make_pdf([[], []], pictures=[2]), "there is no text on any page (page 2 of 2 is a picture); run OCR first"),
        (make_pdf([[]], drawing=b"0 0 m 9 9 l S\n" * 500), "all 1 pages are pictures"),
        (make_pdf([[]]), "there is no text on any page; run OCR first"),
        (make_pdf([COLUMNS], locked=True), "is locked by a password; unlock it, for instance with qpdf --decrypt"),
        (make_pdf([COLUMNS])[:-600], "is damaged, or no PDF"),
        (b"%PDF-1.7\nnot really", "is damaged, or no PDF"),
        (b"plain text", "is damaged, or no PDF"),
        (b"", "the file is empty"),
        (make_pdf([COLUMNS], dynamic=True), "is a dynamic form (XFA)"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, data: bytes, expected: str) -> None:
    (tmp_path / "a.pdf").write_bytes(data)
    (tmp_path / "b.pdf").write_bytes(make_pdf([COLUMNS]))
    everything = found(tmp_path)
    assert everything[0].where == str(tmp_path / "a.pdf")
    assert expected in everything[0].problem
    assert TITLE in everything[1].record["text"]


def test_attachments_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([COLUMNS], attachments=["table.csv", "b.txt"]))
    (document,) = found(tmp_path)
    assert TITLE in document.record["text"] and "hi" not in document.record["text"].split()
    assert [(flaw.kind, flaw.where) for flaw in document.flaws] == [
        ("parts left out", f"{tmp_path}/a.pdf, attachment {name}") for name in ("table.csv", "b.txt")
    ]


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pdf").write_bytes(make_pdf([COLUMNS] * 3))
    size = (tmp_path / "a.pdf").stat().st_size
    assert "more than the limit" in problem(tmp_path, max_bytes=size - 1)
    monkeypatch.setattr(document, "PAGES", 2)
    assert "has 3 pages, where 1 to 2 were expected; split it" in problem(tmp_path)


def test_text_over_the_limit_is_named(tmp_path: Path) -> None:
    """10 kB of text a page, in a file that is smaller than the text of all pages."""
    page = [Show(20, 830 - 8 * line, "".join(chr(0x4E00 + line + n) for n in range(80)), 6) for line in range(40)]
    (tmp_path / "a.pdf").write_bytes(make_pdf([page] * 20))
    size = (tmp_path / "a.pdf").stat().st_size
    assert size < 80_000
    assert "0.1 MiB for one document, more than the limit" in problem(tmp_path, max_bytes=100_000)


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        (TITLE, True),
        (" 低資源言語に\x00おける 語義曖昧性解消 ", True),
        ("Microsoft Word - 原稿.docx", False),
        ("言語処理学会 スタイルファイル", False),
        ("目", False),
        ("", False),
    ],
)
def test_a_title_is_taken_if_the_first_pages_show_it(title: str, kept: bool) -> None:
    assert bool(title_of(title, ["…\n低資源言語における\n語義曖昧性解消\n山田", "目"])) == kept


def test_a_pdf_of_a_real_program(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = pyplot.figure()
    figure.text(0.1, 0.8, "Word Sense Disambiguation")
    figure.text(0.1, 0.7, "for low-resource languages: ½ naïve α")
    with pyplot.rc_context({"pdf.fonttype": 42}):
        figure.savefig(tmp_path / "a.pdf")
    pyplot.close(figure)
    assert records(tmp_path)[0]["text"] == "Word Sense Disambiguation\nfor low-resource languages: ½ naïve α"


def test_a_number_that_is_drawn_in_pieces_stays_on_its_line(tmp_path: Path) -> None:
    """PDFium ends the line before a comma that is drawn by itself, as its box is lower than the digit's."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = pyplot.figure(figsize=(5, 5))
    for x, y, text in (
        *((60, 200, "Total"), (100, 200, "1"), (106.4, 200, ","), (109.6, 200, "234")),
        *((60, 180, "−"), (68.4, 180, "5.6")),
        *((60, 160, "alpha"), (160, 160, "7")),
    ):
        figure.text(x / 360, y / 360, text, fontsize=10)
    with pyplot.rc_context({"pdf.fonttype": 42}):
        figure.savefig(tmp_path / "a.pdf")
    pyplot.close(figure)
    assert records(tmp_path)[0]["text"].split() == ["Total", "1,234", "−5.6", "alpha", "7"]
