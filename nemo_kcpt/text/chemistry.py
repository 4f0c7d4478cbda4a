"""Chemical formulas as mhchem and wikis write them, as the page shows them: SO₄²⁻."""

from __future__ import annotations

import re

from nemo_kcpt.text.raised import lowered, raised


def formula_of(text: str) -> str:
    """A formula of mhchem: H2O → H₂O, SO4^2- → SO₄²⁻, ^{227}_{90}Th+ → ²²⁷₉₀Th⁺, -> as an arrow."""
    for sign, arrow in (("<=>", "⇌"), ("<-->", "⟷"), ("<->", "↔"), ("->", "→"), ("<-", "←")):
        text = text.replace(sign, f" {arrow} ")
    text = re.sub(r"\^\{([^{}]*)\}|\^(\d*[+-]|\d+)", lambda match: raised(match[1] or match[2] or ""), text)
    text = re.sub(r"_\{([^{}]*)\}|_(\w)", lambda match: lowered(match[1] or match[2] or ""), text)
    text = re.sub(r"(?<=[A-Za-z)\]])(\d+)", lambda match: lowered(match[1]), text)
    text = re.sub(r"(?<=[A-Za-z)\]₀-₉])([+-])(?=\s|$|[)\]])", lambda match: raised(match[1]), text)
    return " ".join(re.sub(r"[{}$]", "", text).split())
