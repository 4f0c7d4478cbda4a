"""The recipes by name: what each trains. Registering, listing and launching them all start from here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.hf.model_shape import KNOWN, ModelShape, read_hf_shape

PRETRAIN, FINETUNE = "pretrain", "finetune"
SEQ_LENGTHS = {"1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192, "16k": 16384}


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


RECIPES: dict[str, Entry] = {
    entry.name: entry
    for entry in [
        *_both("demo", None, on_gpus=False),
        *_both("tiny", None, on_gpus=False),
        *_both("smollm2_135m", "smollm2-135m", on_gpus=False),
        *_both("llama", None),
        *(
            entry
            for model in ("1.8b", "3.7b", "7.2b", "13b")
            for label, seq_length in SEQ_LENGTHS.items()
            for entry in _both(f"llmjp3_{model.replace('.', '_')}_{label}", f"llm-jp-3-{model}", seq_length)
        ),
    ]
}
