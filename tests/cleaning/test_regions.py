from __future__ import annotations

import pytest
from hypothesis import given

from nemo_kcpt.cleaning.regions import lines_of, outside, protected_spans
from tests.cleaning.documents import documents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a `x y` b ``c ` d`` e", ["`x y`", "``c ` d``"]),
        ("an open ` and\n\nanother ` one", []),
        ("quotes of ``TeX'' and ``more''", []),
        ("$x^2$ costs $5 and $10", ["$x^2$"]),
        ("\\$5 and \\(a\\) and \\[b\n\\]", ["\\(a\\)", "\\[b\n\\]"]),
        ("$$\nx\n$$ and $$ never closed", ["$$\nx\n$$"]),
        (
            "\\begin{align*}\na\n\\begin{split}b\\end{split}\n\\end{align*} c",
            ["\\begin{align*}\na\n\\begin{split}b\\end{split}\n\\end{align*}"],
        ),
        ("x\n```py\n$a\n~~~\n```\ny", ["```py\n$a\n~~~\n```"]),
        ("x\n~~~\nnever closed\n$a$", ["~~~\nnever closed\n$a$"]),
        ("x\n\n    code\n\n    more\ny", ["    code\n\n    more"]),
        ("x\n    no code", []),
        ("- item\n\n    its second paragraph", []),
        ("x\n\n    日本語の段落である", []),
    ],
)
def test_spans(text: str, expected: list[str]) -> None:
    assert [text[start:end] for start, end in protected_spans(text)] == expected


def test_lines() -> None:
    text = "a `b`\n`c`\n```\nd\n```\n$$\ne\n$$ f"
    assert [line.protected for line in lines_of(text)] == [False, True, True, True, True, True, True, True]


@given(documents())
def test_spans_are_in_order_and_lines_are_those_of_the_text(text: str) -> None:
    spans = protected_spans(text)
    assert all(start < end <= after for (start, end), (after, _) in zip(spans, [*spans[1:], (len(text), 0)]))
    lines = lines_of(text)
    assert "\n".join(line.text for line in lines) == text
    assert all(text.startswith(line.text, line.start) for line in lines)
    assert outside(text, str) == text
