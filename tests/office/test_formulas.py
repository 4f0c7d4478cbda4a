"""Formulas of Office as TeX."""

from __future__ import annotations

import lxml.etree
import pytest

from nemo_kcpt.office.formulas import tex

M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" xmlns:w="w"'


def of(xml: str) -> str:
    """The TeX of what an m:oMath holds; `[x]` is a run."""
    for letter in "[]":
        xml = xml.replace(letter, {"[": "<m:r><m:t xml:space='preserve'>", "]": "</m:t></m:r>"}[letter])
    return tex(lxml.etree.fromstring(f"<m:oMath {M}>{xml}</m:oMath>"))


E = "<m:e>{}</m:e>"
SUP = "<m:sSup><m:e>[{}]</m:e><m:sup>[{}]</m:sup></m:sSup>"


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ("[E=m]" + SUP.format("c", "2"), "E=mc^{2}"),
        (SUP.format("10", "−6"), "{10}^{-6}"),
        ("<m:sSub><m:e>[x]</m:e><m:sub>[12]</m:sub></m:sSub>", "x_{12}"),
        ("<m:sSubSup><m:e>[σ]</m:e><m:sub>[i]</m:sub><m:sup>[2]</m:sup></m:sSubSup>", r"\sigma_{i}^{2}"),
        ("<m:sPre><m:sub>[92]</m:sub><m:sup>[235]</m:sup><m:e>[U]</m:e></m:sPre>", "{}_{92}^{235}U"),
        ("<m:f><m:num>[1]</m:num><m:den>[12]</m:den></m:f>", r"\frac{1}{12}"),
        ("<m:f><m:fPr><m:type m:val='lin'/></m:fPr><m:num>[a+b]</m:num><m:den>[2]</m:den></m:f>", "{(a+b)}/2"),
        (
            "<m:d><m:e><m:f><m:fPr><m:type m:val='noBar'/></m:fPr>"
            "<m:num>[n]</m:num><m:den>[k]</m:den></m:f></m:e></m:d>",
            r"\left( \genfrac{}{}{0pt}{}{n}{k}\right)",
        ),
        ("<m:rad><m:radPr><m:degHide m:val='1'/></m:radPr><m:deg/><m:e>[x]</m:e></m:rad>", r"\sqrt{x}"),
        ("<m:rad><m:deg>[3]</m:deg><m:e>[x]</m:e></m:rad>", r"\sqrt[3]{x}"),
        (
            "<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub>[i=1]</m:sub>"
            "<m:sup>[n]</m:sup><m:e>[i]</m:e></m:nary>",
            r"\sum_{i=1}^{n} i",
        ),
        ("<m:nary><m:sub>[0]</m:sub><m:sup>[1]</m:sup><m:e>[x dx]</m:e></m:nary>", r"\int_{0}^{1} x\ dx"),
        (
            "<m:d><m:dPr><m:begChr m:val='|'/><m:endChr m:val='|'/></m:dPr><m:e>[x]</m:e></m:d>",
            r"\left\vert x\right\vert",
        ),
        ("<m:d><m:dPr><m:begChr m:val='{'/><m:endChr m:val=''/></m:dPr><m:e>[x]</m:e></m:d>", r"\left\{ x\right."),
        (
            "<m:m><m:mr><m:e>[1]</m:e><m:e>[2]</m:e></m:mr><m:mr><m:e>[3]</m:e><m:e>[4]</m:e></m:mr></m:m>",
            r"\begin{matrix}1 & 2 \\ 3 & 4\end{matrix}",
        ),
        ("<m:eqArr><m:e>[x&amp;=1]</m:e><m:e>[y&amp;=2]</m:e></m:eqArr>", r"\begin{matrix}x=1 \\ y=2\end{matrix}"),
        ("<m:acc><m:e>[x]</m:e></m:acc>", r"\hat{x}"),
        ("<m:acc><m:accPr><m:chr m:val='\u20d7'/></m:accPr><m:e>[v]</m:e></m:acc>", r"\vec{v}"),
        ("<m:bar><m:barPr><m:pos m:val='top'/></m:barPr><m:e>[x]</m:e></m:bar>", r"\overline{x}"),
        ("<m:func><m:fName>[sin]</m:fName><m:e>[θ]</m:e></m:func>", r"\sin \theta"),
        (
            "<m:func><m:fName><m:limLow><m:e>[lim]</m:e><m:lim>[n→∞]</m:lim></m:limLow></m:fName><m:e>[x]</m:e></m:func>",
            r"\lim_{n\to\infty}x",
        ),
        ("<m:groupChr><m:e>[a+b]</m:e></m:groupChr>", r"\underbrace{a+b}"),
        ("<m:borderBox><m:e>[x=1]</m:e></m:borderBox>", r"\boxed{x=1}"),
        ("<m:phant><m:phantPr><m:show m:val='0'/></m:phantPr><m:e>[9]</m:e></m:phant>[1]", "1"),
        ("<m:r><m:rPr><m:nor/></m:rPr><m:t>100% of </m:t></m:r>[α][x]", r"\text{100\% of }\alpha x"),
        ("<m:r><m:rPr><m:scr m:val='double-struck'/></m:rPr><m:t>R</m:t></m:r>", r"\mathbb{R}"),
        ("<m:r><m:rPr><m:sty m:val='b'/></m:rPr><m:t>A</m:t></m:r>", r"\mathbf{A}"),
        ("<m:r><m:rPr><m:sty m:val='p'/></m:rPr><m:t>max</m:t></m:r>", r"\max"),
        ("[売上=12]", r"\text{売上}=12"),
        ("[𝑥≤5%]", r"x\le5\%"),
        ("[1]<w:del>[2]</w:del><w:ins>[3]</w:ins>", "13"),
    ],
)
def test_formulas(xml: str, expected: str) -> None:
    assert of(xml) == expected


def test_a_bare_letter_after_a_word_of_tex_stays_apart() -> None:
    assert of("[α][β][x][2]") == r"\alpha\beta x2"


def test_nothing_to_see() -> None:
    assert of("") == ""
