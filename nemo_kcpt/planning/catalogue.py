"""The recipes by name: what each trains. Registering, listing and launching them all start from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.hf.model_shape import KNOWN, ModelShape, read_hf_shape

PRETRAIN, FINETUNE = "pretrain", "finetune"
SEQ_LENGTHS = {"1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192, "16k": 16384, "32k": 32768, "64k": 65536}
METHOD = ("1k", "2k", "4k", "8k", "16k")
"""The lengths that the method compares."""
TUNED = ("1k", "2k", "4k", "8k", "16k")
"""Lengths of tuning: attention stops between samples, and none of those of `kcpt sft-data` fills a longer window."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A recipe's name and what it trains."""

    name: str
    task: str
    """`pretrain` or `finetune`, as in `nemo llm TASK --factory NAME`."""
    model: str | None
    """Name in `model_shape.KNOWN`; None: a tiny model of its own, or the one in a given folder."""
    seq_length: int | None = None
    """Tokens of a window; None: those of the pack."""
    on_gpus: bool = True
    """Whether it plans its layout for GPUs; otherwise it is for a CPU."""

    @property
    def from_folder(self) -> bool:
        """Whether the model is that of a Hugging Face folder, given as `model=`."""
        return self.model is None and self.on_gpus

    @property
    def default_pack(self) -> str:
        """The pack that the recipe takes unless told, as `kcpt pack` names it."""
        mode = "anchored" if self.task == PRETRAIN else "instruction"
        return f"packs/{mode}-{self.seq_length or 4096}"

    @property
    def default_dir(self) -> str:
        """Where the recipe writes unless told."""
        return f"nemo_experiments/{self.name}"

    def shape(self, folder: str | None = None) -> ModelShape | None:
        """The model's shape, for `from_folder` that in `folder`; None where it cannot be known without one."""
        if self.model is not None:
            return KNOWN[self.model]
        return read_hf_shape(Path(folder)) if folder is not None and self.from_folder else None


def _both(name: str, model: str | None, seq_length: int | None = None, *, on_gpus: bool = True) -> list[Entry]:
    names = {PRETRAIN: f"kcpt_{name}", FINETUNE: f"kcpt_sft_{name}"}
    return [
        Entry(name=names[task], task=task, model=model, seq_length=seq_length, on_gpus=on_gpus)
        for task in (PRETRAIN, FINETUNE)
    ]


def _sized(name: str, model: str, labels: tuple[str, ...]) -> list[Entry]:
    """A recipe for each length, and for tuning at those where it makes sense."""
    return [
        entry
        for label in labels
        for entry in _both(f"{name}_{label}", model, SEQ_LENGTHS[label])
        if entry.task == PRETRAIN or label in TUNED
    ]


RECIPES: dict[str, Entry] = {
    entry.name: entry
    for entry in [
        *_both("demo", None, on_gpus=False),
        *_both("tiny", None, on_gpus=False),
        *_both("smollm2_135m", "smollm2-135m", on_gpus=False),
        *_both("model", None),
        *_both("llama", None),
        *_sized("llmjp3_1_8b", "llm-jp-3-1.8b", METHOD),
        *_sized("llmjp3_3_7b", "llm-jp-3-3.7b", METHOD),
        *_sized("llmjp3_7_2b", "llm-jp-3-7.2b", METHOD),
        *_sized("llmjp3_13b", "llm-jp-3-13b", METHOD),
        *_sized("llmjp4_8b", "llm-jp-4-8b", ("4k", "8k", "16k", "32k", "64k")),
        *_sized("qwen3_8b", "qwen3-8b", ("4k", "8k", "16k", "32k")),
    ]
}
