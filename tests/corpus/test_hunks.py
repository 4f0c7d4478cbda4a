from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.corpus.hunks import LONGEST, Line, hunks, matches, pieces, visible

TEXTS = st.text(st.sampled_from("ab日、。 \n"), max_size=60)


def shown(before: str, after: str) -> list[str]:
    """All hunks as plain lines, without their heads."""
    return [line.mark + line.text for hunk in hunks(before, after) for line in hunk.lines]


def changed(line: Line) -> list[str]:
    return [line.text[a:b] for a, b in line.spans]


@given(TEXTS, TEXTS)
def test_a_hunk_says_where_it_stands_and_holds_both_versions(before: str, after: str) -> None:
    old, new = before.split("\n"), after.split("\n")
    patched = list(old)
    for hunk in reversed(list(hunks(before, after))):
        numbers = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", hunk.head)
        assert numbers
        for place, text, mark in ((0, old, "-"), (2, new, "+")):
            length = int(numbers[place + 2] or 1)
            start = int(numbers[place + 1]) - (length > 0)
            assert [line.text for line in hunk.lines if line.mark in (" ", mark)] == text[start : start + length]
            if mark == "-":
                own = slice(start, start + length)
        patched[own] = [line.text for line in hunk.lines if line.mark != "-"]
    assert patched == new


@given(TEXTS, TEXTS)
def test_what_matches_is_the_same_text_in_the_same_order(before: str, after: str) -> None:
    i = j = 0
    for a, b, length in matches(before, after):
        assert a >= i and b >= j and length > 0
        assert before[a : a + length] == after[b : b + length]
        i, j = a + length, b + length


def test_lines_around_a_change_are_two() -> None:
    before = "\n".join("abcdefghi")
    assert shown(before, before.replace("e", "E!")) == [" c", " d", "-e", "+E!", " f", " g"]
    assert not list(hunks(before, before))


def test_what_differs_within_a_line_is_marked() -> None:
    (hunk,) = hunks("The ﬁrst sentence, and the ｓecond.", "The first sentence, and the second.")
    old, new = hunk.lines
    assert (changed(old), changed(new)) == (["ﬁ", "ｓ"], ["fi", "s"])


def test_joined_lines_stand_above_the_line_they_became() -> None:
    before = "最初の文は長\nいので折れる。\n次の文も同じよ\nうに折れる。"
    assert shown(before, "最初の文は長いので折れる。\n次の文も同じように折れる。") == [
        "-最初の文は長",
        "-いので折れる。",
        "+最初の文は長いので折れる。",
        "-次の文も同じよ",
        "-うに折れる。",
        "+次の文も同じように折れる。",
    ]
    (hunk,) = hunks(before, "最初の文は長いので折れる。\n次の文も同じように折れる。")
    assert [line.end for line in hunk.lines] == [True, False, False, True, False, False]
    assert not any(line.spans for line in hunk.lines)


def test_texts_that_share_only_letters_are_not_taken_for_versions() -> None:
    (hunk,) = hunks("abcdefgh ijklmnop", "xaxbxcxdxexf zzzzzzzz")
    assert all(changed(line) == [line.text] for line in hunk.lines)


def text_of(line: Line) -> str:
    return "".join(piece.text for piece in pieces(line))


def test_long_lines_are_cut_to_what_is_around_the_change() -> None:
    long = "".join(f"これは第{number}文である。" for number in range(500))
    (hunk,) = hunks(long, long.replace("第250文", "第二百五十文"))
    for line, part in zip(hunk.lines, ("第250文", "第二百五十文")):
        text = text_of(line)
        assert part in text and len(text) < 120 and text.startswith("…") and text.endswith("…")
    (hunk,) = hunks(f"{long}\nx", f"{long}\ny")
    assert len(text_of(hunk.lines[0])) < 100
    (hunk,) = hunks(f"a\n{long}", "a")
    assert LONGEST / 2 < len(text_of(hunk.lines[-1])) <= LONGEST + 1
    assert text_of(hunk.lines[-1]).startswith("これは第0文") and text_of(hunk.lines[-1]).endswith("第499文である。")


@given(st.text(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_a_short_line_is_shown_whole_and_a_long_one_never_twice(text: str, places: list[int]) -> None:
    borders = sorted({min(place, len(text)) for place in places})
    line = Line("-", text, tuple(zip(borders[::2], borders[1::2])))
    for part in (piece.text for piece in pieces(line)):
        assert part
    if len(text) <= LONGEST:
        whole = "".join(visible(text[a:b], marks=marked) for a, b, marked in _cut(line))
        assert text_of(line) == whole


def _cut(line: Line) -> list[tuple[int, int, bool]]:
    place, found = 0, []
    for a, b in line.spans:
        found += [(place, a, False), (a, b, True)]
        place = b
    return [*found, (place, len(line.text), False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("日本語 ABC　。", "日本語 ABC　。"),
        ("a\x1b[31mb\r\t\x00\x7f", "a␛[31mb␍␉␀␡"),
        (
            "a\u200bb\u00a0c\ufeff\u2028\u202e\ue000\ud800\x85",
            "a⟨U+200B⟩b⟨U+00A0⟩c⟨U+FEFF⟩⟨U+2028⟩⟨U+202E⟩⟨U+E000⟩⟨U+D800⟩⟨U+0085⟩",
        ),
        ("か\u3099", "か\u3099"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_named(text: str, expected: str) -> None:
    assert visible(text) == expected
    assert visible("か\u3099", marks=True) == "か⟨U+3099⟩"


def test_a_long_document_is_compared_in_seconds() -> None:
    lines = [f"第{number}行の文、{number * 7919 % 1000}と{number * 104729 % 977}を比べ" for number in range(20_000)]
    before, after = "\n".join(lines), "".join(lines)
    started = time.perf_counter()
    assert sum(line.mark == "-" for hunk in hunks(before, after) for line in hunk.lines) == 20_000
    changed_everywhere = after.replace("と", "ト")
    assert list(hunks(after, changed_everywhere))
    assert time.perf_counter() - started < 20


def test_blank_lines_do_not_tie_what_does_not_belong() -> None:
    before = "一行目の文。\r\n\r\n二行目の文。\r\n三行目の文。\r\n"
    assert shown(before, before.replace("\r\n", "\n").rstrip("\n")) == [
        "-一行目の文。\r",
        "+一行目の文。",
        "-\r",
        "+",
        "-二行目の文。\r",
        "+二行目の文。",
        "-三行目の文。\r",
        "-",
        "+三行目の文。",
    ]
