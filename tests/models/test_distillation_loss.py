"""The distilled loss against its formula in float64, its gradient, and what k, temperature and weights change."""

from __future__ import annotations

import pytest
import torch

from nemo_kcpt.models.distillation_loss import Weights, distillation_loss
from nemo_kcpt.models.z_loss import cross_entropy_with_z_loss

ROWS, ENTRIES, K = 7, 23, 5

pytestmark = pytest.mark.usefixtures("one_rank")


def example(k: int = K, temperature: float = 1.0) -> tuple[torch.Tensor, ...]:
    """Logits, labels, and a teacher's top k of a full distribution; the last row has none."""
    generator = torch.Generator().manual_seed(3)
    logits, theirs = (3 * torch.randn(ROWS, ENTRIES, generator=generator) for _ in range(2))
    full = (theirs / temperature).softmax(-1)
    top, ids = full.topk(k, -1)
    probabilities = torch.cat([top, 1 - top.sum(-1, keepdim=True)], -1)
    probabilities[-1] = 0
    labels = torch.randint(ENTRIES, (ROWS,), generator=generator)
    labels[0] = ids[0, 1]  # a label among the teacher's tokens
    return logits, labels, ids.int(), probabilities, full


def formula(logits: torch.Tensor, labels: torch.Tensor, ids: torch.Tensor, p: torch.Tensor, w: Weights) -> torch.Tensor:
    """As the module's docstring has it, by autograd."""
    log_z = logits.logsumexp(-1)
    ce = log_z - logits[torch.arange(len(labels)), labels]
    q = (logits / w.temperature).softmax(-1)
    kept = q.gather(-1, ids.long())
    q = torch.cat([kept, 1 - kept.sum(-1, keepdim=True)], -1)
    kl = (torch.special.xlogy(p, p) - p * q.log()).sum(-1)
    return w.ce * ce + w.kl * w.temperature**2 * kl + w.z_loss * log_z**2


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize(("ce", "kl", "z_loss"), [(1.0, 0.7, 0.0), (0.0, 1.0, 0.0), (0.5, 2.0, 0.01), (1.0, 0.0, 0.0)])
def test_loss_and_gradient_are_the_formulas(temperature: float, ce: float, kl: float, z_loss: float) -> None:
    weights = Weights(ce=ce, kl=kl, temperature=temperature, z_loss=z_loss)
    logits, labels, ids, p, _ = example(temperature=temperature)
    exact = logits.double().requires_grad_()
    expected = formula(exact, labels, ids, p.double(), weights)
    found_at = logits.clone().requires_grad_()
    found, parts = distillation_loss(found_at * 1.0, labels, ids, p, weights)
    assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-5)
    mask = torch.arange(ROWS).double()  # another weight for each row
    (expected * mask).sum().backward()
    (found * mask).sum().backward()
    assert torch.allclose(found_at.grad.double(), exact.grad, rtol=1e-4, atol=1e-5)
    assert parts[:, 2].tolist() == [1.0] * (ROWS - 1) + [0.0]
    whole = ce * parts[:, 0] + kl * temperature**2 * parts[:, 1] + z_loss_of(logits, z_loss)
    assert torch.allclose(whole, found, atol=1e-4)


def z_loss_of(logits: torch.Tensor, coefficient: float) -> torch.Tensor:
    return coefficient * logits.logsumexp(-1) ** 2


def test_without_kl_it_is_the_cross_entropy_with_z_loss() -> None:
    logits, labels, ids, p, _ = example()
    found, _ = distillation_loss(logits.clone(), labels, ids, p, Weights(ce=1.0, kl=0.0, temperature=1.0, z_loss=0.01))
    expected = cross_entropy_with_z_loss(logits.clone().unsqueeze(1), labels.unsqueeze(0), 0.01)
    assert torch.allclose(found, expected[0], rtol=1e-5)


def test_the_kl_is_that_of_the_full_distributions_with_every_token_and_never_more() -> None:
    logits, labels, _, _, full = example()
    q = logits.double().log_softmax(-1)
    exact = (full.double() * (full.double().log() - q)).sum(-1)
    before = torch.zeros(ROWS)
    weights = Weights(ce=0.0, kl=1.0, temperature=1.0, z_loss=0.0)
    for k in (1, 2, 4, 8, 16, ENTRIES - 1):
        top, ids = full.topk(k, -1)
        p = torch.cat([top, 1 - top.sum(-1, keepdim=True)], -1)
        found, _ = distillation_loss(logits.clone(), labels, ids, p, weights)
        assert (found >= before - 1e-5).all() and (found <= exact + 1e-4).all()
        before = found
    assert torch.allclose(before.double(), exact, atol=1e-4)


def test_a_student_that_is_the_teacher_has_no_kl_and_no_gradient() -> None:
    _, labels, ids, p, full = example()
    logits = full.log().requires_grad_()
    weights = Weights(ce=0.0, kl=1.0, temperature=1.0, z_loss=0.0)
    found, _ = distillation_loss(logits * 1.0, labels, ids, p, weights)
    found.sum().backward()
    assert found.abs().max() < 1e-5 and logits.grad.abs().max() < 1e-6


def test_a_student_that_is_sure_of_the_wrong_token_gets_a_finite_gradient() -> None:
    """The mass of all others is below what float32 can hold beside the largest."""
    _, labels, ids, p, _ = example()
    logits = torch.full((ROWS, ENTRIES), -200.0)
    logits[torch.arange(ROWS), ids[:, 0].long()] = 0.0
    logits.requires_grad_()
    weights = Weights(ce=1.0, kl=1.0, temperature=1.0, z_loss=0.0)
    found, _ = distillation_loss(logits * 1.0, labels, ids, p, weights)
    found.sum().backward()
    assert found.isfinite().all() and logits.grad.isfinite().all() and logits.grad.abs().max() < 3
