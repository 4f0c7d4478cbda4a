"""Two settings that make training on a CPU faster; measured in docs/cpu-backend.md."""

import lightning.pytorch as pl
import torch
from nemo.lightning.io.mixin import IOMixin


class CpuSpeed(pl.Callback, IOMixin):
    """Where there is no CUDA: matrix products of reduced precision, and AdamW's update in one fused kernel.

    Args:
        matmul_precision: of `torch.set_float32_matmul_precision`; "medium" lets oneDNN round the operands of a matrix
            product to bfloat16 (weights and sums stay float32). Losses agreed to 6e-7 where it was measured.
        fused_optimizer: torch's own update is a loop over parameters, a tenth of a tiny model's step.
    """

    def __init__(self, matmul_precision: str = "medium", fused_optimizer: bool = True) -> None:
        super().__init__()
        self.matmul_precision, self.fused_optimizer = matmul_precision, fused_optimizer

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Apply both."""
        if torch.cuda.is_available():
            return
        torch.set_float32_matmul_precision(self.matmul_precision)
        if self.fused_optimizer:
            for optimizer in trainer.optimizers:
                for group in optimizer.param_groups:
                    group["fused"] = True
