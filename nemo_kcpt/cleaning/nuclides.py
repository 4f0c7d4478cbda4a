"""Mass numbers: ¹³⁷Cs and ¹³CO₂, told from a note's mark before a word (³PCs, ¹²In 2020)."""

from __future__ import annotations

import re

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr"
)
_PROTONS = {symbol: number for number, symbol in enumerate(_SYMBOLS.split(), 1)}
_ELEMENT = re.compile(
    rf"(?P<protons>\d{{1,3}})?(?P<symbol>{'|'.join(sorted(_PROTONS, key=len, reverse=True))})(?![a-z])"
)


def is_mass_number(number: str, after: str) -> bool:
    """Whether `number`, raised before `after`, is the mass number of a chemical element with which `after` begins.

    A nucleus has as many neutrons as protons or more, and no known one three times as many: from H (¹H, ²H, ³H) on.
    """
    match = _ELEMENT.match(after)
    if match is None or not number.isdigit():
        return False
    protons = _PROTONS[match["symbol"]]
    if match["protons"] and int(match["protons"]) != protons:
        return False
    return (1.5 * protons if protons > 1 else 1) <= int(number) <= 3 * protons
