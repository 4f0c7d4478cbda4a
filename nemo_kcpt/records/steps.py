"""A training's metrics.jsonl, one line for each optimizer step: its last line, and how a resumed training opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

from nemo_kcpt.files import write_jsonl
from nemo_kcpt.records.files import STEPS

LONGEST_LINE = 2048
"""Bytes of a line at most."""


def reopen(path: Path, step: int) -> IO[str]:
    """The file, made if missing, for the lines after `step`; those after it, of a killed training, are dropped."""
    kept = [line for line in STEPS.read(path) if line["step"] <= step] if path.is_file() else []
    write_jsonl(path, kept)
    return path.open("a", encoding="utf-8")


def step_line(
    *,
    step: int,
    max_steps: int,
    loss: float | None,
    lr: float,
    tokens: int,
    seconds: float,
    val_loss: float | None,
    tokens_per_second: float,
    mfu: float | None,
    memory: int,
) -> dict[str, Any]:
    """The fields that every line has, in their order.

    Args:
        step: that has ended, from 1.
        max_steps: of the training.
        loss: of the step; None if this rank does not know it.
        lr: learning rate.
        tokens: trained on so far.
        seconds: since this process began to train.
        val_loss: of the newest validation.
        tokens_per_second: since the line before.
        mfu: share of the GPUs' peak, None where that is not known.
        memory: bytes, the peak so far.
    """
    return {
        "step": step,
        "max_steps": max_steps,
        "loss": loss,
        "lr": lr,
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "val_loss": val_loss,
        "tokens_per_second": round(tokens_per_second, 1),
        "mfu": None if mfu is None else round(mfu, 4),
        "memory_gib": round(memory / 2**30, 2),
    }


def last_step(path: Path) -> dict[str, Any] | None:
    """The last whole line; None before there is one."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - LONGEST_LINE))
        lines = stream.read().split(b"\n")[:-1]
    try:
        record: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
    return record
