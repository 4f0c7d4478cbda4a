"""Products of bfloat16 operands: close to float32, forward and backward, and never with weights of yesterday."""

from __future__ import annotations

import pytest
import torch
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.tensor_parallel.layers import ColumnParallelLinear, RowParallelLinear
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.transformer_config import TransformerConfig
from torch.nn.functional import scaled_dot_product_attention

from nemo_kcpt.models import bf16_attention, bf16_linear
from nemo_kcpt.models.sdpa_attention import SdpaAttention

TOLERANCE = 2**-7
"""Of the norm; each of the two operands and the result is rounded by at most 2^-9."""

pytestmark = pytest.mark.usefixtures("one_rank")


def assert_close(found: torch.Tensor | None, expected: torch.Tensor | None) -> None:
    assert found is not None and expected is not None
    assert found.dtype == torch.float32 and found.shape == expected.shape
    assert (found - expected).norm() < TOLERANCE * expected.norm()


def made(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def results(function, *inputs: torch.Tensor) -> list[torch.Tensor | None]:
    """What the function gives, and the gradients of its inputs."""
    inputs = tuple(tensor.detach().clone().requires_grad_() for tensor in inputs)
    output = function(*inputs)
    (output * made(*output.shape, seed=9).detach()).sum().backward()
    return [output.detach(), *(tensor.grad for tensor in inputs)]


@pytest.mark.parametrize("large", [2**24, 10], ids=["whole", "in parts"])
def test_linear_agrees_with_float32(large: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bf16_linear, "LARGE", large)
    x, weight = made(150, 2, 64, seed=1), made(96, 64, seed=2)
    found = results(lambda x, weight: bf16_linear.linear(x, weight, weight.detach().bfloat16()), x, weight)
    for ours, expected in zip(found, results(torch.nn.functional.linear, x, weight), strict=True):
        assert_close(ours, expected)


def test_an_expert_without_tokens_computes_nothing() -> None:
    x, weight = made(0, 64, seed=1), made(96, 64, seed=2)
    output, for_x, for_weight = results(
        lambda x, weight: bf16_linear.linear(x, weight, weight.detach().bfloat16()), x, weight
    )
    assert output.shape == (0, 96) and for_x.shape == x.shape and not for_weight.any()


def test_parts_are_the_whole() -> None:
    left, right = made(600, 64, seed=1).detach().bfloat16(), made(64, 2**16, seed=2).detach().bfloat16()
    assert left.size(0) * right.size(1) > bf16_linear.LARGE
    assert_close(bf16_linear.product(left, right), (left.float() @ right.float()))


@pytest.mark.parametrize("length", [5, 128, 300])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_attention_agrees_with_float32(length: int, groups: int) -> None:
    inputs = made(2, 6, length, 16, seed=1), made(2, groups, length, 16, seed=2), made(2, groups, length, 16, seed=3)

    def reference(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return scaled_dot_product_attention(query, key, value, is_causal=True, scale=0.3, enable_gqa=True)

    found = results(lambda *tensors: bf16_attention.causal_attention(*tensors, 0.3), *inputs)
    for ours, expected in zip(found, results(reference, *inputs), strict=True):
        assert (ours - expected).norm() < 2 * TOLERANCE * expected.norm()  # products of products


def config() -> TransformerConfig:
    return TransformerConfig(num_layers=1, hidden_size=32, num_attention_heads=2, use_cpu_initialization=True)


def layers() -> torch.nn.Sequential:
    torch.manual_seed(0)
    options = {"config": config(), "init_method": torch.nn.init.xavier_normal_, "skip_bias_add": False}
    return torch.nn.Sequential(
        ColumnParallelLinear(32, 64, bias=True, gather_output=False, **options),
        RowParallelLinear(64, 32, bias=True, input_is_parallel=True, **options),
    )


def through(model: torch.nn.Sequential, x: torch.Tensor) -> torch.Tensor:
    return model[1](model[0](x)[0])[0]


def test_layers_of_megatron_take_them() -> None:
    x, model = made(8, 2, 32, seed=3), layers()
    before = through(model, x)
    before.sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    bf16_linear.use_in(model)
    after = through(model, x)
    after.sum().backward()
    assert not torch.equal(before, after)
    assert_close(after, before)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert_close(parameter.grad, gradient)


def test_an_optimizer_step_renews_the_copies() -> None:
    x, model = made(8, 2, 32, seed=3).detach(), layers()
    weights = bf16_linear.use_in(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        through(model, x).square().sum().backward()
        optimizer.step()  # not fused: it changes the version
        optimizer.zero_grad()
        fresh = layers()
        fresh.load_state_dict(model.state_dict())
        bf16_linear.use_in(fresh)
        assert torch.equal(through(model, x), through(fresh, x))
    copy = weights.of(model[0].weight)
    assert weights.of(model[0].weight) is copy
    model[0].weight.data.view(-1)[:] = 1.0  # as the distributed optimizer writes: no version tells of it
    weights.clear()
    assert torch.equal(weights.of(model[0].weight), torch.ones(64, 32, dtype=torch.bfloat16))


def test_fusions_of_cuda_are_refused() -> None:
    model = layers()
    bf16_linear.use_in(model)
    model[0].gradient_accumulation_fusion = True
    with pytest.raises(ValueError, match="gradient_accumulation_fusion"):
        through(model, made(4, 1, 32, seed=1))


def test_packed_documents_are_apart() -> None:
    attention = SdpaAttention(
        TransformerConfig(num_layers=1, hidden_size=32, num_attention_heads=2, attention_dropout=0.0),
        1,
        AttnMaskType.causal,
        "self",
    )
    inputs = [made(300, 2, 16, seed=seed).detach() for seed in (1, 2, 3)]
    borders = torch.tensor([0, 7, 170, 300], dtype=torch.int32)
    packed = PackedSeqParams(qkv_format="thd", cu_seqlens_q=borders, cu_seqlens_kv=borders)
    before = attention(*inputs, None, packed_seq_params=packed)
    attention.bf16_products = True
    after = attention(*inputs, None, packed_seq_params=packed)
    assert not torch.equal(before, after)
    assert (after - before).norm() < 2 * TOLERANCE * before.norm()
