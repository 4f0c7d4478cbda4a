r"""Backslashes in JSON as models write it: TeX and paths are kept, true escapes are, and what can be both is told."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemo_kcpt.llm.escapes import TEX, WORDS, meant

LITERAL = [
    r"損失は $\frac{1}{2}\beta\theta$、勾配は $\nabla L$、係数は $\rho$ である。",
    r"\bar x \neq \bigl(\tau\bigr) \times \right) \rightarrow \forall \notin \bm{x} \tilde{y} \text{km} \tfrac12",
    r"\u{o} \underline{x} \upsilon \usepackage{a}",
    r"$\nu$ と $x \to y$ と $\ne$ と \(\nexists x\)",
    r"x \in X で f: A \to B、値は \nu である。",
    r"\begin{pmatrix} a & b \\ c & d \\\hline e \end{pmatrix}",
    r"C:\new\temp と C:\Users\taro\notes.txt と D:\reports\budget.xlsx",
    r"C:\bin, E:\nvidia\toolkit, .\new\file, %TEMP%\tmp",
    r"\\nas01\share\new",
    r"\bword\b\d+\.",
    r"\$5 の \% と \_ と \{",
]
ESCAPES = [
    (r"行\nNext line", "行\nNext line"),
    (r"一\n\n二\n- three\n\tfour\t1\t2", "一\n\n二\n- three\n\tfour\t1\t2"),
    (r"ends\none\nand\nthe rest", "ends\none\nand\nthe rest"),
    (r"a\tan apple", "a\tan apple"),
    (r"Plan B:\nUse it\n使う", "Plan B:\nUse it\n使う"),
    (r"C:\temp\nNext", "C:\\temp\nNext"),
    (r"C:\temp\n次", "C:\\temp\n次"),
    (r"\\frac と \\nabla と\nu は速さ", "\\frac と \\nabla と\nu は速さ"),
    (r"\\begin{a} x \\\\ y", "\\begin{a} x \\\\ y"),
    (r"\u3042\ud83d\ude00\u{1F600}", "あ😀😀"),
    (r"It\'s \"so\" \/", 'It\'s "so" /'),
    (r"a\r\nb", "a\r\nb"),
]
OPEN = [
    (r"値は \nu である", r"\nu"),
    (r"である。\nu は速さ", r"\nu"),
    (r"x \to y", r"\to"),
    (r"$x$ です。\ni は添字", r"\ni"),
    (r"Plan B:\nuse it", r"\nuse"),
    (r"\u{e9}", r"\u{e9}"),
    (r"$$\nu = 1$$", r"\nu"),
]


def read(text: str) -> str:
    return str(json.loads(meant(f'"{text}"').text))


@pytest.mark.parametrize("text", LITERAL)
def test_a_backslash_that_was_meant_as_one_is_kept(text: str) -> None:
    assert read(text) == text and not meant(f'"{text}"').doubtful


@pytest.mark.parametrize(("text", "said"), ESCAPES)
def test_an_escape_stays_one(text: str, said: str) -> None:
    assert read(text) == said and not meant(f'"{text}"').doubtful


@pytest.mark.parametrize(("text", "open_"), OPEN)
def test_what_can_be_read_in_two_ways_is_told(text: str, open_: str) -> None:
    assert meant(f'"{text}"').doubtful == (open_,)


@pytest.mark.parametrize("command", sorted(TEX - WORDS))
def test_every_command_alone(command: str) -> None:
    assert read(rf"値は \{command} である") == rf"値は \{command} である"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
@example("\\0\xa0")  # an escaped backslash and an escaped character are no server's name
def test_json_that_was_escaped_well_is_read_as_it_is(text: str) -> None:
    written = json.dumps(text)
    assert meant(written).text == written or meant(json.dumps(text, ensure_ascii=False)).repaired


@given(st.text("\\\"nrtbfu{}$ :CNe49a'", max_size=60))
def test_any_text_is_read_and_no_quotation_mark_moves(text: str) -> None:
    found = meant(text)
    assert found.text.count('"') == text.count('"')
    assert len(found.text) - len(text) <= 3 * text.count("\\") + text.count("'")
