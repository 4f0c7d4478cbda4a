"""A training's own record, as NeMo's trainings write it: one JSON line for each optimizer step."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import IO

import torch
from megatron.bridge.training.callbacks import Callback, CallbackContext

from nemo_kcpt.bridge.forward import LOSS
from nemo_kcpt.files import write_json
from nemo_kcpt.hf.model_shape import shape_from_megatron
from nemo_kcpt.planning.hardware import peak_tflops
from nemo_kcpt.planning.throughput import flops_per_token
from nemo_kcpt.planning.training import SUMMARY, Lora
from nemo_kcpt.processes import peak_memory
from nemo_kcpt.records.files import STEPS
from nemo_kcpt.records.steps import reopen, step_line


class Metrics(Callback):
    """Writes `metrics.jsonl` and, when the last step is done, `training.json` to a folder.

    The last rank does so, as it is one of the last pipeline stage, which alone knows the loss.

    The keys are those of :class:`nemo_kcpt.training.metrics.MetricsFile`.

    Args:
        folder: of the training.
        lora: the adapters that are trained, for the share of the GPUs' peak.
    """

    def __init__(self, folder: Path, lora: Lora | None = None) -> None:
        self.folder = folder
        self._adapters = lora.plan if lora else None
        self._stream: IO[str] | None = None
        self._started = self._last = 0.0
        self._flops = 0.0
        self._peak: float | None = None
        self._validation: float | None = None

    def on_train_start(self, context: CallbackContext) -> None:
        """Open the file where the checkpoint left it."""
        if not _writes():
            return
        self._stream = reopen(self.folder / STEPS.name, context.state.train_state.step)
        self._started = self._last = time.perf_counter()
        model = context.state.cfg.model
        self._flops = flops_per_token(shape_from_megatron(vars(model)), model.seq_length, self._adapters)
        self._peak = peak_tflops(torch.cuda.get_device_name() if torch.cuda.is_available() else "")

    def on_train_step_end(self, context: CallbackContext) -> None:
        """Append the step that has just ended; the Bridge counts it only afterwards."""
        if self._stream is None:
            return
        config, now = context.state.cfg, time.perf_counter()
        step = context.state.train_state.step + 1
        tokens = config.train.global_batch_size * config.model.seq_length
        speed = tokens / (now - self._last)
        used = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else peak_memory()
        losses = {name: float(value) for name, value in (context.loss_dict or {}).items()}
        world = torch.distributed.get_world_size()
        line = step_line(
            step=step,
            max_steps=config.train.train_iters,
            loss=losses.pop(LOSS, None),
            lr=float(context.optimizer.param_groups[0]["lr"]),
            tokens=step * tokens,
            seconds=now - self._started,
            val_loss=self._validation,
            tokens_per_second=speed,
            mfu=speed * self._flops / (self._peak * 1e12 * world) if self._peak else None,
            memory=used,
        )
        self._last = now
        self._stream.write(json.dumps(line | losses) + "\n")
        self._stream.flush()

    def on_eval_end(self, context: CallbackContext) -> None:
        """Keep the validation's loss."""
        loss = (context.total_loss_dict or {}).get(LOSS)
        self._validation = None if loss is None else float(loss)

    def finish(self, step: int, steps: int) -> None:
        """Close the file; if the last step was reached, say so beside it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if step >= steps and _writes():
            write_json(self.folder / SUMMARY, {"steps": step})


def _writes() -> bool:
    """Whether this rank is the last; asked also when Megatron has ended its groups."""
    return int(os.environ.get("RANK", "0")) == int(os.environ.get("WORLD_SIZE", "1")) - 1
