"""Numbers and units of siunitx as the page shows them: 3.2×10⁵ m s⁻¹.

Digits are never grouped, so that a number is in one form whatever the document sets. As siunitx does, a comma in a
number is taken for its decimal sign, and units are divided by powers unless \\sisetup says per-mode=symbol or
fraction.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from nemo_kcpt.tex.lexer import written
from nemo_kcpt.tex.write import Handler, Writer
from nemo_kcpt.text.raised import lowered, raised

_PREFIXES = {
    "yocto": "y", "zepto": "z", "atto": "a", "femto": "f", "pico": "p", "nano": "n", "micro": "µ", "milli": "m",
    "centi": "c", "deci": "d", "deca": "da", "deka": "da", "hecto": "h", "kilo": "k", "mega": "M", "giga": "G",
    "tera": "T", "peta": "P", "exa": "E", "zetta": "Z", "yotta": "Y", "kibi": "Ki", "mebi": "Mi", "gibi": "Gi",
}  # fmt: skip
_UNITS = {
    "metre": "m", "meter": "m", "gram": "g", "kilogram": "kg", "second": "s", "ampere": "A", "kelvin": "K",
    "mole": "mol",
    "candela": "cd", "becquerel": "Bq", "coulomb": "C", "farad": "F", "gray": "Gy", "hertz": "Hz", "henry": "H",
    "joule": "J", "katal": "kat", "lumen": "lm", "lux": "lx", "newton": "N", "ohm": "Ω", "pascal": "Pa",
    "radian": "rad",
    "siemens": "S", "sievert": "Sv", "steradian": "sr", "tesla": "T", "volt": "V", "watt": "W", "weber": "Wb",
    "celsius": "°C", "degreeCelsius": "°C", "degree": "°", "arcminute": "′", "arcsecond": "″", "minute": "min",
    "hour": "h", "day": "d", "litre": "L", "liter": "L", "tonne": "t", "hectare": "ha", "dalton": "Da",
    "electronvolt": "eV", "astronomicalunit": "au", "bar": "bar", "mmHg": "mmHg", "angstrom": "Å", "barn": "b",
    "knot": "kn",
    "neper": "Np", "bel": "B", "decibel": "dB", "bit": "bit", "byte": "B", "percent": "%", "bohr": "a₀",
    "hartree": "Eₕ",
    "atomicmassunit": "u", "nauticalmile": "M", "clight": "c", "electronmass": "mₑ", "planckbar": "ħ",
}  # fmt: skip
_ABBREVIATED = re.findall(
    r"\S+",
    "fg pg ng ug mg g kg amu pm nm um mm cm dm m km as fs ps ns us ms s fmol pmol nmol umol mmol mol "
    "kmol pA nA uA mA A kA ul ml l hl uL mL L hL mHz Hz kHz MHz GHz THz mN N kN MN Pa kPa MPa GPa "
    "mohm kohm Mohm pV nV uV mV V kV W nW uW mW kW MW GW J uJ mJ kJ eV meV keV MeV GeV TeV kWh F fF "
    "pF nF uF mF H fH pH nH mH uH K dB C nC mC uC T mT uT kibi bit kB",
)
_POWERS = {"squared": "2", "cubed": "3"}
_BEFORE = {"square": "2", "cubic": "3"}
_NUMBER = re.compile(
    r"(?P<sign>[-+−±<>~≤≥≈∼]*)\s*(?P<digits>[\d.,\s]*?)\s*(?P<doubt>\([\d.,]+\)|(?:\+-|\\pm|±)\s*[\d.,]+)?\s*"
    r"(?:[eEdD]\s*(?P<power>[-+−]?\d+))?"
)


def number(text: str) -> str:
    """A number as siunitx shows it: 3.2e5 → 3.2×10⁵, 1.2 +- 0.1 → 1.2±0.1, -5 → −5; what is none stays as it is."""
    text = re.sub(r"\\(?:num|,|;|!|:|~)\s*|[{}$]|~", "", text).strip()
    parts = re.split(r"\s*(?:x|\\times|×)\s*(?=[-+\d.])", text)
    if len(parts) > 1 and all(_NUMBER.fullmatch(part) for part in parts):
        return " × ".join(map(number, parts))
    text = re.sub(r"\\(?:sim|approx)\s*", "∼", text).replace(r"\leq", "≤").replace(r"\geq", "≥")
    if re.search(r"^\s*[\d.]+\s*/\s*[\d.]+$", text):
        return text
    match = _NUMBER.fullmatch(text)
    if match is None or not (match["digits"].strip() or match["power"]):
        return re.sub(r"\s*\\pm\s*", "±", text)
    digits = re.sub(r"\s", "", match["digits"]).replace(",", ".")
    doubt = re.sub(r"^(?:\+-|\\pm|±)\s*", "±", match["doubt"] or "").replace(",", ".")
    digits = f"0{digits}" if digits.startswith(".") else digits
    digits = digits.rstrip(".") if digits.endswith(".") else digits
    mantissa = f"{match['sign'].replace('-', '−').replace('+−', '±')}{digits}{doubt}"
    if match["power"] is None:
        return mantissa
    power = f"10{raised(str(int(match['power'].replace('−', '-').lstrip('+'))))}"
    if not digits:
        return f"{mantissa}{power}"
    return f"({mantissa})×{power}" if doubt.startswith("±") else f"{mantissa}×{power}"


def unit(text: str, mode: str = "power") -> str:
    """A unit as siunitx shows it: \\m\\per\\s → m s⁻¹, or m/s where units are divided by a stroke."""
    if "\\" not in text:
        return _literal(text)
    pieces: list[tuple[str, str, bool]] = []  # unit, power, whether it divides
    prefix, power, divides = "", "", False
    for match in re.finditer(r"\\([A-Za-z]+)\s*(?:\{([^{}]*)\})?|([^\\{}\s~.]+)", text):
        name, argument, letters = match[1], match[2], match[3]
        if name == "per":
            divides = True
        elif name in _PREFIXES:
            prefix += _PREFIXES[name]
        elif name in _BEFORE:
            power = _BEFORE[name]
        elif name == "raiseto":
            power = argument or ""
        elif name in _POWERS or name == "tothe":
            if pieces:
                last = pieces.pop()
                pieces.append((last[0], _POWERS.get(name, argument or ""), last[2]))
        elif name == "of":
            if pieces:
                last = pieces.pop()
                pieces.append((f"{last[0]}{lowered(argument or '')}", last[1], last[2]))
        elif name not in ("highlight", "cancel", ",", "text", "mathrm", "cdot", "times") or argument:
            sign = _sign(name) if name else letters.strip("^_")
            pieces.append((f"{prefix}{argument if name in ('text', 'mathrm') else sign}", power, divides))
            prefix, power, divides = "", "", False
    return _joined(pieces, mode)


def _sign(name: str) -> str:
    if name in _UNITS:
        return _UNITS[name]
    if name in _ABBREVIATED:
        return re.sub("^u", "µ", name).replace("ohm", "Ω")
    return name


def _joined(pieces: list[tuple[str, str, bool]], mode: str) -> str:
    if mode == "power" or not any(divides for _, _, divides in pieces):
        return " ".join(
            f"{sign}{raised(f'-{power or 1}' if divides else power) if divides or power else ''}"
            for sign, power, divides in pieces
        )
    above = " ".join(f"{sign}{raised(power) if power else ''}" for sign, power, divides in pieces if not divides)
    below = [f"{sign}{raised(power) if power else ''}" for sign, power, divides in pieces if divides]
    under = " ".join(below)
    return f"{above or '1'}/{under if len(below) == 1 else f'({under})'}"


def _literal(text: str) -> str:
    """A unit that is given in letters: kg.m.s^{-2}."""
    text = re.sub(r"\^\{?(-?[\d.]+)\}?", lambda match: raised(match[1]), text)
    text = re.sub(r"_\{?(\w+)\}?", lambda match: lowered(match[1]), text)
    return " ".join(re.sub(r"[.~](?=\D|$)", " ", text).replace("{", "").replace("}", "").split())


def quantity(value: str, sign: str) -> str:
    """A number with its unit: 5 km, 25 °C, 45°, 5 %."""
    if not sign:
        return value
    value = f"({value})" if "±" in value and not value.startswith("(") and sign not in ("", "%") else value
    return f"{value}{sign}" if sign in ("°", "′", "″") else f"{value} {sign}"


def angle(text: str) -> str:
    """An angle of degrees, minutes and seconds: 12;30;5 → 12°30′5″."""
    parts = [number(part) if part.strip() else "" for part in text.split(";")]
    return "".join(f"{part}{sign}" for part, sign in zip(parts, "°′″") if part)


def _per_mode(options: str, writer: Writer) -> str:
    match = re.search(r"per-mode\s*=\s*([\w-]+)", options)
    mode = match[1] if match else writer.state.units
    return "symbol" if mode in ("symbol", "fraction", "repeated-symbol", "symbol-or-fraction") else "power"


def _put(writer: Writer, text: str) -> None:
    """Put a quantity; in a formula its spaces would go."""
    writer.put(f"\\text{{{text}}}" if writer.program.math and re.search(r"[^\d.−+×⁰¹²³-⁹⁻]", text) else text)


def _quantity(writer: Writer, name: str) -> None:
    options = written(writer.program.option() or ())
    value = written(writer.program.argument())
    writer.program.option()
    sign = unit(_units_of(writer), _per_mode(options, writer))
    _put(writer, quantity(number(value), sign))


def _units_of(writer: Writer) -> str:
    """A unit's TeX; units that the document declares as what they show."""
    text = written(writer.program.argument())
    return re.sub(r"\\([A-Za-z]+)", lambda match: writer.state.own_units.get(match[1], match[0]), text)


def _number(writer: Writer, name: str) -> None:
    writer.program.option()
    _put(writer, number(written(writer.program.argument())))


def _unit(writer: Writer, name: str) -> None:
    options = written(writer.program.option() or ())
    _put(writer, unit(_units_of(writer), _per_mode(options, writer)))


def _angle(writer: Writer, name: str) -> None:
    writer.program.option()
    _put(writer, angle(written(writer.program.argument())))


def _several(between: Callable[[list[str]], str], count: int, units: bool) -> Handler:
    """Ranges and lists of numbers, with a unit or without."""

    def several(writer: Writer, name: str) -> None:
        options = written(writer.program.option() or ())
        values = [written(writer.program.argument()) for _ in range(count)]
        values = values[0].split(";") if count == 1 else values
        sign = unit(_units_of(writer), _per_mode(options, writer)) if units else ""
        _put(writer, between([quantity(number(value), sign) for value in values]))

    return several


def _range(values: list[str]) -> str:
    return " to ".join(values)


def _list(values: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(values[:-1]), values[-1]]))


def _setup(writer: Writer, name: str) -> None:
    options = written(writer.program.argument())
    match = re.search(r"per-mode\s*=\s*([\w-]+)", options)
    writer.state.units = match[1] if match else writer.state.units


def _declare_unit(writer: Writer, name: str) -> None:
    writer.program.option()
    writer.program.option()
    name = written(writer.program.argument()).lstrip("\\")
    sign = unit(written(writer.program.argument()))
    writer.state.own_units[name] = f"\\text{{{sign}}}"


COMMANDS: dict[str, Handler] = {
    **dict.fromkeys(("SI", "qty"), _quantity),
    **dict.fromkeys(("num", "tablenum"), _number),
    **dict.fromkeys(("si", "unit"), _unit),
    "ang": _angle,
    "sisetup": _setup,
    "numrange": _several(_range, 2, False),
    "numlist": _several(_list, 1, False),
    **dict.fromkeys(("SIrange", "qtyrange"), _several(_range, 2, True)),
    **dict.fromkeys(("SIlist", "qtylist"), _several(_list, 1, True)),
    **dict.fromkeys(("DeclareSIUnit", "DeclareSIPrefix"), _declare_unit),
}
