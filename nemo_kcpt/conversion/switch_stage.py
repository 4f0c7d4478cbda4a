"""Take a checkpoint's weights from one backend to the other: from NeMo to Megatron-Bridge, or back.

    kcpt convert switch runs/mine/pretrain --to runs/mine/for-bridge
    kcpt convert switch runs/mine/bridge --to runs/mine/for-nemo

The weights are equal bit for bit; RoPE base, scaling, positions, vocabulary rows and origin.json come along. A training
takes the result as restore=, from its first step: what the optimizer knew stays behind. Tensors are read and written
one at a time. The checkpoint appears when it is complete; an interrupted run resumes at the layer it was at. No
backend needs to be installed.
"""

from __future__ import annotations

from nemo_kcpt.checkpoints import switching
from nemo_kcpt.checkpoints.switching import Config as Config


def run(config: Config, redo: bool = False) -> None:
    """Write the checkpoint for the other backend unless it is done."""
    switching.run(config, redo)
