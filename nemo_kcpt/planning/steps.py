"""How many optimizer steps a pack gives, and how many windows a step reads."""

from __future__ import annotations

import math

from nemo_kcpt.errors import BadInput

TOKENS_PER_STEP = 128 * 4096
"""The method's: 128 windows of 4,096 tokens, and at other lengths as many windows as hold as many tokens."""
TUNING_BATCH = 64
"""Windows of a step of instruction tuning; llm-jp's tuning of the family took 64 samples (the method, §4)."""


def windows_per_step(seq_length: int, tokens_per_step: int = TOKENS_PER_STEP) -> int:
    """Global batch: windows of `seq_length` tokens that make one optimizer step (512 at 1,024 to 32 at 16,384)."""
    return max(1, tokens_per_step // seq_length)


def steps_for(tokens: int, epochs: float, tokens_per_step: int) -> int:
    """Optimizer steps that read a pack `epochs` times, rounded up to an even number.

    The rule where the windows do not divide by the global batch: the last step is filled from the next epoch. An even
    number lets one interval give a checkpoint at the middle and one at the end.

    Args:
        tokens: of the pack, as :attr:`nemo_kcpt.records.packs.PackInfo.step_tokens` counts them.
        epochs: passes over it.
        tokens_per_step: of one global batch.

    Raises:
        BadInput: `epochs` is not positive.
    """
    if not epochs > 0:
        raise BadInput(f"epochs: {epochs} was given; a positive number is needed")
    return 2 * math.ceil(tokens * epochs / tokens_per_step / 2)
