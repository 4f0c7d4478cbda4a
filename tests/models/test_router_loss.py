"""What Megatron's routers keep of a step, against the formula written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nemo_kcpt.hf.megatron_options import config_options
from nemo_kcpt.hf.model_shape import shape_from_hf
from nemo_kcpt.models.forward import llama_forward_step
from nemo_kcpt.models.llama import KcptLlamaConfig
from nemo_kcpt.models.router_loss import router_loss
from tests.conversion.hf_models import MOE, SIZES

pytestmark = pytest.mark.usefixtures("one_rank")
EXPERTS, CHOSEN, LAYERS = MOE["num_experts"], MOE["num_experts_per_tok"], SIZES["num_hidden_layers"]


def model(coefficient: float = 0.01, **options: Any) -> torch.nn.Module:
    shape = shape_from_hf({**SIZES, **MOE, "router_aux_loss_coef": coefficient})
    torch.manual_seed(3)
    return KcptLlamaConfig(**config_options(shape, 32, 10_000), **options).configure_model(None).train()


def step(built: torch.nn.Module, batches: int) -> list[torch.Tensor]:
    """Runs so many micro-batches; gives each router's logits (tokens, experts)."""
    logits: list[torch.Tensor] = []

    def keep(router: torch.nn.Module, given: tuple[torch.Tensor]) -> None:
        logits.append((given[0].flatten(0, 1) @ router.weight.T).detach())

    hooks = [layer.mlp.router.register_forward_pre_hook(keep) for layer in built.decoder.layers]
    for seed in range(batches):
        tokens = torch.randint(0, 203, (2, 32), generator=torch.Generator().manual_seed(seed))
        positions = torch.arange(32).expand_as(tokens)
        llama_forward_step(built, {"tokens": tokens, "position_ids": positions, "labels": tokens}).sum().backward()
    for hook in hooks:
        hook.remove()
    return logits


def written_out(logits: torch.Tensor) -> torch.Tensor:
    choices = torch.zeros(EXPERTS)
    for row in logits:
        for expert in row.argsort(descending=True)[:CHOSEN]:
            choices[expert] += 1 / (len(logits) * CHOSEN)
    return EXPERTS * (choices * logits.softmax(-1).mean(0)).sum()


def test_it_is_the_mean_over_layers_and_micro_batches_and_starts_again_with_each_step() -> None:
    built = model()
    for batches in (2, 1):
        logits = step(built, batches)
        found = router_loss(LAYERS, batches)["router_loss"]
        assert len(logits) == LAYERS * batches
        assert found == pytest.approx(float(torch.stack([written_out(one) for one in logits]).mean()), rel=1e-5)
        assert 0.9 < found < EXPERTS / CHOSEN
    assert router_loss(LAYERS, 1)["router_loss"] == 0


def test_its_gradient_is_that_of_the_coefficient() -> None:
    """Twice the coefficient, all else equal, gives twice the difference."""
    found = []
    for coefficient in (0.0, 0.5, 1.0):
        built = model(coefficient)
        step(built, 1)
        found.append(built.decoder.layers[-1].mlp.router.weight.grad.clone())
    assert (found[1] - found[0]).abs().max() > 1e-4
    torch.testing.assert_close(2 * (found[1] - found[0]), found[2] - found[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("recompute", [{}, {"granularity": "full", "method": "uniform", "num_layers": 1}])
def test_choices_beyond_an_experts_room_are_counted(padded: bool, recompute: dict[str, Any]) -> None:
    """Of 64 tokens with two choices each an expert takes half its even share of the 128: 11 (rounded up) of 21.3."""
    again = {f"recompute_{name}": value for name, value in recompute.items()}
    built = model(moe_expert_capacity_factor=0.5, moe_pad_expert_input_to_capacity=padded, **again)
    for batches in (2, 1):
        lost = 0
        for logits in step(built, batches):
            chosen = logits.topk(CHOSEN).indices.flatten().bincount(minlength=EXPERTS)
            lost += int((chosen - 11).clamp(min=0).sum())
        found = built.dropped_tokens.share()
        times = 2 if recompute else 1  # the hooks see each forward pass
        assert found == pytest.approx(lost / (batches * LAYERS * 64 * CHOSEN * times))
        assert found > 0.4
    with torch.no_grad():
        step_without_training(built)
    assert built.dropped_tokens.share() == 0


def test_no_token_is_dropped_unless_experts_have_a_capacity() -> None:
    assert model().dropped_tokens is None


def step_without_training(built: torch.nn.Module) -> None:
    tokens = torch.randint(0, 203, (1, 32))
    positions = torch.arange(32).expand_as(tokens)
    llama_forward_step(built.eval(), {"tokens": tokens, "position_ids": positions, "labels": tokens})
