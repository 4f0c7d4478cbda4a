"""The training's own record: one JSON line an optimizer step, for progress displays, loss curves and comparisons."""

import json
import time
from pathlib import Path
from typing import IO, Any, Optional

import lightning.pytorch as pl
import torch
from nemo.lightning.io.mixin import IOMixin

from nemo_kcpt.files import write_json
from nemo_kcpt.hf.model_shape import shape_from_megatron
from nemo_kcpt.planning.hardware import peak_tflops
from nemo_kcpt.planning.throughput import flops_per_token
from nemo_kcpt.planning.training import SUMMARY
from nemo_kcpt.processes import peak_memory
from nemo_kcpt.records.steps import reopen, step_line
from nemo_kcpt.training.lora import lora_of

SHOWN = ("tokens_per_second", "mfu", "memory_gib")
"""Fields that are in NeMo's progress, too."""


class MetricsFile(pl.Callback, IOMixin):
    """Writes a line per step to `path`, on global rank 0, and shows the last three of these in NeMo's progress:
    `step, max_steps, loss, lr, tokens, seconds, val_loss, tokens_per_second, mfu, memory_gib`.

    A training with kl_weight also has `ce` and `kl`, of which its loss is made: nats for each token that bears loss,
    and for each token with a teacher. A mixture of experts has `router_loss`: 1 where its experts get the same share of
    the tokens (:func:`nemo_kcpt.models.router_loss.router_loss`), and `dropped_tokens`: the share of the choices of
    an expert that were dropped, 0 without a capacity factor. `val_loss` is that of the newest validation, or null.
    `mfu` is the share of the GPUs' bf16 peak that the model's FLOPs take (Chowdhery et al. 2022, PaLM, appendix B),
    null on a device whose peak is unknown. `memory_gib` is the peak of this rank so far.

    Args:
        path: the JSON Lines file; made if missing. A resumed training first drops the lines after its checkpoint, so
            that each step is there once.
        every: steps from one line to the next; the last step is always written.
        recipe: its name, which goes into the checkpoints' `origin.json`.

    Give the first two in a recipe: NeMo (lightning/io/mixin.py, `_io_unflatten_object`) takes a saved object with one
    argument for the path of a pickle.
    """

    def __init__(self, path: str, every: int = 1, recipe: str = "") -> None:
        super().__init__()
        self.path, self.every, self.recipe = path, every, recipe
        self._stream: Optional[IO[str]] = None
        self._started = self._last = 0.0
        self._last_step = 0
        self._flops = 0.0
        self._peak: Optional[float] = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the file where the checkpoint left it."""
        if not trainer.is_global_zero:
            return
        self._stream = reopen(Path(self.path), trainer.global_step)
        self._started = self._last = time.perf_counter()
        self._last_step = trainer.global_step
        config: Any = pl_module.config
        peft = lora_of(trainer)
        shape = shape_from_megatron(vars(config))
        self._flops = flops_per_token(shape, config.seq_length, peft.plan if peft else None)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
        self._peak = peak_tflops(device)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Append the step that has just ended."""
        step = trainer.global_step
        parts: dict[str, float] = getattr(pl_module, "loss_parts", dict)()  # by every rank: they send them to the first
        if self._stream is None or (step % self.every and step < trainer.max_steps):
            return
        now = time.perf_counter()
        data: Any = trainer.datamodule
        tokens = data.global_batch_size * data.seq_length
        speed = (step - self._last_step) * tokens / (now - self._last)
        validation = trainer.callback_metrics.get("val_loss")
        used = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_memory()
        line = step_line(
            step=step,
            max_steps=trainer.max_steps,
            loss=float(trainer.callback_metrics["reduced_train_loss"]),
            lr=float(trainer.optimizers[0].param_groups[0]["lr"]),
            tokens=step * tokens,
            seconds=now - self._started,
            val_loss=None if validation is None else float(validation),
            tokens_per_second=speed,
            mfu=speed * self._flops / (self._peak * 1e12 * trainer.world_size) if self._peak else None,
            memory=used,
        )
        for name in SHOWN:
            if line[name] is not None:
                pl_module.log(name, line[name], prog_bar=True, rank_zero_only=True, batch_size=1)
        self._last, self._last_step = now, step
        self._stream.write(json.dumps(line | parts) + "\n")
        self._stream.flush()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the file; if the last step was reached, say so in `training.json` beside it.

        Not in `on_train_end`, which Lightning leaves out when a resumed training had reached its last step before.
        """
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if trainer.is_global_zero and stage == "fit" and trainer.global_step >= trainer.max_steps:
            write_json(Path(self.path).with_name(SUMMARY), {"steps": trainer.global_step})
