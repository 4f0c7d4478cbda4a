"""The recipes of `kcpt train`, with NeMo or Megatron-Bridge, and of `nemo llm`: model, length, layout, memory, steps.

Layouts are the planner's for one node and for two; of kcpt_model they depend on the model: kcpt recipes
folder=FOLDER.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.catalogue import FINETUNE, RECIPES, Entry
from nemo_kcpt.planning.hardware import Cluster, known_gpu
from nemo_kcpt.planning.layouts import fitting
from nemo_kcpt.planning.steps import TOKENS_PER_STEP, TUNING_BATCH, steps_for, windows_per_step
from nemo_kcpt.records.packs import read_info

WIDTH = 160
"""Columns that the table needs."""
FORMATS = ("table", "markdown", "json")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt recipes`."""

    gpu: str = "h100-80gb"
    """GPU to plan for; see kcpt plan."""
    gpus: int = 8
    """GPUs of a node."""
    pack: Path | None = None
    """Folder of `kcpt pack`: steps are its own, for the recipes of its length."""
    tokens: float = 1e9
    """Tokens to train on without pack=; steps are those of 2 epochs (1 for tuning)."""
    folder: Path | None = None
    """Hugging Face folder of the model of kcpt_model and kcpt_sft_model."""
    format: str = "table"
    """table, markdown or json."""


def tuning_fixed(micro_batch_size: int | None = None) -> dict[str, Any]:
    """What tuning holds fixed: attention that stops between samples does not go with context parallelism."""
    return {"context_parallel": 1, "micro_batch_size": micro_batch_size or 1}


def _planned(entry: Entry, seq_length: int, folder: Path | None, cluster: Cluster) -> tuple[str, str]:
    shape = entry.shape(None if folder is None else str(folder))
    if not entry.on_gpus or shape is None:
        return "", ""
    tuning = entry.task == FINETUNE
    batch = TUNING_BATCH if tuning else windows_per_step(seq_length)
    plan = fitting(shape, seq_length, batch, cluster, tuning_fixed() if tuning else None)
    if plan is None or plan.memory is None:
        return "too few", ""
    return plan.layout.name, f"{plan.memory.bytes / 1e9:.0f}"


def rows(config: Config) -> list[dict[str, str]]:
    """A row a recipe."""
    info = read_info(config.pack) if config.pack is not None else None
    clusters = [Cluster(nodes=nodes, gpus_per_node=config.gpus, gpu=known_gpu(config.gpu)) for nodes in (1, 2)]
    table_rows = []
    for entry in RECIPES.values():
        length = entry.seq_length or (info.seq_length if info else 4096)
        if info is not None and info.seq_length != length:
            continue
        one, two = (_planned(entry, length, config.folder, cluster) for cluster in clusters)
        tuning = entry.task == FINETUNE
        a_step = TUNING_BATCH * length if tuning else TOKENS_PER_STEP
        tokens = info.step_tokens if info else round(config.tokens)
        steps = f"{steps_for(tokens, 1.0 if tuning else 2.0, a_step):,}" if entry.on_gpus else ""
        table_rows.append(
            {
                "recipe": entry.name,
                "nemo llm": entry.task,
                "model": entry.model or ("of a folder" if entry.from_folder else "a tiny Llama"),
                "tokens": f"{entry.seq_length:,}" if entry.seq_length else "the pack's",
                f"1 × {config.gpus} GPUs": one[0] or ("the model's" if entry.on_gpus else "CPU"),
                "GB": one[1],
                f"2 × {config.gpus} GPUs": two[0],
                "GB, 2 nodes": two[1],
                "steps": steps,
            }
        )
    return table_rows


def markdown(table_rows: list[dict[str, str]]) -> str:
    """The rows as a Markdown table, recipes as code."""
    lines = ["| " + " | ".join(table_rows[0]) + " |", "|" + " --- |" * len(table_rows[0])]
    for row in table_rows:
        cells = [f"`{value}`" if key == "recipe" else value for key, value in row.items()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def run(config: Config, redo: bool = False) -> None:
    """Print the list."""
    if config.format not in FORMATS:
        raise BadInput(f"format: '{config.format}' is not one of {', '.join(FORMATS)}")
    table_rows = rows(config)
    if config.format == "json":
        print(json.dumps(table_rows, ensure_ascii=False, indent=1))
    elif config.format == "markdown":
        print(markdown(table_rows))
    else:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        table = Table(box=SIMPLE_HEAD)
        for name in table_rows[0]:
            table.add_column(name, no_wrap=True)
        for row in table_rows:
            table.add_row(*row.values())
        # Cut columns would hide the names; a terminal that is narrower wraps.
        Console(highlight=False, width=WIDTH).print(table)
