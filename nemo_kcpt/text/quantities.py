"""The numbers of a text as quantities: value, unit, sign, range, and how exact they are meant.

4400万, 44,000,000, ４４００万, 四千四百万, 4.4×10⁷, 4.4e7, 44M and 44 million are one value; 令和3年 and 2021年, 3 km
and 3000 m, 1時間30分 and 90 minutes, 午後3時 and 15:00 too. 約, 程度, about and the like make a value approximate,
以上, 未満, at least and the like a bound. 5〜10 is one number with two ends, 83.2±0.5 one with a spread. What is no
number: see `figures`. Which numbers say the same: `agreement`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from nemo_kcpt.text.figures import CURRENCIES, MONEY, Figure, figures
from nemo_kcpt.text.plain import written
from nemo_kcpt.text.units import root, unit_at

_NAN = float("nan")
_ABOUT = re.compile(
    r"(約|およそ|ほぼ|概ね|おおむね|\b(?:about|around|approximately|approx\.|ca\.|roughly|nearly|almost|circa)|(?<![0-9~])[~〜∼≈])\s*$",
    re.I,
)
_ABOUT_AFTER = re.compile(r"\s?(程度|前後|ほど|くらい|ぐらい|弱|強|あまり|余り|or so)")
_LEAST = re.compile(r"(最低|少なくとも|at least|more than|over|above|no fewer than|[≥>])\s*$", re.I)
_MOST = re.compile(r"(最大|高々|at most|less than|under|below|up to|fewer than|no more than|[≤<])\s*$", re.I)
_LEAST_AFTER = re.compile(r"\s?(以上|超|を超え|を上回|or more)")
_MOST_AFTER = re.compile(r"\s?(以下|未満|以内|を下回|に満たな|or less|or fewer)")
_SIGN = re.compile(
    r"(?:(?P<dash>[-−–‐]|− )|(?P<mark>[▲△▼]) ?|(?P<word>マイナス|負の|(?<![A-Za-z])(?i:minus|negative)[ \n])"
    r"|(?<![^\s(\[「|:=、,])(?P<long>ー)|(?P<cold>氷点下|零下)|(?P<early>紀元前|(?<![以年午])前)|(?P<both>± ?|\+/-|\+-)"
    r"|(?P<plus>\+|プラス|(?<![A-Za-z])(?i:plus)[ \n]))$"
)
_NO_SIGN_BEHIND = re.compile(r"[A-Za-z0-9ァ-ヺー)\]%]")
_DECADE = re.compile(r"['’]?s(?![A-Za-z0-9])")
_HUNDREDTHS = re.compile(r"(?<=秒)[0-9]{1,3}(?![0-9,.:/%]|[ ]?[A-Za-z分秒時年月日人個回位点])")
"""9秒58."""
_GLUED = re.compile("(?!x[0-9])[A-Za-z_]")
_BC = re.compile(r" ?B\.?C(?:\.?E)?\b\.?")
_BELOW_ZERO = re.compile(r" (?:degrees (?:celsius )?)?below zero", re.I)
_SPEED = re.compile(r"(?P<per>[時秒分]速|毎[時秒分])(?:約|およそ)? ?$")
_PER = {"時": 3600.0, "分": 60.0, "秒": 1.0}
_ORDER_OF = re.compile(
    r" ?(?P<century>世紀|century|centuries)| ?(?P<suffix>[章節図表部版条号次回巻期話代位課問項]|番目|四半期)目?"
)
_AND = re.compile(r"\s*(?:,? and|と|,)?\s*|")
_HALF = re.compile(r"半(?!年|期|日|数|分)|[ \n]and[ \n]a[ \n]half(?![a-z])", re.I)
_RANGE = re.compile(
    r"\s*(?P<sign>[-–—―−~〜∼‐])\s*|\s*(?P<kara>から|ないし|乃至)\s*|[ \n](?P<to>to|through)[ \n]|[ \n](?P<and>and)[ \n]"
)
_PLUS_MINUS = re.compile(r"\s*(?:±|\+/-|\+-|プラスマイナス)\s*")
_MADE = re.compile(r"に(?!かけ|わた)|へ|とな")
_BETWEEN = re.compile(r"\b(?:between|from)[ \n]*$", re.I)
_CHANGE = re.compile(
    r"(?:increas|improv|rose|rise|rais|fell|fall|drop|decreas|grew|grow|reduc|chang|went|go|expand|jump|declin|lower|boost|shift|mov)"
    r"[a-z]*[^.。!?]{0,40}$",
    re.I,
)
_DATES = {"year", "month", "day", "days", "hour", "decade", "century"}
_SUMS = {"time", "months", "length", "mass"}
_UNTIL = re.compile("まで|の間")


@dataclass(frozen=True)
class Quantity:
    """A number as a text states it."""

    value: float
    """In the first unit of its measure: metres, grams, seconds. Of a range the lower end."""
    measure: str
    """What it measures, as `units` names it; empty without a unit."""
    step: float
    """Size of the last digit written, in the value's unit: 85.2 has 0.1, 4400万 has 10,000."""
    rough: float
    """Size of the last digit that is not 0: 4400万 has 1,000,000."""
    about: bool
    """Meant approximately."""
    bound: str
    """`>` at least or more than, `<` at most or less than, or empty."""
    start: int
    end: int
    """Place in the text: text[start:end]."""
    figure: float = _NAN
    """The value without its unit, 3 of 3 km, to be held against a number without one; not a number where a unit cannot
    be left out (3割, 17世紀, 1時間30分)."""
    high: float | None = None
    """The upper end of a range, the second number of a ratio."""
    high_figure: float | None = None
    """As `figure`."""
    spread: float | None = None
    """What follows ±."""
    figure_end: int = 0
    """End of the numeral, where the unit begins."""

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two quantities the same but for where they stand."""
        return self.value, self.measure, self.step, self.about, self.bound, self.high, self.spread, repr(self.figure)


@dataclass
class _Part:
    """A figure with its sign and unit, before ranges and sums are put together."""

    start: int
    end: int
    figure_end: int
    figure: float
    step: float
    measure: str
    factor: float
    scale: float
    whole: bool
    pair: float | None
    spread_only: bool = False
    omits: bool = True
    """Whether the unit can be left out."""


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text, in reading order."""
    form, places = written(text)
    parts: list[_Part] = []
    for figure in figures(form):
        if parts and figure.start < parts[-1].end:
            continue  # the half of an hour and a half
        part = _part(form, figure, parts[-1] if parts else None)
        if part is None:
            continue
        if parts and _sums(form, parts[-1], part):
            _add(parts[-1], part)
        else:
            parts.append(part)
    return [_finished(form, places, *group) for group in _ranges(form, parts)]


@lru_cache(maxsize=4096)
def cached_quantities(text: str) -> tuple[Quantity, ...]:
    """As `quantities`, kept for texts that are asked for again and again."""
    return tuple(quantities(text))


def _part(text: str, figure: Figure, before: _Part | None) -> _Part | None:
    """A figure with the unit and the sign around it; None where letters follow that are no unit, as in 3D."""
    measure, factor, end, omits = figure.measure, 1.0, figure.end, True
    if measure.startswith("order"):
        behind = _ORDER_OF.match(text, end)
        if behind and behind["century"]:
            measure, end, omits = "century", behind.end(), False
        elif behind and measure == "order" and behind["suffix"] not in ("番目", "位", "回", "代"):
            measure, end = f"order:{behind['suffix']}", behind.end()
        elif behind:
            end = behind.end()
    elif measure in ("", "year?"):
        short = 10 <= figure.value <= 90 and text[max(0, figure.start - 1) : figure.start] in tuple("'’")  # '90s
        long = 1000 <= figure.value <= 2990
        decade = _DECADE.match(text, end) if (long or short) and figure.value % 10 == 0 else None
        if decade and short:
            figure = replace(figure, value=1900 + figure.value)
        unit = unit_at(text, end) if decade is None else None
        if decade:
            measure, end, omits = "decade", decade.end(), False
        elif unit is not None and not (measure and unit.measure == "counted"):
            measure, factor, end = unit.measure, unit.factor, unit.end
            omits = measure not in ("century", "decade") and not text[figure.end : end].endswith("‰")
        elif measure:
            measure = "year"
        elif _GLUED.match(text, end) and text[end - 1].isdigit():
            return None
        if measure == "year" and figure.value < 100:
            measure, factor = "months", 12.0  # 3年: a span of time
        if measure == "days" and before and before.measure == "month" and before.end == figure.start:
            measure = "day"
    elif measure in ("percent", "time"):
        omits = False
    if half := _HALF.match(text, end) if factor != 1.0 or measure in ("time", "months") else None:
        added = 0.5 * (1.0 if measure != "time" or figure.measure != "time" else _NAN)
        end = half.end()
        figure = replace(figure, value=figure.value + added, step=0.1)
    if measure == "time" and (hundredths := _HUNDREDTHS.match(text, end)):
        end, omits = hundredths.end(), False
        figure = replace(figure, value=figure.value + float(f"0.{hundredths[0]}"), step=10.0 ** -len(hundredths[0]))
    value, start, spread_only = figure.value, figure.start, False
    lead = text[max(0, start - 10) : start]
    if money := MONEY.search(lead):
        closed = money["money"] == "$" and text[end : end + 1] == "$"
        if not closed and measure in ("", "year", "counted"):
            measure, factor, end = CURRENCIES[money["money"]], 1.0, max(figure.end, figure.end)
            start -= len(lead) - money.start("money")
            lead = text[max(0, start - 10) : start]
    if measure == "length" and (speed := _SPEED.search(lead)):
        measure, factor = "speed", factor / _PER[speed["per"].strip("毎速")]
        start -= len(lead) - speed.start()
        lead = text[max(0, start - 10) : start]
    sign = _SIGN.search(lead)
    if sign and not (before and before.end >= start - len(sign[0])) and not _hyphen(text, start, sign):
        if sign["early"] and measure not in ("year", "century") and figure.value < 100:
            sign = None
    else:
        sign = None
    if sign:
        start -= len(sign[0])
        spread_only = sign["both"] is not None
        value = value if sign["plus"] or spread_only else -value
        if sign["cold"] and measure == "":
            measure = "degrees"
    if early := _BC.match(text, end):
        value, end = -value, early.end()
        measure = measure or "year"
    if cold := _BELOW_ZERO.match(text, end):
        value, end, measure = -value, cold.end(), "degrees"
    return _Part(
        start,
        end,
        figure.end,
        value,
        figure.step,
        measure,
        factor,
        figure.scale,
        figure.whole,
        figure.high,
        spread_only,
        omits,
    )


def _hyphen(text: str, start: int, sign: re.Match[str]) -> bool:
    """Whether the dash before a figure joins it to what precedes it."""
    if not sign["dash"]:
        return False
    position = start - len(sign[0])
    before = text[position - 1 : position] if position else ""
    if sign["dash"] == "− ":
        before = text[:position].rstrip()[-1:]
        return before.isdigit()
    return bool(_NO_SIGN_BEHIND.match(before)) and not (sign["dash"] == "−" and "ァ" <= before <= "ー")


def _sums(text: str, first: _Part, second: _Part) -> bool:
    """Whether two parts are one: 1時間30分, 2 hours and 15 minutes, 1 m 80 cm."""
    if first.measure not in _SUMS or first.measure != second.measure or first.whole or second.whole:
        return False
    if not second.factor < first.factor or second.figure * second.factor >= first.factor or second.figure < 0:
        return False
    gap = text[first.end : second.start]
    return _AND.fullmatch(gap) is not None if first.measure in ("time", "months") else gap in ("", " ")


def _add(first: _Part, second: _Part) -> None:
    sign = -1.0 if first.figure < 0 else 1.0
    total = first.figure * first.factor + sign * second.figure * second.factor
    first.figure, first.factor, first.step = total / second.factor, second.factor, second.step
    first.end, first.figure_end, first.omits = second.end, second.end, False


def _ranges(text: str, parts: list[_Part]) -> list[tuple[_Part, _Part | None, _Part | None]]:
    """Each part with the upper end of its range and with its spread, if it has them."""
    result: list[tuple[_Part, _Part | None, _Part | None]] = []
    index = 0
    while index < len(parts):
        first = parts[index]
        second = parts[index + 1] if index + 1 < len(parts) else None
        if second is not None and second.start >= first.end:
            if _PLUS_MINUS.fullmatch(text, first.end, second.start) or (
                second.spread_only and not text[first.end : second.start].strip(" (（")
            ):
                second.end += text[first.end : second.start].count("(") and text[second.end : second.end + 1] == ")"
                _share_unit(first, second)
                result.append((first, None, second))
                index += 2
                continue
            if _joined(text, first, second):
                result.append((first, second, None))
                index += 2
                continue
        result.append((first, None, None))
        index += 1
    return result


def _joined(text: str, first: _Part, second: _Part) -> bool:
    """Whether two parts are a range; gives the first what it leaves out of the second's unit and magnitude."""
    match = _RANGE.fullmatch(text, first.end, second.start)
    if match is None or first.pair is not None or second.pair is not None or second.spread_only:
        return False
    before = text[max(0, first.start - 80) : first.start]
    if match["and"] and not re.search(r"\bbetween[ \n]*$", before, re.I):
        return False
    if match["kara"] == "から" and _MADE.match(text, second.end):
        return False
    if match["to"] and _CHANGE.search(_BETWEEN.sub("", before)):
        return False
    first_measure, first_factor, figure, step = first.measure, first.factor, first.figure, first.step
    _share_unit(first, second)
    money = first_measure in CURRENCIES.values()
    if second.scale > first.scale == 1.0 and (money or (not first_measure and figure * second.scale < second.figure)):
        first.figure, first.step = figure * second.scale, step * second.scale
    if first.measure == second.measure and first.figure * first.factor < second.figure * second.factor:
        return True
    first.measure, first.factor, first.figure, first.step = first_measure, first_factor, figure, step
    return False


def _share_unit(first: _Part, second: _Part) -> None:
    """5〜10%, $5–10: what only one of two numbers says, both mean."""
    if not first.measure:
        first.measure, first.factor, first.omits = second.measure, second.factor, second.omits
    elif not second.measure and first.measure in (*CURRENCIES.values(), "order:頁", "order:図", "order:表", "order:節"):
        second.measure, second.factor = first.measure, first.factor
    elif not second.measure and first.measure == "percent":
        second.measure, second.factor, second.omits = first.measure, first.factor, first.omits


def _finished(text: str, places: list[int], part: _Part, upper: _Part | None, spread: _Part | None) -> Quantity:
    last = upper or spread or part
    end = last.end
    if upper is not None and (until := _UNTIL.match(text, end)):
        end = until.end()
    before, after = text[max(0, part.start - 24) : part.start], text[end : end + 12]
    bound = ""
    if _LEAST.search(before) or _LEAST_AFTER.match(after):
        bound = ">"
    elif _MOST.search(before) or _MOST_AFTER.match(after):
        bound = "<"
    about = bool(_ABOUT.search(before) or _ABOUT_AFTER.match(after))
    value, step = part.figure * part.factor, part.step * part.factor
    if part.spread_only:
        value, spread = 0.0, part
    high = upper.figure * upper.factor if upper else part.pair
    omitted = part.figure if part.omits and not part.spread_only else _NAN
    return Quantity(
        value=_clean(value),
        measure=part.measure,
        step=step,
        rough=_rough(value, step),
        about=about,
        bound=bound,
        start=places[part.start],
        end=_end(places, end),
        figure=_clean(omitted),
        high=None if high is None else _clean(high),
        high_figure=_clean(upper.figure if upper.omits else _NAN) if upper else part.pair,
        spread=_clean(abs(spread.figure) * spread.factor) if spread else None,
        figure_end=_end(places, last.figure_end),
    )


def _end(places: list[int], end: int) -> int:
    """The end in the original of what ends at `end` in the written form."""
    return places[end - 1] + 1 if end and places[end - 1] + 1 > places[end] else places[end] if end else 0


def _clean(value: float) -> float:
    return float(f"{value:.12g}")


def _rough(value: float, step: float) -> float:
    """Size of the last digit that is not 0."""
    if value != value or not step or abs(value) > step * 10**15:
        return step
    units = round(abs(value) / step)
    if not units:
        return step
    while units % 10 == 0:
        units //= 10
        step *= 10
    return step


def dated(measure: str) -> bool:
    """Whether a measure is a point in time, which a range of them names: 2019 of 2019–2021."""
    return root(measure) in _DATES
