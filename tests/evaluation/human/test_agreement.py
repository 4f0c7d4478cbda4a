"""Kappa, alpha and McNemar against published and hand-computed values, and where they are not defined."""

from __future__ import annotations

import pytest

from nemo_kcpt.stats.raters import cohen_kappa, krippendorff_alpha, mcnemar_exact


def _units(*raters: str) -> list[list[str]]:
    """Ratings by unit; a dot is a missing one."""
    return [[value for value in unit if value != "."] for unit in zip(*raters)]


@pytest.mark.parametrize(
    ("raters", "alpha"),
    [
        (("0100000010", "1110010000"), 0.095),  # section A: binary, two observers
        (("aabbdccceDda".lower(), "babbbccceddd"), 0.692),  # section B: nominal, two observers
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),  # section C: missing values
    ],
)
def test_krippendorff_s_own_examples(raters: tuple[str, ...], alpha: float) -> None:
    """Krippendorff 2011, Computing Krippendorff's Alpha-Reliability."""
    assert krippendorff_alpha(_units(*raters)).value == pytest.approx(alpha, abs=5e-4)


def test_alpha_by_hand() -> None:
    # Units 11, 10, 00: coincidences o_01 = o_10 = 1, n_0 = n_1 = 3, n = 6; alpha = 1 - 5 * 2 / (2 * 3 * 3)
    found = krippendorff_alpha([[1, 1], [1, 0], [0, 0], [1]])
    assert found.value == pytest.approx(1 - 5 * 2 / 18) and found.n == 3


def test_where_alpha_is_not_defined() -> None:
    assert krippendorff_alpha([[1], [0], []]).value is None
    assert "no item has ratings of two" in krippendorff_alpha([]).reason
    alike = krippendorff_alpha([[1, 1], [1, 1, 1], [0]])
    assert alike.value is None and alike.n == 2 and "not defined" in alike.reason


def test_cohen_s_kappa() -> None:
    # 20 both yes, 5 and 10 split, 15 both no: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    found = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs])
    assert found.value == pytest.approx(0.4) and found.n == 50
    assert cohen_kappa([1, 0], [0, 1]).value == pytest.approx(-1)
    assert cohen_kappa([1, 1], [1, 0]).value == pytest.approx(0)


def test_where_kappa_is_not_defined() -> None:
    assert cohen_kappa([1, 1], [1, 1]).value is None and cohen_kappa([1, 1], [1, 1]).n == 2
    assert "in common" in cohen_kappa([], []).reason
    with pytest.raises(ValueError, match="differ in number"):
        cohen_kappa([1], [])


@pytest.mark.parametrize(
    ("first", "second", "p"), [(0, 0, 1.0), (1, 9, 22 / 1024), (9, 1, 22 / 1024), (5, 5, 1.0), (0, 6, 2 / 64)]
)
def test_mcnemar(first: int, second: int, p: float) -> None:
    assert mcnemar_exact(first, second) == pytest.approx(p)
