"""Settings that make training on a CPU faster; measured in docs/cpu-backend.md."""

from typing import Any

import lightning.pytorch as pl
import torch
from nemo.lightning.io.mixin import IOMixin

from nemo_kcpt.models.bf16_linear import RoundedWeights
from nemo_kcpt.models.bf16_products import rounds_faster, use_bf16_products

PRODUCTS = ("float32", "bfloat16", "auto")


class CpuSpeed(pl.Callback, IOMixin):
    """Where there is no CUDA: matrix products of reduced precision, and AdamW's update in one fused kernel.

    Args:
        matmul_precision: of `torch.set_float32_matmul_precision`; "medium" lets oneDNN round the operands of a matrix
            product to bfloat16 (weights and sums stay float32). Losses agreed to 6e-7 where it was measured.
        fused_optimizer: torch's own update is a loop over parameters, a tenth of a tiny model's step.
        products: "bfloat16" rounds the operands and results of linear layers and attention to bfloat16 itself (sums,
            weights, gradients and optimizer stay float32); "float32" does not; "auto" does so where the processor has
            AVX512-BF16 and no AMX, for there "medium" does nothing.

    Raises:
        ValueError: for other `products`.
    """

    def __init__(
        self, matmul_precision: str = "medium", fused_optimizer: bool = True, products: str = "float32"
    ) -> None:
        super().__init__()
        if products not in PRODUCTS:
            raise ValueError(f"products: {products!r} is none of {', '.join(PRODUCTS)}")
        self.matmul_precision, self.fused_optimizer, self.products = matmul_precision, fused_optimizer, products
        self._weights: RoundedWeights | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply them."""
        if torch.cuda.is_available():
            return
        torch.set_float32_matmul_precision(self.matmul_precision)
        if self.fused_optimizer:
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["fused"] = True
        if self.products == "bfloat16" or (self.products == "auto" and rounds_faster()):
            self._weights = use_bf16_products(trainer.model)

    def on_train_batch_start(self, *_: Any) -> None:
        """Before each step, and below before each validation: weights have changed."""
        self._forget()

    def on_validation_start(self, *_: Any) -> None:
        """Weights have changed."""
        self._forget()

    def _forget(self) -> None:
        if self._weights is not None:
            self._weights.clear()
