"""Settings that make training on a CPU faster, as :class:`nemo_kcpt.training.cpu_speed.CpuSpeed` has them for NeMo."""

from __future__ import annotations

import torch
from megatron.bridge.training.callbacks import Callback, CallbackContext

from nemo_kcpt.models.bf16_linear import RoundedWeights
from nemo_kcpt.models.bf16_products import rounds_faster, use_bf16_products


class CpuSpeed(Callback):
    """Where there is no CUDA: matrix products of reduced precision, and AdamW's update in one fused kernel.

    Args:
        rounded: round the operands of linear layers and attention to bfloat16 where the processor is faster then.
    """

    def __init__(self, rounded: bool) -> None:
        self._rounded = rounded
        self._weights: list[RoundedWeights] = []

    def on_train_start(self, context: CallbackContext) -> None:
        """Apply them."""
        if torch.cuda.is_available():
            return
        torch.set_float32_matmul_precision("medium")
        for group in context.optimizer.param_groups:
            group["fused"] = True
        if self._rounded and rounds_faster():
            self._weights = [use_bf16_products(chunk) for chunk in context.model]

    def on_train_step_start(self, context: CallbackContext) -> None:
        """Weights have changed."""
        self._forget()

    def on_eval_start(self, context: CallbackContext) -> None:
        """Weights have changed."""
        self._forget()

    def _forget(self) -> None:
        for weights in self._weights:
            weights.clear()
