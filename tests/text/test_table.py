"""Pairs of numbers that are equal or different, in Japanese and English: numerals.tsv.

    .venv/bin/python tests/text/test_table.py            # the result, as docs/evaluation.md shows it
    .venv/bin/python tests/text/test_table.py dev        # and the pairs of that half that are judged wrongly

The parser was developed on the half `dev`; the half `test` was written in full before it and is for this test alone.
An equal pair is judged right if each number of either side is supported by the other, a different one if not every
number that is stated is supported by what is known.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]  # as a script it does not see the package

from nemo_kcpt.evaluation.scoring.exact_match import exact_match  # noqa: E402
from nemo_kcpt.text.agreement import states  # noqa: E402
from nemo_kcpt.text.quantities import cached_quantities  # noqa: E402

TABLE = Path(__file__).with_name("numerals.tsv")


@dataclass(frozen=True)
class Pair:
    half: str
    verdict: str
    kind: str
    stated: str
    known: str


def pairs(half: str) -> list[Pair]:
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows = [Pair(**row) for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [row for row in rows if row.half == half]


def supported(stated: str, known: str) -> bool:
    found = cached_quantities(stated)
    return bool(found) and all(states(known, number) for number in found)


def judged_right(pair: Pair) -> bool:
    forth = supported(pair.stated, pair.known)
    return forth and supported(pair.known, pair.stated) if pair.verdict == "equal" else not forth


def rows() -> list[str]:
    """The table of docs/evaluation.md."""
    lines = [
        "| half | pairs (equal, different) | judged right | wrong “supported” | wrong exact match |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for half in ("dev", "test"):
        known = pairs(half)
        different = [pair for pair in known if pair.verdict == "different"]
        right = sum(map(judged_right, known))
        supports = sum(supported(pair.stated, pair.known) for pair in different)
        matches = sum(exact_match(pair.stated, [pair.known]) for pair in different)
        number = f"{len(known)} ({len(known) - len(different)}, {len(different)})"
        lines.append(f"| {half} | {number} | {right} ({100 * right / len(known):.1f} %) | {supports} | {matches} |")
    return lines


def test_the_halves_are_large_and_share_no_pair() -> None:
    dev, test = ({(pair.stated, pair.known) for pair in pairs(half)} for half in ("dev", "test"))
    assert len(dev) + len(test) >= 300 and len(test) >= len(dev) and not dev & test


def test_at_least_98_of_100_pairs_are_judged_right_and_no_different_one_as_equal() -> None:
    print("\n".join(rows()))
    for half in ("dev", "test"):
        known = pairs(half)
        assert sum(map(judged_right, known)) >= 0.98 * len(known), half
        for pair in known:
            if pair.verdict == "different":
                assert not supported(pair.stated, pair.known), pair
                assert not exact_match(pair.stated, [pair.known]), pair


def test_the_page_shows_the_result() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    assert "\n".join(rows()) in page, "write the table again: .venv/bin/python tests/text/test_table.py"


if __name__ == "__main__":
    print("\n".join(rows()))
    for one in [pair for half in sys.argv[1:] for pair in pairs(half) if not judged_right(pair)]:
        print(f"{one.half}\t{one.verdict}\t{one.stated}\t{one.known}")
