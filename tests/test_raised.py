from __future__ import annotations

import pytest

from nemo_kcpt.corpus.papers import title_key
from nemo_kcpt.corpus.similarity import units
from nemo_kcpt.evaluation.questions.duplicates import same
from nemo_kcpt.packing.passages import _plain
from nemo_kcpt.text.letters import bare
from nemo_kcpt.text.raised import fractions, lowered, nfkc, raised


@pytest.mark.parametrize(
    ("text", "above", "below"),
    [
        ("6", "⁶", "₆"),
        ("−5", "⁻⁵", "₋₅"),
        ("n + 1", "ⁿ⁺¹", "ₙ₊₁"),
        ("２", "²", "₂"),
        ("2³", "^(2³)", "_(2³)"),
        ("0.5", "^(0.5)", "_(0.5)"),
        ("最大", "^(最大)", "_(最大)"),
        ("°", "°", "_(°)"),
        (" \n", "", ""),
    ],
)
def test_unicode_s_characters_where_all_of_them_exist(text: str, above: str, below: str) -> None:
    assert (raised(text), lowered(text)) == (above, below)


def test_fractions() -> None:
    assert fractions("3¹/₂ 杯、⁵/₁₇、2⁵/₁₇、x¹/₂、a₁/b₂、¹⁄₂") == "3½ 杯、5/17、2 5/17、x¹/₂、a₁/b₂、½"


@pytest.mark.parametrize("compared", [nfkc, title_key, units, same, bare, _plain])
def test_no_comparison_takes_a_power_for_a_number(compared: object) -> None:
    assert callable(compared)
    assert compared("語は 10⁶ 個") != compared("語は 106 個")
    assert compared("語は １０⁶ 個") == compared("語は 10⁶ 個")
