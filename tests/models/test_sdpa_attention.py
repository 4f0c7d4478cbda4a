"""SdpaAttention against Megatron's DotProductAttention."""

from __future__ import annotations

import pytest
import torch
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.transformer.dot_product_attention import DotProductAttention
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.transformer_config import TransformerConfig

from nemo_kcpt.models.sdpa_attention import SdpaAttention

SEQUENCE, BATCH, HEADS, HEAD_SIZE = 48, 2, 6, 16
TOLERANCE = 1e-5

pytestmark = pytest.mark.usefixtures("one_rank")


def make_config(groups: int, **options: object) -> TransformerConfig:
    return TransformerConfig(
        num_layers=1,
        hidden_size=HEADS * HEAD_SIZE,
        num_attention_heads=HEADS,
        num_query_groups=groups,
        kv_channels=HEAD_SIZE,
        **{"attention_dropout": 0.0, **options},
    )


def make_inputs(groups: int, batch: int = BATCH) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(SEQUENCE, batch, heads, HEAD_SIZE) for heads in (HEADS, groups, groups)]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def causal_mask(borders: list[int]) -> torch.Tensor:
    """True where attention is forbidden: later tokens, and other documents."""
    document = torch.bucketize(torch.arange(borders[-1]), torch.tensor(borders[1:-1]), right=True)
    later = torch.ones(borders[-1], borders[-1], dtype=torch.bool).triu(1)
    return (later | (document[:, None] != document[None, :]))[None, None]


def output_and_gradients(attention: torch.nn.Module, inputs: list[torch.Tensor], *args: object, **kwargs: object):
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    output = attention(*leaves, *args, **kwargs)
    weights = torch.randn(output.numel(), generator=torch.Generator().manual_seed(1)).view_as(output)
    (output * weights).sum().backward()
    return [output, *(leaf.grad for leaf in leaves)]


def build(kind: type, config: TransformerConfig) -> torch.nn.Module:
    return kind(config, layer_number=1, attn_mask_type=AttnMaskType.causal, attention_type="self")


@pytest.mark.parametrize("groups", [HEADS, 2, 1], ids=["multi-head", "grouped", "multi-query"])
def test_causal_attention_equals_megatrons(groups: int) -> None:
    config, inputs = make_config(groups), make_inputs(groups)
    ours = output_and_gradients(build(SdpaAttention, config), inputs, None)
    theirs = output_and_gradients(build(DotProductAttention, config), inputs, causal_mask([0, SEQUENCE]))
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        assert (mine - expected).abs().max() < TOLERANCE


@pytest.mark.parametrize("groups", [HEADS, 2], ids=["multi-head", "grouped"])
@pytest.mark.parametrize("borders", [[0, SEQUENCE], [0, 1, 17, SEQUENCE], [0, 20, 20, SEQUENCE]])
def test_packed_attention_equals_megatrons_with_a_block_diagonal_mask(groups: int, borders: list[int]) -> None:
    config, inputs = make_config(groups), make_inputs(groups, batch=1)
    packed = PackedSeqParams(qkv_format="thd", cu_seqlens_q=torch.tensor(borders, dtype=torch.int32))
    ours = output_and_gradients(
        build(SdpaAttention, config), [t.squeeze(1) for t in inputs], None, packed_seq_params=packed
    )
    theirs = output_and_gradients(build(DotProductAttention, config), inputs, causal_mask(borders))
    for mine, expected in zip(ours, theirs, strict=True):
        assert (mine - expected.squeeze(1)).abs().max() < TOLERANCE


@pytest.mark.parametrize("window", [1, 5, 31, SEQUENCE, 2 * SEQUENCE])
@pytest.mark.parametrize("borders", [None, [0, 17, 18, SEQUENCE]], ids=["plain", "packed"])
def test_a_sliding_window_hides_what_is_further_back(borders: list[int] | None, window: int) -> None:
    """`window` tokens are seen, as transformers counts them: the token itself and those before it."""
    config, inputs = make_config(2, window_size=(window - 1, 0)), make_inputs(2, batch=1)
    places = torch.arange(SEQUENCE)
    hidden = causal_mask(borders or [0, SEQUENCE]) | (places[:, None] - places >= window)
    if borders is None:
        ours = output_and_gradients(build(SdpaAttention, config), inputs, None)
    else:
        packed = PackedSeqParams(qkv_format="thd", cu_seqlens_q=torch.tensor(borders, dtype=torch.int32))
        flat = [tensor.squeeze(1) for tensor in inputs]
        ours = output_and_gradients(build(SdpaAttention, config), flat, None, packed_seq_params=packed)
    theirs = output_and_gradients(build(DotProductAttention, make_config(2)), inputs, hidden)
    for mine, expected in zip(ours, theirs, strict=True):
        assert (mine - expected.view_as(mine)).abs().max() < TOLERANCE


@pytest.mark.parametrize("borders", [[0, 20], [1, SEQUENCE], [0, 30, 20, SEQUENCE]])
def test_borders_that_do_not_cover_the_window_are_refused(borders: list[int]) -> None:
    inputs = [tensor.squeeze(1) for tensor in make_inputs(2, batch=1)]
    packed = PackedSeqParams(cu_seqlens_q=torch.tensor(borders, dtype=torch.int32))
    with pytest.raises(ValueError, match="cu_seqlens must rise from 0 to the 48 tokens"):
        build(SdpaAttention, make_config(2))(*inputs, None, packed_seq_params=packed)


def test_a_real_mask_is_refused_and_not_ignored() -> None:
    with pytest.raises(ValueError, match="would ignore an attention mask"):
        build(SdpaAttention, make_config(2))(*make_inputs(2), causal_mask([0, SEQUENCE]))


@pytest.mark.parametrize(
    ("option", "value"),
    [("attention_dropout", 0.1), ("a window that looks ahead", (8, 8)), ("softmax_type", "off-by-one")],
)
def test_unsupported_options_are_refused_by_name(option: str, value: object) -> None:
    field = "window_size" if "window" in option else option
    with pytest.raises(ValueError, match=f"SdpaAttention does not do: {option}"):
        build(SdpaAttention, make_config(2, **{field: value}))


def test_query_key_layer_scaling_divides_by_the_layer() -> None:
    config = make_config(2, apply_query_key_layer_scaling=True)
    scales = [SdpaAttention(config, n, AttnMaskType.causal, "self").softmax_scale for n in (1, 4)]
    assert scales[0] == pytest.approx(4 * scales[1])
