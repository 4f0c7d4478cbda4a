"""Settings that make training on a CPU faster; measured in docs/cpu-backend.md."""

from typing import Any

import lightning.pytorch as pl
import torch
from nemo.lightning.io.mixin import IOMixin

from nemo_kcpt.models import bf16_linear
from nemo_kcpt.models.sdpa_attention import SdpaAttention

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
        self._weights: bf16_linear.RoundedWeights | None = None

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


def rounds_faster() -> bool:
    """True where bfloat16 products are faster than float32 ones and oneDNN does not take them for "medium" itself."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16")) and not capabilities.get("amx_bf16")


def use_bf16_products(model: torch.nn.Module) -> bf16_linear.RoundedWeights:
    """Has linear layers and :class:`SdpaAttention` of `model` round their operands and results to bfloat16.

    Returns:
        Copies of the weights, to be cleared after each change of weights.
    """
    for module in model.modules():
        if isinstance(module, SdpaAttention):
            module.bf16_products = True
    return bf16_linear.use_in(model)
