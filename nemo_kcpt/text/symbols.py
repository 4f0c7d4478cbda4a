"""Units that are written as symbols: mg, kWh, m/s², mol·L⁻¹, with the prefixes of the SI.

A symbol that nobody listed is no unit, so that a number with it counts as one without: what differs in its unit alone
would be taken for the same. So the list is long. Symbols have their case: M is no metre, Mb no megabyte.
"""

from __future__ import annotations

import re

Unit = tuple[str, float]
"""What is measured, and how many of its first unit one of this is."""

_PREFIXES = {
    "p": 1e-12,
    "n": 1e-9,
    "μ": 1e-6,
    "m": 1e-3,
    "c": 1e-2,
    "d": 1e-1,
    "h": 1e2,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
}
_SCALED: dict[str, tuple[str, float, str]] = {
    "J": ("energy", 1.0, "μmkMGT"), "Wh": ("energy", 3600.0, "mkMGT"), "W": ("power", 1.0, "nμmkMGT"),
    "V": ("voltage", 1.0, "nμmkM"), "A": ("current", 1.0, "pnμmk"), "Ω": ("resistance", 1.0, "mkMG"),
    "F": ("capacitance", 1.0, "pnμm"), "N": ("force", 1.0, "mkM"), "Pa": ("pressure", 1.0, "mhkMG"),
    "Hz": ("frequency", 1.0, "mkMGT"), "T": ("tesla", 1.0, "nμm"), "Bq": ("becquerel", 1.0, "mkMGTP"),
    "Sv": ("sievert", 1.0, "nμm"), "Gy": ("gray", 1.0, "μmk"), "mol": ("mole", 1.0, "pnμmk"),
    "L": ("volume", 1e-3, "nμmcdk"), "l": ("volume", 1e-3, "μmcdk"), "g": ("mass", 1.0, "pnμmk"),
    "t": ("mass", 1e6, "MG"), "m": ("length", 1.0, "pnμmck"), "s": ("time", 1.0, "pnμm"),
    "eV": ("electronvolt", 1.0, "mkMGT"), "cal": ("calories", 1.0, "k"), "bar": ("pressure", 1e5, "m"),
    "VA": ("apparent power", 1.0, "kM"), "Ah": ("charge", 3600.0, "mk"), "lx": ("lux", 1.0, "k"),
    "lm": ("lumen", 1.0, "k"), "cd": ("candela", 1.0, "m"), "bit": ("bits", 1.0, "kMGT"), "pc": ("parsec", 1.0, "kMG"),
}  # fmt: skip
"""Symbol -> what it measures, its factor, and the prefixes with which it is written."""
_ALONE = frozenset("FTst") | {"bit"}
"""Without a prefix these are other things more often, or are in the table below."""
_WRITTEN: dict[str, Unit] = {
    "km": ("length", 1e3), "Km": ("length", 1e3), "KM": ("length", 1e3), "m": ("length", 1.0), "cm": ("length", 1e-2),
    "mm": ("length", 1e-3), "μm": ("length", 1e-6), "nm": ("length", 1e-9),
    "t": ("mass", 1e6), "kg": ("mass", 1e3), "Kg": ("mass", 1e3), "KG": ("mass", 1e3), "g": ("mass", 1.0),
    "mg": ("mass", 1e-3), "μg": ("mass", 1e-6),
    "km2": ("area", 1e6), "m2": ("area", 1.0), "cm2": ("area", 1e-4), "ha": ("area", 1e4),
    "km^2": ("area", 1e6), "m^2": ("area", 1.0), "cm^2": ("area", 1e-4),
    "m3": ("volume", 1.0), "m^3": ("volume", 1.0), "cm3": ("volume", 1e-6), "cm^3": ("volume", 1e-6),
    "L": ("volume", 1e-3), "l": ("volume", 1e-3), "mL": ("volume", 1e-6), "ml": ("volume", 1e-6),
    "cc": ("volume", 1e-6),
    "h": ("time", 3600.0), "hr": ("time", 3600.0), "hrs": ("time", 3600.0), "min": ("time", 60.0), "s": ("time", 1.0),
    "mins": ("time", 60.0), "sec": ("time", 1.0), "secs": ("time", 1.0), "ms": ("time", 1e-3), "μs": ("time", 1e-6),
    "ns": ("time", 1e-9),
    "km/h": ("speed", 1 / 3.6), "kmh": ("speed", 1 / 3.6), "kph": ("speed", 1 / 3.6), "m/s": ("speed", 1.0),
    "Hz": ("frequency", 1.0), "kHz": ("frequency", 1e3), "MHz": ("frequency", 1e6), "GHz": ("frequency", 1e9),
    "mW": ("power", 1e-3), "W": ("power", 1.0), "kW": ("power", 1e3), "MW": ("power", 1e6), "GW": ("power", 1e9),
    "mV": ("voltage", 1e-3), "V": ("voltage", 1.0), "kV": ("voltage", 1e3), "eV": ("electronvolt", 1.0),
    "J": ("energy", 1.0), "kJ": ("energy", 1e3), "Wh": ("energy", 3600.0), "kWh": ("energy", 3.6e6),
    "MWh": ("energy", 3.6e9), "cal": ("calories", 1.0), "kcal": ("calories", 1e3),
    "Pa": ("pressure", 1.0), "hPa": ("pressure", 100.0), "kPa": ("pressure", 1e3), "MPa": ("pressure", 1e6),
    "kB": ("bytes", 1e3), "KB": ("bytes", 1e3), "MB": ("bytes", 1e6), "GB": ("bytes", 1e9), "TB": ("bytes", 1e12),
    "PB": ("bytes", 1e15), "KiB": ("bytes", 2.0**10), "MiB": ("bytes", 2.0**20), "GiB": ("bytes", 2.0**30),
    "TiB": ("bytes", 2.0**40), "kb": ("bits", 1e3), "Kb": ("bits", 1e3), "Mb": ("bits", 1e6), "Gb": ("bits", 1e9),
    "kbps": ("bits/s", 1e3), "Mbps": ("bits/s", 1e6), "Gbps": ("bits/s", 1e9), "MB/s": ("bytes/s", 1e6),
    "GB/s": ("bytes/s", 1e9), "TB/s": ("bytes/s", 1e12), "bps": ("bits/s", 1.0),
    "dB": ("decibel", 1.0), "px": ("pixels", 1.0), "fps": ("frames/s", 1.0), "rpm": ("turns/min", 1.0),
    "mol": ("mole", 1.0), "mmol": ("mole", 1e-3), "mM": ("molar", 1e-3), "μM": ("molar", 1e-6), "nM": ("molar", 1e-9),
    "mol/L": ("molar", 1.0), "ppm": ("percent", 1e-4),
    "%": ("percent", 1.0), "‰": ("percent", 0.1), "pp": ("points", 1.0), "pt": ("points", 1.0), "pts": ("points", 1.0),
    "%pt": ("points", 1.0), "%ポイント": ("points", 1.0), "ppt": ("points", 1.0),
    "°C": ("degrees", 1.0), "°": ("degrees", 1.0), "°F": ("fahrenheit", 1.0), "x": ("times", 1.0), "×": ("times", 1.0),
    "USD": ("dollars", 1.0), "JPY": ("yen", 1.0), "EUR": ("euros", 1.0), "GBP": ("pounds", 1.0),
    "CHF": ("francs", 1.0), "CNY": ("yuan", 1.0), "KRW": ("won", 1.0), "INR": ("rupees", 1.0),
    "AUD": ("dollars:a", 1.0), "CAD": ("dollars:c", 1.0), "HKD": ("dollars:hk", 1.0), "SGD": ("dollars:s", 1.0),
    "lb": ("pounds of mass", 1.0), "lbs": ("pounds of mass", 1.0), "oz": ("ounces", 1.0), "ft": ("feet", 1.0),
    "mi": ("miles", 1.0), "yd": ("yards", 1.0), "gal": ("gallons", 1.0), "mph": ("miles/time", 1 / 3600.0),
    "mmHg": ("pressure", 133.322), "atm": ("pressure", 101325.0), "psi": ("psi", 1.0), "Torr": ("pressure", 133.322),
    "dBm": ("dBm", 1.0), "dBA": ("dBA", 1.0), "rps": ("turns/min", 60.0), "ppb": ("percent", 1e-7), "kt": ("kt", 1.0),
    "Å": ("length", 1e-10), "dpi": ("dpi", 1.0), "ppi": ("ppi", 1.0),
    "FLOPS": ("flops", 1.0), "FLOPs": ("flops", 1.0),
}  # fmt: skip
SYMBOLS: dict[str, Unit] = {
    **{symbol: (measure, factor) for symbol, (measure, factor, _) in _SCALED.items() if symbol not in _ALONE},
    **{
        f"{prefix}{symbol}": (measure, factor * _PREFIXES[prefix])
        for symbol, (measure, factor, prefixes) in _SCALED.items()
        for prefix in prefixes
    },
    **_WRITTEN,
}
_ONLY_IN_COMPOUNDS: dict[str, Unit] = {
    "d": ("time", 86400.0), "day": ("time", 86400.0), "日": ("time", 86400.0), "週": ("time", 604800.0),
    "week": ("time", 604800.0), "時間": ("time", 3600.0), "時": ("time", 3600.0), "分": ("time", 60.0),
    "秒": ("time", 1.0), "sec": ("time", 1.0), "月": ("months", 1.0), "month": ("months", 1.0), "年": ("months", 12.0),
    "yr": ("months", 12.0), "y": ("months", 12.0), "year": ("months", 12.0), "a": ("months", 12.0),
    "人": ("people", 1.0), "person": ("people", 1.0), "capita": ("people", 1.0),
    "件": ("things", 1.0), "個": ("things", 1.0), "円": ("yen", 1.0), "ドル": ("dollars", 1.0), "T": ("tesla", 1.0),
    "F": ("capacitance", 1.0), "K": ("kelvin", 1.0),
    **{counter: (counter, 1.0) for counter in ("世帯", *"回台本枚戸頭株坪")},
}  # fmt: skip
_IN_COMPOUNDS = {**{name: unit for name, unit in SYMBOLS.items() if name not in ("x", "×")}, **_ONLY_IN_COMPOUNDS}
_ANY = "|".join(sorted(map(re.escape, _IN_COMPOUNDS), key=len, reverse=True))
_FIRST = "|".join(sorted((re.escape(name) for name in SYMBOLS if name not in ("x", "×")), key=len, reverse=True))
_PART = r"(?P<symbol>{0})(?:\^?(?P<power>[-−]?[1-9]))?(?![A-Za-z0-9_^])"
_HEAD = re.compile(" ?" + _PART.format(_FIRST))
_NEXT = re.compile(r"(?P<join> ?[/／] ?|[·⋅・*]| )" + _PART.format(_ANY))
_MEMBER = re.compile(_PART.format(_ANY))
_GROUP = re.compile(rf"/\((?P<parts>(?:{_ANY})(?:\^?[1-9])?(?:[·⋅・* ](?:{_ANY})(?:\^?[1-9])?)*)\)")
"""What several symbols in parentheses divide by: /(m·K)."""
_BELOW = re.compile("[/／]" + _PART.format(_ANY))
_MADE_OF = {
    "power": {"energy": 1, "time": -1},
    "area": {"length": 2},
    "volume": {"length": 3},
    "speed": {"length": 1, "time": -1},
}
"""Measures that are products of others, so that W·h/kg and Wh/kg are one."""
_NAMED: dict[str, Unit] = {
    "length/time": ("speed", 1.0),
    "bytes/time": ("bytes/s", 1.0),
    "bits/time": ("bits/s", 1.0),
    "mole/length^3": ("molar", 1e-3),
    "energy/time": ("power", 1.0),
    "length^2": ("area", 1.0),
    "length^3": ("volume", 1.0),
}


def compound_at(text: str, start: int) -> tuple[str, float, int] | None:
    """The unit of several symbols, or with a power, that begins at `start`: mg/dL, m/s^2, W·m^-2, mol L^-1.

    Returns:
        What it measures, its factor, and its end; None if there is none.
    """
    head = _HEAD.match(text, start)
    if head is None:
        return None
    powers: dict[str, int] = {}
    factor, end, parts = _raised(powers, head, 1), head.end(), 1
    while following := _NEXT.match(text, end):
        sign = -1 if following["join"].strip() in ("/", "／") else 1
        if following["join"] == " " and (following["power"] or "")[:1] not in tuple("-−"):
            break
        factor *= _raised(powers, following, sign)
        end, parts = following.end(), parts + 1
    if group := _GROUP.match(text, end):
        for part in _MEMBER.finditer(group["parts"]):
            factor *= _raised(powers, part, -1)
        end, parts = group.end(), parts + 1
    if parts == 1 and not head["power"]:
        return None
    measure = _name(powers)
    known = _NAMED.get(measure, (measure, 1.0))
    return known[0], factor * known[1], end


def _raised(powers: dict[str, int], match: re.Match[str], sign: int) -> float:
    """Add a symbol to what is measured; returns its factor."""
    measure, factor = _IN_COMPOUNDS[match["symbol"]]
    power = sign * int((match["power"] or "1").replace("−", "-"))
    for part, times in _MADE_OF.get(measure, {measure: 1}).items():
        powers[part] = powers.get(part, 0) + times * power
    return float(factor**power)


def _name(powers: dict[str, int]) -> str:
    def joined(part: dict[str, int]) -> str:
        return "*".join(f"{name}^{power}" if power > 1 else name for name, power in sorted(part.items()))

    above = joined({name: power for name, power in powers.items() if power > 0})
    below = joined({name: -power for name, power in powers.items() if power < 0})
    return f"{above or 1}/{below}" if below else above


def divided_by(text: str, start: int) -> tuple[str, float, int] | None:
    """What a unit in words is divided by at `start` (/km^2 of 人/km²): what that measures, its factor and its end."""
    below = _BELOW.match(text, start)
    if below is None:
        return None
    powers: dict[str, int] = {}
    factor = _raised(powers, below, 1)
    measure = _name(powers)
    known = _NAMED.get(measure, (measure, 1.0))
    return known[0], factor * known[1], below.end()
