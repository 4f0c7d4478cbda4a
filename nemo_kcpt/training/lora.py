"""Low-rank adapters (LoRA) by NeMo's own callback, which here also takes layers without Transformer Engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import lightning.pytorch as pl
from megatron.core.tensor_parallel import ColumnParallelLinear, RowParallelLinear
from nemo import lightning as nl
from nemo.collections import llm
from nemo.collections.llm.peft.lora import LoRALinear
from nemo.collections.llm.peft.utils import ParallelLinearAdapter
from torch import nn

from nemo_kcpt.checkpoints.adapters import Lora, check_rank, check_resumed_adapters, read_lora, write_lora
from nemo_kcpt.checkpoints.layout import WEIGHTS
from nemo_kcpt.checkpoints.weights_identity import of_checkpoint
from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.adapters import AdapterPlan

EMBEDDINGS = ("word_embeddings", "output_layer")
"""Modules with a row for each token of the vocabulary."""


@dataclass
class KcptLora(llm.peft.LoRA):
    """``llm.peft.LoRA`` (Hu et al. 2021, arXiv 2106.09685, section 4.1): W + alpha / dim · B A, with W frozen.

    NeMo's ``transform`` compares each module's class with Transformer Engine's and raises where that is not installed
    (nemo/collections/llm/peft/lora.py, ``m.__class__ == te.Linear``). Megatron's own linear layers are wrapped here,
    in the same adapters; everything else is NeMo's. (Its ``get_adapter_attributes_from_linear`` would raise likewise:
    Megatron has None for some of Transformer Engine's classes.)
    """

    embeddings: bool = False
    """Train the embedding and the output layer, too, whole and not as adapters."""
    base_weights: str | None = field(default=None, init=False, repr=False)
    """Identity of the weights that the adapters go with, once it is known."""

    @property
    def plan(self) -> AdapterPlan:
        """What the planner's arithmetic is to know of them."""
        return AdapterPlan(rank=self.dim, targets=tuple(self.target_modules), embeddings=self.embeddings)

    def described(self) -> str:
        """In words, for a model card."""
        return self.record(Path()).described()

    def record(self, base: Path) -> Lora:
        """What goes into `lora.json`, for adapters of the weights in the checkpoint `base`."""
        return Lora(
            rank=self.dim,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=list(self.target_modules),
            embeddings=self.embeddings,
            base=str(base),
            base_weights=self.base_weights or "",
        )

    def transform(self, m: nn.Module, name: str | None = None, prefix: str | None = None) -> nn.Module:
        """A linear layer of `target_modules` with its adapter; any other module as it is."""
        if self.embeddings and name in EMBEDDINGS:
            for parameter in m.parameters(recurse=False):
                parameter.requires_grad = True
        if not isinstance(m, ColumnParallelLinear | RowParallelLinear):
            return m if not _has_transformer_engine() else super().transform(m, name, prefix)
        if (match := self.match(m, name, prefix)) is None:
            return m
        return LoRALinear(m, self._adapter(m, match[1]))

    def _adapter(self, m: ColumnParallelLinear | RowParallelLinear, full_name: str) -> ParallelLinearAdapter:
        """As NeMo's ``transform`` makes it."""
        return ParallelLinearAdapter(
            m.input_size,
            m.output_size,
            self.dim,
            base_linear_name=full_name,
            activation="identity",
            column_init_method=self.lora_A_init_method,
            row_init_method=self.lora_B_init_method,
            input_is_parallel=isinstance(m, RowParallelLinear),
            dropout=self.dropout,
            dropout_position=self.dropout_position,
            model_parallel_config=m.config,
            alpha=self.alpha,
            disable_sequence_parallel_comm=not m.config.sequence_parallel,
        )


def _has_transformer_engine() -> bool:
    from nemo.collections.llm.peft import lora

    return bool(lora.HAVE_TE)


def lora_of(trainer: pl.Trainer) -> KcptLora | None:
    """The adapters that a training puts into its model; None where it trains the weights themselves."""
    return next((callback for callback in trainer.callbacks if isinstance(callback, KcptLora)), None)


def write_training_lora(trainer: pl.Trainer, checkpoint: Path) -> None:
    """Write `lora.json` into a checkpoint of a training of adapters."""
    if (peft := lora_of(trainer)) is None:
        return
    base = checkpoint_of(peft.wrapped_io.model_ckpt_path)
    if peft.base_weights is None:
        peft.base_weights = of_checkpoint(base)
    write_lora(checkpoint, peft.record(base))


def checkpoint_of(path: object) -> Path:
    """A checkpoint's folder, of itself or of the weights in it."""
    folder = Path(str(path))
    return folder.parent if folder.name == WEIGHTS else folder


def resumed_from(trainer: pl.Trainer) -> Path:
    """The checkpoint whose training continues; with adapters the trainer's path is that of the weights they go with."""
    peft = lora_of(trainer)
    return checkpoint_of(trainer.ckpt_path if peft is None else peft.wrapped_io.adapter_ckpt_path)


def check_lora(trainer: pl.Trainer, strategy: nl.MegatronStrategy) -> None:
    """What would fail late, or train what nobody asked for.

    Raises:
        BadInput: adapters of random weights; a training of whole weights that would start from adapters alone; a
            resumed one whose adapters are others, or go with other weights; a rank that tensor parallelism does not
            divide.
    """
    peft, resumed = lora_of(trainer), trainer.ckpt_path
    source = resumed or (strategy.restore_config.path if strategy.restore_config else None)
    checkpoint = checkpoint_of(source) if source else None
    there = read_lora(checkpoint) if checkpoint else None
    if there is not None and not (peft and resumed):
        merge = f"kcpt convert export {checkpoint} --to HF, kcpt convert import HF --to BASE, restore='BASE'"
        way = "give lora= as before" if resumed else f"export the merged model and take that: {merge}"
        raise BadInput(f"{checkpoint}: holds adapters alone ({there.described()}), not the weights they go with; {way}")
    if peft is None:
        return
    if getattr(trainer.lightning_module.config, "num_moe_experts", None) is not None:
        raise BadInput("lora: a mixture of experts takes no adapters yet; train its weights (leave lora= out)")
    if checkpoint is None:
        raise BadInput("lora: adapters go with trained weights; give restore='CHECKPOINT' (kcpt convert import)")
    check_rank(peft.dim, strategy.tensor_model_parallel_size)
    if resumed:
        check_resumed_adapters(checkpoint, there, peft.record(Path()))
