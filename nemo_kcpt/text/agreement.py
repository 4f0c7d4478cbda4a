"""Whether two numbers say the same, in whatever notation.

- Equal values of one measure do, and of measures that may be one (12,400件 and 12,400 examples).
- A number without a unit agrees with one that has it, if the figures are equal: 5 and 5 km, 83.7 and 83.7 %.
- A share and a percentage are one: 0.5, 1/2, 半分 and 50 %. Against a percentage a bare decimal or fraction of at most
  1 is a share and nothing else: 0.5 is not 0.5 %.
- -5 is not 5, 5億 is not 5, 5〜10 is neither 5 nor 10, 5 % is not 5 points, opposite bounds disagree.
- A number may be rounded to fewer decimals, or to its last digit that is not 0 where either is approximate; years and
  counted things are not rounded. `equal` allows none of that.
- What is stated without its spread follows from what is known with it, and not the other way round.
"""

from __future__ import annotations

from nemo_kcpt.text.quantities import Quantity, cached_quantities, dated
from nemo_kcpt.text.units import compatible, root

_DAY = 86400.0


def agree(stated: Quantity, known: Quantity) -> bool:
    """Whether a number that is `stated` follows from one that is `known`."""
    return _agree(stated, known, rounded=True)


def equal(first: Quantity, second: Quantity) -> bool:
    """Whether two numbers are the same, without rounding and approximation."""
    return _agree(first, second, rounded=False) and _agree(second, first, rounded=False)


def _agree(stated: Quantity, known: Quantity, rounded: bool) -> bool:
    if {stated.bound, known.bound} == {"<", ">"}:
        return False
    if not compatible(stated.measure, known.measure):
        return False
    if stated.spread is not None and (known.spread is None or not _close(stated.spread, known.spread)):
        return False
    bare = not (stated.measure and known.measure) and stated.measure != known.measure
    if (stated.high is None) != (known.high is None):
        return rounded and stated.high is None and _end_of(stated, known)
    if stated.high is not None and known.high is not None:
        first, second = (stated.high_figure, known.high_figure) if bare else (stated.high, known.high)
        if first is None or second is None or not _close(first, second):
            return False
    scale, step, rough = 1.0, stated.step, stated.rough
    value, other = (stated.figure, known.figure) if bare else (stated.value, known.value)
    if bare and "percent" in (stated.measure, known.measure):
        if stated.measure != "percent" and _is_share(stated):
            scale, value, other = 100.0, stated.value * 100, known.value
        elif known.measure != "percent" and _is_share(known):
            value, other = stated.value, known.value * 100
    elif bare and stated.measure:
        scale = stated.figure / stated.value if stated.value else 1.0
    elif {stated.measure, known.measure} == {"days", "time"}:
        value, other = (number.value * (_DAY if number.measure == "days" else 1.0) for number in (stated, known))
    elif "order" in (root(stated.measure), root(known.measure)) and min(stated.step, known.step) < 1:
        return _close(value, other) and stated.step == known.step  # version 3.10 is not 3.1
    if _close(value, other):
        return True
    if not rounded or dated(stated.measure) or dated(known.measure):
        return False
    step, rough = step * scale, max(rough * scale, known.rough)
    if stated.about or known.about:
        return abs(value - other) <= min(rough / 2 * 1.000001, 0.1 * max(abs(value), abs(other)))
    if step == 1 and root(stated.measure) in ("people", "things", "counted"):
        return False  # things are whole
    return known.step < step <= 1 and abs(value - other) <= step / 2 * 1.000001


def _close(first: float, second: float) -> bool:
    return abs(first - second) <= 1e-9 * max(abs(first), abs(second))


def _is_share(number: Quantity) -> bool:
    return number.measure == "" and abs(number.value) <= 1 and number.step < 1


def _end_of(stated: Quantity, known: Quantity) -> bool:
    """Whether a year (or another point in time) is an end of a known range."""
    ends = (known.value, known.high)
    if dated(known.measure):
        return stated.value in ends or (not stated.measure and stated.figure in ends)
    return stated.measure == "year" and not known.measure and stated.value in ends  # 在位 716–757


def same_kind(first: Quantity, second: Quantity) -> bool:
    """Whether one number could replace the other."""
    if first.measure == second.measure or (
        first.measure and second.measure and compatible(first.measure, second.measure)
    ):
        return True
    kinds = {root(first.measure), root(second.measure)}
    return "" in kinds and kinds <= {"", "year", "percent", "counted", "things", "people", "points", "order"}


def states(text: str, number: Quantity) -> bool:
    """Whether a text has the number, in whatever notation."""
    return any(agree(number, known) for known in cached_quantities(text))
