"""How numbers are written for reading: counts, shares, measures with intervals, p values, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def count(value: float | None) -> str:
    """A number for reading: 12,345; one decimal where it has one; – for none."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if isinstance(value, float) and value % 1 else f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """`part` of `whole` in percent; small shares are not rounded to nothing."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent % 100 else f"{percent:.0f} %"


def percent(value: float | Sequence[float] | None, decimals: int = 1) -> str:
    """A share from 0 to 1, or both ends of an interval, in percent; – for none."""
    if value is None:
        return "–"
    if isinstance(value, Sequence):
        return f"{100 * value[0]:.{decimals}f} to {percent(value[1], decimals)}"
    return f"{100 * value:.{decimals}f} %"


def estimate(entry: Mapping[str, float | None]) -> str:
    """A measure with its interval, such as 0.85 (0.81 to 0.92); – where it is not defined."""
    if entry["value"] is None:
        return "–"
    bounds = f" ({entry['low']:.2f} to {entry['high']:.2f})" if entry["low"] is not None else ""
    return f"{entry['value']:.2f}{bounds}".replace("-0.00", "0.00").replace("-", "−")


def probability(value: float) -> str:
    """A p value for reading."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds for reading: 12 s, 3 min 05 s."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.0f} s"


def compact(value: float | None) -> str:
    """A large number for reading: 812 k, 3.60 M, 1.05 G."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value is not None and value >= size:
            return f"{value / size * (10 if unit == ' k' else 1):.{0 if unit == ' k' else 2}f}{unit}"
    return count(value)


def hours(value: float | None) -> str:
    """Device-hours."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if value >= 10 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
