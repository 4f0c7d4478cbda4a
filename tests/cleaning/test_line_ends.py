from __future__ import annotations

import re

import pytest
from hypothesis import given

from nemo_kcpt.cleaning.line_ends import line_ends
from tests.cleaning.documents import applied, bare, documents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb\rc\u2028d\u2029e\x85f\vg", "a\nb\nc\nd\ne\nf\ng"),
        ("\ufeff\n\n a \u3000\t\n\n b\xa0\n", " a\n\n b"),
        ("\u3000段落\n    code", "\u3000段落\n    code"),
        ("a\n\n\nb", "a\n\n\nb"),  # two blank lines may part chapters
        ("a\n\n\n\nb \n \n \n \nc", "a\n\nb\n\nc"),
        ("一 \f 二\n", "一\f 二"),  # a page mark is no white space
        ("\n\ufeffa", "a"),
        ("", ""),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert applied(line_ends, text).text == expected


@given(documents())
def test_only_white_space_changes(text: str) -> None:
    changed = applied(line_ends, text).text
    assert bare(changed).lstrip("\ufeff") == bare(text).lstrip("\ufeff")
    assert changed.count("\f") == text.count("\f")
    assert not any(sign in changed for sign in "\r\v\x85\u2028\u2029")
    pages = [re.split("\r\n?|[\n\v\x85\u2028\u2029]", page) for page in text.split("\f")]
    lines = [line.rstrip() for page in pages for line in page if line.strip()]
    assert "".join(lines).replace("\ufeff", "") == "".join(re.split("[\n\f]", changed)).replace("\ufeff", "")
