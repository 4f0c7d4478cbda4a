"""What Word shows of a line and its file does not store as text, or stores and does not show: fields, hidden text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.office.files import p, r
from tests.office.test_docx import STYLES, field, flaws_of, text_of
from tests.readers.reading import found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (r'SYMBOL 109 \f "Symbol" \s 10', "μ"),
        (r"SYMBOL 176 \* MERGEFORMAT", "°"),
        (r"SYMBOL 0x2103 \u", "℃"),
        (r"SYMBOL 129 \j", "\ufffd"),
        (r'SYMBOL 1 \f "Wingdings"', "\ufffd"),
    ],
)
def test_fields_of_single_signs(tmp_path: Path, code: str, expected: str) -> None:
    body = p(r("25") + field(f" {code} ", "", "") + r("m"))
    assert text_of(tmp_path, body) == f"25{expected}m"
    assert len(flaws_of(tmp_path, body)) == (expected == "\ufffd")


@pytest.mark.parametrize("code", ["LISTNUM LegalDefault \\l 1", "AUTONUM", "AUTONUMLGL \\* Arabic", "AUTONUMOUT"])
def test_numbers_that_only_word_counts_are_named(tmp_path: Path, code: str) -> None:
    body = p(field(f" {code} ", "", "") + r(" Scope"))
    assert text_of(tmp_path, body) == "Scope"
    assert flaws_of(tmp_path, body) == [("fields left out", f"field {code}")]


def test_formulas_beside_each_other_are_one(tmp_path: Path) -> None:
    one, two = (f"<m:oMath><m:r><m:t>{text}</m:t></m:r></m:oMath>" for text in ("x=3", "y=4"))
    assert text_of(tmp_path, p(r("ここで") + one + two + r("とする"))) == "ここで$x=3 y=4$とする"


@pytest.mark.parametrize(
    ("body", "characters"),
    [
        (p(r("a") + r("12 secret", "<w:vanish/>")) + p("9", "<w:rPr><w:vanish/></w:rPr>"), 8),
        (p(r("a") + r("secret", '<w:rStyle w:val="hide"/>')), 6),
        (p(r("a") + r(" ", "<w:vanish/>") + "<w:r><w:rPr><w:vanish/></w:rPr><w:tab/></w:r>"), 0),
        (p("a") + p("<w:r><w:rPr><w:vanish/></w:rPr><w:sym w:font='Symbol' w:char='F06D'/></w:r>"), 1),
        (p(r("a") + f"<m:oMath>{'<m:r><w:rPr><w:vanish/></w:rPr><m:t>x+1</m:t></m:r>' * 2}</m:oMath>"), 6),
        (p(r("a") + "<w:r><w:fldChar w:fldCharType='begin'/></w:r>" + r("XE", "<w:vanish/>")), 0),
    ],
)
def test_hidden_text_is_left_out_and_counted(tmp_path: Path, body: str, characters: int) -> None:
    assert text_of(tmp_path, body, styles=STYLES) == ("a\n\n9" if "9</w:t>" in body else "a")
    (one,) = found(tmp_path / "a.docx")
    told = [(flaw.kind, flaw.detail) for flaw in one.flaws]
    what = f"{characters} character{'s' * (characters > 1)} of hidden text; show it in Word to have it read"
    assert told == [("files with text that is hidden and left out", what)] * bool(characters)


def test_a_note_and_a_drawing_that_are_hidden_are_counted(tmp_path: Path) -> None:
    mark = '<w:r><w:rPr><w:vanish/></w:rPr><w:footnoteReference w:id="1"/></w:r>'
    note = f'<w:footnote w:id="1">{p("12 persons")}</w:footnote>'
    boxed = f'<wp:docPr id="1" name="Box 1" hidden="1"/><wps:txbx><w:txbxContent>{p("13")}</w:txbxContent></wps:txbx>'
    drawing = f"<w:r><w:drawing><wp:inline>{boxed}</wp:inline></w:drawing></w:r>"
    shown = drawing.replace("<w:r>", "<w:r><w:rPr><w:vanish/></w:rPr>", 1).replace("hidden", "x")
    assert text_of(tmp_path, p(r("a") + mark + drawing + shown), footnotes=note) == "a"
    (one,) = found(tmp_path / "a.docx")
    assert [flaw.detail for flaw in one.flaws] == [
        "1 note and 2 drawings of hidden text; show it in Word to have it read"
    ]
