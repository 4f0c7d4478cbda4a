"""How many optimizer steps a pack gives."""

from __future__ import annotations

import math

from nemo_kcpt.errors import BadInput


def steps_for(windows: int, epochs: float, global_batch_size: int) -> int:
    """Optimizer steps that read `windows` windows `epochs` times, rounded up to an even number.

    The last batch is filled from the next epoch; an even number lets one interval give a checkpoint at the middle and
    one at the end.

    Raises:
        BadInput: `epochs` is not positive.
    """
    if epochs <= 0:
        raise BadInput(f"epochs: {epochs} was given; a positive number is needed")
    return 2 * math.ceil(windows * epochs / global_batch_size / 2)
