"""The RoPE base for a sequence length: the one place where it is decided."""

from __future__ import annotations

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape

LLAMA_3_BASE = 500_000
"""Xiong et al. 2023, Effective Long-Context Scaling of Foundation Models, §2.1; The Llama 3 Herd of Models, §3.4."""


def ntk_base(shape: ModelShape, seq_length: int) -> int:
    """NTK-aware base: base · s^(d/(d-2)), with s = seq_length / positions and d the head size, to a whole number.

    The lowest frequency is then stretched by exactly s and the highest stays (bloc97 2023, NTK-Aware Scaled RoPE;
    Peng et al. 2023, YaRN, §3.1).
    """
    scale, size = seq_length / shape.positions, shape.kv_channels
    return round(shape.rotary_base * scale ** (size / (size - 2)))


def rotary_base(shape: ModelShape, seq_length: int, choice: str = "auto") -> float:
    """The RoPE base to train `shape` with at `seq_length` tokens.

    Args:
        shape: the model as it comes: its base, and the positions that it was trained for.
        seq_length: tokens of a window.
        choice: "auto": the model's own base up to its own positions, above them Llama 3's 500,000, or the model's own
            if that is higher; "ntk": above them :func:`ntk_base`; or a number.

    Raises:
        BadInput: none of these, or a number that leaves positions beyond the model's own without an extension.
    """
    within = seq_length <= shape.positions
    if choice == "auto":
        return shape.rotary_base if within else max(LLAMA_3_BASE, shape.rotary_base)
    if choice == "ntk":
        return shape.rotary_base if within else ntk_base(shape, seq_length)
    try:
        given = float(choice)
    except ValueError:
        raise BadInput(f"rope: '{choice}' is not one of auto, ntk or a number such as 500000") from None
    if not given > 1:
        raise BadInput(f"rope: {choice} is no RoPE base; a number above 1 is needed, such as 500000")
    check_positions(seq_length, given, shape.positions, shape.rotary_base)
    return int(given) if given.is_integer() else given


def reason(shape: ModelShape, seq_length: int, base: float) -> str:
    """Why windows of `seq_length` tokens are trained with this RoPE base, in a sentence."""
    own, windows = shape.rotary_base, f"windows of {seq_length:,} tokens"
    trained = f"the {shape.positions:,} positions that the model was trained for"
    if base == own:
        return f"RoPE base {own:g} stays the model's own: {windows} are within {trained}"
    if seq_length > shape.positions:
        return f"RoPE base {base:g} instead of the model's {own:g}: {windows} go beyond {trained}"
    return f"RoPE base {base:g} as given, instead of the model's {own:g}, though {windows} are within {trained}"


def check_positions(seq_length: int, base: float, positions: int, own_base: float) -> None:
    """Refuse windows beyond the positions that a model was trained for with its own RoPE base.

    Raises:
        BadInput: `seq_length` is more than `positions` and `base` no more than `own_base`.
    """
    if seq_length > positions and base <= own_base:
        raise BadInput(
            f"windows of {seq_length} tokens go beyond the {positions} positions that the model was trained for with "
            f"RoPE base {own_base:g}, and {base:g} does not extend it; give rope=auto (500000), rope=ntk or a higher "
            "number (model.config.rotary_base when overriding)"
        )
