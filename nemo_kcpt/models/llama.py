"""Models of all families for NeMo 2, built for the machine they start on.

Module and classes are named for the first family, since checkpoints name them so.

nemo_run reads the annotations of what `nemo llm pretrain` may override (`model.config.rotary_base=…`), and neither text
(`from __future__ import annotations`) nor `int | None`: hence `Optional` here, in `nemo_kcpt.data` and in callbacks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import torch
from megatron.core import parallel_state
from megatron.core.num_microbatches_calculator import get_num_microbatches
from megatron.core.utils import get_attr_wrapped_model
from nemo.collections import llm
from nemo.collections.llm.gpt.model.base import gpt_data_step
from nemo.lightning.base import get_vocab_size
from nemo.lightning.megatron_parallel import MaskedTokenLossReduction

from nemo_kcpt.hf.known_models import DEMO, TINY
from nemo_kcpt.models.distillation_loss import IDS, PROBABILITIES
from nemo_kcpt.models.distillation_reduction import DistillationReduction
from nemo_kcpt.models.forward import llama_forward_step
from nemo_kcpt.models.layer_spec import llama_layer_spec
from nemo_kcpt.models.options import check_windows, finish_model, settle_for_cpu, settle_for_family
from nemo_kcpt.models.router_loss import Dropped, router_loss

if TYPE_CHECKING:
    from megatron.core.models.gpt import GPTModel
    from nemo.collections.common.tokenizers.tokenizer_spec import TokenizerSpec


def llama_data_step(dataloader_iter: Iterator[Any]) -> dict[str, torch.Tensor]:
    """Takes the next micro-batch: NeMo's ``gpt_data_step`` where CUDA is there, else the batch as it is.

    Args:
        dataloader_iter: Gives dicts, or tuples of a dict, a batch index and a loader index.

    Returns:
        ``tokens``, ``labels``, ``position_ids``, ``loss_mask`` (micro-batch, sequence), and if the data has them
        ``cu_seqlens`` (micro-batch, borders; rows padded with -1) and what a teacher says.
    """
    batch = next(dataloader_iter)
    batch = batch[0] if isinstance(batch, tuple) else batch
    if not torch.cuda.is_available():
        return batch
    taught = {name: batch.pop(name) for name in (IDS, PROBABILITIES) if name in batch}  # NeMo's step would drop them
    prepared: dict[str, torch.Tensor] = gpt_data_step(iter([batch]))
    if taught and parallel_state.is_pipeline_last_stage():
        prepared |= {name: tensor.cuda(non_blocking=True) for name, tensor in taught.items()}
    return prepared


@dataclass
class KcptLlamaConfig(llm.LlamaConfig):
    """A model of any family, built with Transformer Engine on a GPU and in float32 with local layers on a CPU.

    A Llama unless `family` says otherwise, whose description settles the fields in which it differs.
    """

    vocab_rows: Optional[int] = None
    """True number of rows of the embedding, which an export keeps; None takes ``vocab_size``, else the tokenizer's."""
    make_vocab_size_divisible_by: int = 1
    """Times the tensor-parallel size gives the multiple to which rows are padded inside Megatron only."""
    rotary_base: float = 10000
    base_positions: Optional[int] = None
    """Positions that the model was trained for before this training; an export's `max_position_embeddings` is never
    less. None: it starts here."""
    base_rotary_base: Optional[float] = None
    """RoPE base that it was trained with then."""
    rope_scaling_factor: Optional[float] = None
    """Llama 3.1's scaling of low frequencies, with the three that follow; None: no scaling."""
    rope_low_freq_factor: float = 1.0
    rope_high_freq_factor: float = 4.0
    rope_original_positions: int = 8192
    family: str = "llama"
    """The model's family, as `model_type` in its `config.json` (nemo_kcpt.hf.families)."""
    sliding_window: Optional[int] = None
    """Tokens that each token sees, itself and those before it; None: all."""
    query_scalar: Optional[float] = None
    """Attention scores are divided by its square root; None: by that of the head size."""
    activation: str = "silu"
    """The MLP's, and the five that follow: what a Gemma 2 has and a Llama has not."""
    post_norms: bool = False
    scale_embeddings: bool = False
    attn_logit_softcapping: Optional[float] = None
    final_logit_softcapping: Optional[float] = None
    z_loss: float = 0.0
    """Coefficient of the z-loss in training; validation measures the cross entropy alone."""
    kl_weight: float = 0.0
    """Weight of the KL to the teacher's distributions (`kcpt distill`), which the data must then have; 0: none."""
    ce_weight: float = 1.0
    """Weight of the cross entropy on the written tokens, in a training with kl_weight."""
    temperature: float = 1.0
    """At which the KL is taken: that of the distillation."""
    calculate_per_token_loss: bool = True
    """Each token that bears loss weighs the same, whatever micro-batch it falls into."""
    from_scratch: bool = False
    """Whether a training may start from random weights."""
    transformer_layer_spec: Callable = llama_layer_spec
    forward_step_fn: Callable = llama_forward_step
    data_step_fn: Callable = llama_data_step

    def __post_init__(self) -> None:
        """Settles what depends on the machine, then lets Megatron check and derive; NeMo calls it again on connect."""
        if self.vocab_rows is None:
            self.vocab_rows = self.vocab_size
        settle_for_family(self)
        if not torch.cuda.is_available():
            settle_for_cpu(self)
        super().__post_init__()

    def configure_model(
        self,
        tokenizer: "Optional[TokenizerSpec]",
        pre_process: Optional[bool] = None,
        post_process: Optional[bool] = None,
        vp_stage: Optional[int] = None,
    ) -> "GPTModel":
        """Builds Megatron's model with the vocabulary padded for tensor parallelism.

        Args:
            tokenizer: Gives the rows if neither ``vocab_rows`` nor ``vocab_size`` does; may be None otherwise.
            pre_process: Whether to build the embedding; default: on the first pipeline stage.
            post_process: Whether to build the output layer; default: on the last pipeline stage.
            vp_stage: Virtual pipeline stage.

        Raises:
            ValueError: If no number of rows is known, or the tokenizer has more entries than there are rows.
            BadInput: If windows go beyond the positions that the RoPE base is good for, or a sliding window meets
                context parallelism.
        """
        entries = None if tokenizer is None else tokenizer.vocab_size
        self.vocab_rows = self.vocab_rows or entries
        check_windows(self)
        if self.vocab_rows is None:
            raise ValueError("number of vocabulary rows unknown: set vocab_rows in the config or give a tokenizer")
        if entries is not None and entries > self.vocab_rows:
            raise ValueError(
                f"the tokenizer has {entries} entries but the config only {self.vocab_rows} vocabulary rows; "
                "set vocab_rows to at least the tokenizer's size"
            )
        self.vocab_size = get_vocab_size(self, self.vocab_rows, self.make_vocab_size_divisible_by)
        model = super().configure_model(tokenizer, pre_process, post_process, vp_stage)
        finish_model(model, self)
        return model


@dataclass
class KcptTinyConfig(KcptLlamaConfig):
    """A model that a laptop trains in minutes: 4 layers, hidden size 256, 3.2 M parameters beside the vocabulary."""

    num_layers: int = TINY.num_layers
    hidden_size: int = TINY.hidden_size
    ffn_hidden_size: int = TINY.ffn_hidden_size
    num_attention_heads: int = TINY.num_attention_heads
    num_query_groups: Optional[int] = TINY.num_query_groups
    kv_channels: Optional[int] = TINY.kv_channels
    seq_length: int = 512
    share_embeddings_and_output_weights: bool = TINY.tied
    from_scratch: bool = True


@dataclass
class KcptDemoConfig(KcptTinyConfig):
    """The demo's model: half as wide as the tiny one, 0.8 M parameters beside the vocabulary."""

    hidden_size: int = DEMO.hidden_size
    ffn_hidden_size: int = DEMO.ffn_hidden_size
    kv_channels: Optional[int] = DEMO.kv_channels


class KcptLlamaModel(llm.LlamaModel):
    """NeMo's module for all our models, whatever their family: checkpoints name it, and our connectors are for it."""

    @property
    def training_loss_reduction(self) -> MaskedTokenLossReduction:
        """NeMo's, or in a training with kl_weight the one that keeps cross entropy and KL apart."""
        if not self._training_loss_reduction:
            reduction = DistillationReduction if self.config.kl_weight else MaskedTokenLossReduction
            self._training_loss_reduction: MaskedTokenLossReduction = reduction()
        return self._training_loss_reduction

    def loss_parts(self) -> dict[str, float]:
        """Losses of the last step, right on global rank 0 and called by all: with kl_weight cross entropy and KL, with
        experts what :func:`router_loss` and :class:`Dropped` say."""
        reduction = self.training_loss_reduction
        parts = reduction.parts() if isinstance(reduction, DistillationReduction) else {}
        if self.config.num_moe_experts is not None:
            parts |= router_loss(self.config.num_layers, get_num_microbatches())
            dropped: Dropped | None = get_attr_wrapped_model(self, "dropped_tokens")
            parts["dropped_tokens"] = 0.0 if dropped is None else dropped.share()
        return parts
