"""The training's own record: one JSON line an optimizer step, for progress displays, loss curves and comparisons."""

import json
import time
from pathlib import Path
from typing import IO, Any, Optional

import lightning.pytorch as pl
from nemo.lightning.io.mixin import IOMixin

from nemo_kcpt.files import read_jsonl, write_json, write_jsonl

METRICS, SUMMARY = "metrics.jsonl", "training.json"


class MetricsFile(pl.Callback, IOMixin):
    """Writes `step, max_steps, loss, lr, tokens, tokens_per_second, seconds` to `path`, on global rank 0.

    Args:
        path: the JSON Lines file; made if missing. A resumed training first drops the lines after its checkpoint, so
            that each step stands there once.
        every: write each so many steps; the last step is always written.

    Give both arguments in a recipe: NeMo (lightning/io/mixin.py, `_io_unflatten_object`) takes a saved object with one
    argument for the path of a pickle.
    """

    def __init__(self, path: str, every: int = 1) -> None:
        super().__init__()
        self.path, self.every = path, every
        self._stream: Optional[IO[str]] = None
        self._started = self._last = 0.0
        self._last_step = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the file where the checkpoint left it."""
        if not trainer.is_global_zero:
            return
        path = Path(self.path)
        kept = [line for line in read_jsonl(path) if line["step"] <= trainer.global_step] if path.is_file() else []
        write_jsonl(path, kept)
        self._stream = path.open("a", encoding="utf-8")
        self._started = self._last = time.perf_counter()
        self._last_step = trainer.global_step

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Append the step that has just ended."""
        step = trainer.global_step
        if self._stream is None or (step % self.every and step < trainer.max_steps):
            return
        now = time.perf_counter()
        data: Any = trainer.datamodule
        tokens = data.global_batch_size * data.seq_length
        line = {
            "step": step,
            "max_steps": trainer.max_steps,
            "loss": float(trainer.callback_metrics["reduced_train_loss"]),
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
            "tokens": step * tokens,
            "tokens_per_second": round((step - self._last_step) * tokens / (now - self._last), 1),
            "seconds": round(now - self._started, 3),
        }
        self._last, self._last_step = now, step
        self._stream.write(json.dumps(line) + "\n")
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
