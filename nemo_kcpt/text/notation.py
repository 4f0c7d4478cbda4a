"""Numbers of a text in the notation of another text, where the two are equal."""

from __future__ import annotations

import re

from nemo_kcpt.text.agreement import equal
from nemo_kcpt.text.quantities import Quantity, cached_quantities


def as_in(reference: str, text: str) -> str:
    """`text` with each number that `reference` has in another notation in the reference's; all else stays.

    百万件 becomes 1,000,000件 beside a reference with 1,000,000. The unit stays as it is where the two have the same
    figure, and is taken over with the number where they differ (3 km and 3000 m, 0.5 and 50 %). Where the reference
    has a number in several notations, its first counts, unless the text's own is one of them.
    """
    known = cached_quantities(reference)
    if not known:
        return text
    pieces, start = [], 0
    for number in cached_quantities(text):
        same = [other for other in known if equal(number, other)]
        if not same:
            continue
        spelled = text[number.start : number.figure_end]
        if any(_same_letters(reference[other.start : other.figure_end], spelled) for other in same):
            continue
        end, spelling = _spelling(reference, same[0], number)
        pieces += [text[start : number.start], spelling]
        start = end
    return "".join([*pieces, text[start:]])


def _spelling(reference: str, other: Quantity, number: Quantity) -> tuple[int, str]:
    """Up to where the number of the text is replaced, and by what."""
    if number.figure == other.figure:
        return number.figure_end, reference[other.start : other.figure_end]
    return number.end, reference[other.start : other.end]


def _same_letters(first: str, second: str) -> bool:
    return re.sub(r"\s", "", first) == re.sub(r"\s", "", second)
