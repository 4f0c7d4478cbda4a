"""Two or more columns that a PDF draws line by line across all of them, which PDFium then reads so, line by line.

A page is read in the order in which it was drawn; nearly all programs draw one column after another. Where they do not,
each line of the left column is followed by one of the right, and the text of both is mixed. That is told from a table
by the columns themselves: wide, most of their lines full, and with sentences that continue from line to line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from nemo_kcpt.pdf.stretches import GAP, JAPANESE, Stretch
from nemo_kcpt.pdf.tables import with_tables

ROWS = 3
"""Lines across both columns at least."""
WIDE = 8.0
"""Width of a column at least, in letters of full width."""
WIDER = 1.7
"""Times the usual distance of lines from which on a space ends the columns."""
FULL = 0.85
"""Share of a column's width from which on a line counts as full."""


def reading_order(stretches: Sequence[Stretch]) -> tuple[str, int, int]:
    """The text, columns one after another; how many mixed lines were put in order; how many may still be mixed."""
    text, moved, unsure, start = "", 0, 0, 0
    plain: list[Stretch] = []
    while start < len(stretches):
        end, gutter = _across(stretches, start)
        block = stretches[start:end]
        sides = (
            [[stretch for stretch in block if (stretch.left < gutter) == left] for left in (True, False)]
            if gutter
            else []
        )
        verdict = _are_columns(sides) if sides and all(sides) else ""
        if verdict == "columns":
            parts = [reading_order(_lines(side)) for side in sides]
            text += _written(plain)
            plain = []
            first = _line_end(block[0].space) if text else ""
            text += first + "\n".join(part.strip("\n") for part, _, _ in parts)
            moved += len(block) + sum(part[1] for part in parts)
            start = end
            if start < len(stretches):
                stretches = [*stretches[:start], _on_new_line(stretches[start]), *stretches[start + 1 :]]
            continue
        if verdict == "unsure":
            text += _written(plain) + "".join(stretch.space + stretch.text for stretch in block)
            plain = []
            unsure += len(block)
        else:
            plain += block
        start = end
    return text + _written(plain), moved, unsure


def _written(plain: Sequence[Stretch]) -> str:
    return "".join(stretch.space + stretch.text for stretch in with_tables(plain))


def _line_end(space: str) -> str:
    return space if "\n" in space else "\n"


def _lines(side: Sequence[Stretch]) -> list[Stretch]:
    """A column's lines, each in one piece and after a line's end."""
    lines = [_on_new_line(side[0])]
    for stretch in side[1:]:
        last = lines[-1]
        if abs(last.base - stretch.base) < 0.3 * stretch.size and stretch.left >= last.left:
            text = last.text + (stretch.space if "\n" not in stretch.space and stretch.space else " ") + stretch.text
            lines[-1] = replace(last, text=text, right=max(last.right, stretch.right))
        else:
            lines.append(_on_new_line(stretch))
    return lines


def _on_new_line(stretch: Stretch) -> Stretch:
    return replace(stretch, space=_line_end(stretch.space))


def _across(stretches: Sequence[Stretch], start: int) -> tuple[int, float]:
    """End of the block of stretches from `start` that lie left and right of one gap, and the gap's middle (0: none)."""
    if start + 1 >= len(stretches):
        return start + 1, 0.0
    pairs = (
        sorted((stretches[start], other), key=lambda each: each.left) for other in stretches[start + 1 : start + 3]
    )
    beside = (pair for pair in pairs if _are_beside(*pair))
    left, right = next(beside, (None, None))
    if left is None or right is None:
        return start + 1, 0.0
    low, high = left.right, right.left
    last = {True: min(left.base, right.base) + 10**6, False: 10.0**6}
    end = start
    for each in stretches[start:]:
        is_left = each.right <= high - 0.5 * each.size and each.left < low
        is_right = each.left >= low + 0.5 * each.size and not is_left
        if not (is_left or is_right) or each.base > last[is_left] + 0.3 * each.size:
            break
        new = (max(low, each.right), high) if is_left else (low, min(high, each.left))
        if new[1] - new[0] < 0.6 * each.size:
            break
        low, high = new
        last[is_left] = each.base
        end += 1
    return _without_what_is_below(stretches, start, max(end, start + 1)), (low + high) / 2


def _are_beside(left: Stretch, right: Stretch) -> bool:
    size = max(left.size, right.size)
    return right.left - left.right >= GAP * 0.8 * size and abs(left.base - right.base) <= 1.6 * size


def _without_what_is_below(stretches: Sequence[Stretch], start: int, end: int) -> int:
    """End of the block before a space that is wider than its lines are apart."""
    heights = sorted({round(stretch.base, 1) for stretch in stretches[start:end]}, reverse=True)
    apart = [above - below for above, below in pairwise(heights) if above - below > 0.3 * stretches[start].size]
    widest = WIDER * median(apart) if apart else 0.0
    lowest = stretches[start].base
    for number in range(start + 1, end):
        if lowest - stretches[number].base > widest:
            return number
        lowest = min(lowest, stretches[number].base)
    return end


def _are_columns(sides: Sequence[Sequence[Stretch]]) -> str:
    """`columns` if two sides are text that flows down each of them, `unsure` if they may be, else nothing."""
    flows = []
    for side in sides:
        lines = _lines(side)
        if len(lines) < ROWS:
            return ""
        left, right = min(line.left for line in lines), max(line.right for line in lines)
        size = median(line.size for line in lines)
        full = [line.right - line.left >= FULL * (right - left) for line in lines]
        if right - left < WIDE * size or sum(full) < 0.5 * len(full):
            return ""
        flows.append(sum(_goes_on(above, below, right, size) for above, below in pairwise(lines)) / (len(lines) - 1))
    if max(flows) >= 0.5 and min(flows) > 0.2:
        return "columns"
    return "unsure" if max(flows) > 0.3 else ""


_ENDS = re.compile(r"[。．.!?！？」』:：;；]\W*$")
_LATIN = re.compile(r"[a-zà-ÿ(,;]")


def _goes_on(above: Stretch, below: Stretch, right: float, size: float) -> bool:
    """Whether a sentence runs on from one line to the next: in small letters, or in Japanese from a full line."""
    if _ENDS.search(above.text):
        return False
    if JAPANESE.search(above.text[-1:]) or JAPANESE.match(below.text):
        return right - above.right < 1.2 * size
    return bool(_LATIN.match(below.text)) or above.text.endswith(("-", "\x02", ","))
