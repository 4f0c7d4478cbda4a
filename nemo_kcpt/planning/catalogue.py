"""The recipes by name: what each trains. Registering, listing and launching them all start from here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.known_models import DEMO, KNOWN, TINY
from nemo_kcpt.hf.model_shape import ModelShape, read_hf_shape
from nemo_kcpt.planning.steps import TOKENS_PER_STEP

PRETRAIN, FINETUNE = "pretrain", "finetune"
SEQ_LENGTHS = {"1k": 1024, "2k": 2048, "4k": 4096, "8k": 8192, "16k": 16384, "32k": 32768, "64k": 65536}
METHOD = ("1k", "2k", "4k", "8k", "16k")
"""The lengths that the method compares."""
TUNED = ("1k", "2k", "4k", "8k", "16k")
"""Lengths of tuning: attention stops between samples, and none of those of `kcpt sft-data` fills a longer window."""
RATES = {PRETRAIN: 1e-4, FINETUNE: 2e-5}
"""Learning rates on GPUs. Continual pretraining falls to 1e-5: llm-jp's public example of the v3 line
(github.com/llm-jp/scripts, pretrain/installers/v3-megatron-sakura/example/train.sh). From nothing, its 13B took 3e-4
(github.com/llm-jp/Megatron-LM, scripts/tsubame/13b-llm-jp-v2-cc-100k.sh). Tuning: llm-jp's of the family (the method,
§4)."""
TINY_RATES = {PRETRAIN: 3e-3, FINETUNE: 3e-4}
"""High, as befits a tiny model; chosen with a look at the demo's held-out questions, see docs/demo.md."""
DEMO_RATES = {PRETRAIN: 5e-3, FINETUNE: 3e-4}
"""The demo's model is half as wide, which asks for a higher one still; chosen likewise."""
SMOLLM2_RATES = {PRETRAIN: 3e-4, FINETUNE: 1e-4}
"""SmolLM2-135M's own pretraining peaked at 3e-3 (Ben Allal et al. 2025, SmolLM2); a tenth of that serves a training
that continues from its end."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A recipe's name and what it trains."""

    name: str
    task: str
    """`pretrain` or `finetune`, as in `nemo llm TASK --factory NAME`."""
    model: str | None
    """Name in `known_models.KNOWN`; None: a tiny model of its own, or the one in a given folder."""
    seq_length: int | None = None
    """Tokens of a window; None: those of the pack."""
    on_gpus: bool = True
    """Whether it plans its layout for GPUs; otherwise it is for a CPU."""
    nodes: int = 1
    """Machines of eight GPUs of 80 GB that it takes unless told: the fewest that hold the training."""
    own: ModelShape | None = None
    """Sizes of a model of its own, which may start from random weights; vocabulary and positions are the pack's."""
    learning_rate: float = 0.0
    """Its highest."""
    tokens_per_step: int = TOKENS_PER_STEP
    """Tokens of a step of pretraining; on a CPU of tuning, too. The same at every context length, so that packs of
    one corpus are compared at an equal number of steps."""
    micro_batch_tokens: int | None = None
    """On a CPU: the most in a micro-batch; None: a rank's whole share of a step."""
    pack_mode: str = "anchored"
    """Mode of the pack that it takes by default."""
    pack_length: int = 4096
    """Window length of that pack, for a recipe of no length."""
    adapters: bool = True
    """Whether it takes `lora=`."""

    @property
    def from_folder(self) -> bool:
        """Whether the model is that of a Hugging Face folder, given as `model=`."""
        return self.model is None and self.own is None

    @property
    def default_pack(self) -> str:
        """The pack that the recipe takes unless told, as `kcpt pack` names it."""
        return f"packs/{self.pack_mode}-{self.seq_length or self.pack_length}"

    @property
    def default_dir(self) -> str:
        """Where the recipe writes unless told."""
        return f"nemo_experiments/{self.name}"

    def shape(self, folder: str | None = None) -> ModelShape | None:
        """The model's shape, for `from_folder` that in `folder`; None where it cannot be known without one."""
        if self.model is not None:
            return KNOWN[self.model]
        return read_hf_shape(Path(folder)) if folder is not None and self.from_folder else None


def find_entry(name: str) -> Entry:
    """The recipe of this name.

    Raises:
        BadInput: there is none.
    """
    if name not in RECIPES:
        raise BadInput(f"no recipe {name}; {nearest(name, [*RECIPES])} (kcpt recipes lists them)")
    return RECIPES[name]


def _both(
    name: str, model: str | None, seq_length: int | None = None, rates: dict[str, float] = RATES, **more: Any
) -> list[Entry]:
    """The recipe for pretraining and the one for tuning."""
    same = {"model": model, "seq_length": seq_length, **more}
    return [
        Entry(name=f"kcpt_{name}", task=PRETRAIN, learning_rate=rates[PRETRAIN], **same),
        Entry(
            name=f"kcpt_sft_{name}",
            task=FINETUNE,
            learning_rate=rates[FINETUNE],
            **{**same, "pack_mode": "instruction"},
        ),
    ]


def _sized(name: str, model: str, labels: tuple[str, ...], nodes: int = 1) -> list[Entry]:
    """A recipe for each length, and for tuning at those where it makes sense."""
    return [
        replace(entry, nodes=nodes)
        for label in labels
        for entry in _both(f"{name}_{label}", model, SEQ_LENGTHS[label])
        if entry.task == PRETRAIN or label in TUNED
    ]


_TINY: dict[str, Any] = {"on_gpus": False, "pack_length": 64, "tokens_per_step": 1024}
_SMOLLM2: dict[str, Any] = {"on_gpus": False, "pack_length": 512, "tokens_per_step": 4096, "micro_batch_tokens": 1024}

RECIPES: dict[str, Entry] = {
    entry.name: entry
    for entry in [
        *_both("demo", None, own=DEMO, rates=DEMO_RATES, adapters=False, **_TINY),
        *_both("tiny", None, own=TINY, rates=TINY_RATES, pack_mode="concat", **_TINY),
        *_both("smollm2_135m", "smollm2-135m", rates=SMOLLM2_RATES, **_SMOLLM2),
        *_both("model", None),
        *_both("llama", None),
        *_sized("llmjp3_1_8b", "llm-jp-3-1.8b", METHOD),
        *_sized("llmjp3_3_7b", "llm-jp-3-3.7b", METHOD),
        *_sized("llmjp3_7_2b", "llm-jp-3-7.2b", METHOD),
        *_sized("llmjp3_13b", "llm-jp-3-13b", METHOD),
        *_sized("llmjp4_8b", "llm-jp-4-8b", ("4k", "8k", "16k", "32k", "64k")),
        *_sized("llmjp4_32b_a3b", "llm-jp-4-32b-a3b", ("4k", "16k"), nodes=2),
        *_sized("qwen3_8b", "qwen3-8b", ("4k", "8k", "16k", "32k")),
    ]
}
