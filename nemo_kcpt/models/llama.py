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
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.utils import get_attr_wrapped_model
from nemo.collections import llm
from nemo.collections.llm.gpt.model.base import gpt_data_step
from nemo.collections.llm.gpt.model.llama import apply_rope_scaling
from nemo.lightning.base import get_vocab_size
from nemo.lightning.megatron_parallel import MaskedTokenLossReduction

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families import family_of
from nemo_kcpt.hf.model_shape import EXPERTS, ModelShape
from nemo_kcpt.models.distillation_loss import (
    IDS,
    PARTS,
    PROBABILITIES,
    DistillationReduction,
    Weights,
    distillation_loss,
)
from nemo_kcpt.models.gemma import ACTIVATIONS, finish
from nemo_kcpt.models.layer_spec import llama_layer_spec, uses_transformer_engine
from nemo_kcpt.models.router_loss import router_loss, weigh_alike_on_all_ranks
from nemo_kcpt.models.z_loss import cross_entropy_with_z_loss
from nemo_kcpt.planning.rope import check_positions

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
    found: dict[str, torch.Tensor] = gpt_data_step(iter([batch]))
    if taught and parallel_state.is_pipeline_last_stage():
        found |= {name: tensor.cuda(non_blocking=True) for name, tensor in taught.items()}
    return found


def llama_forward_step(model: torch.nn.Module, batch: dict[str, torch.Tensor | None]) -> torch.Tensor:
    """Runs the model; unlike NeMo's ``gpt_forward_step`` it needs no Transformer Engine and packs several windows.

    Args:
        model: The Lightning module.
        batch: As :func:`llama_data_step` gives it; None stands for what this pipeline stage does not need. With
            ``cu_seqlens``, the windows of a micro-batch become one long packed one.

    Returns:
        The loss of each token, (micro-batch, sequence), or (1, micro-batch × sequence) if packed; on all but the last
        pipeline stage the hidden states.

    Raises:
        ValueError: For several packed windows where other ranks expect one window's shape, and for packed windows whose
            documents other ranks would share.
    """
    options: dict[str, Any] = {}
    if not uses_transformer_engine():
        # Megatron's local layers insist on a mask; SdpaAttention is causal by itself and takes one element as none.
        options["attention_mask"] = torch.zeros(1, dtype=torch.bool)
    inputs = {"input_ids": batch["tokens"], "position_ids": batch["position_ids"], "labels": batch["labels"]}
    cu_seqlens = batch.get("cu_seqlens")
    if cu_seqlens is not None:
        _refuse_windows_across_ranks(model.config, len(cu_seqlens))
        options["packed_seq_params"] = packed_seq_params(cu_seqlens)
        inputs = {key: value if value is None else value.reshape(1, -1) for key, value in inputs.items()}
    if batch.get(IDS) is not None and model.config.kl_weight and model.training:
        return _distilled(model, batch, inputs, options)
    return model(**inputs, **options)


def _distilled(
    model: torch.nn.Module, batch: dict[str, Any], inputs: dict[str, torch.Tensor | None], options: dict[str, Any]
) -> torch.Tensor:
    """The model's output with the loss of :func:`distillation_loss` in place of its own."""
    if model.config.context_parallel_size > 1:
        raise ValueError("a distillation does not go with context parallelism; set context_parallel_size=1")
    labels = inputs["labels"]
    output: torch.Tensor = model(**{**inputs, "labels": None}, **options)
    if labels is None or not get_attr_wrapped_model(model, "post_process"):
        return output
    weights = Weights(
        ce=model.config.ce_weight,
        kl=model.config.kl_weight,
        temperature=model.config.temperature,
        z_loss=model.config.z_loss,
    )
    loss, batch[PARTS] = distillation_loss(output, labels, batch[IDS], batch[PROBABILITIES], weights)
    return loss


def _refuse_windows_across_ranks(config: llm.GPTConfig, windows: int) -> None:
    if config.context_parallel_size > 1:
        raise ValueError(
            "block-diagonal attention does not go with context parallelism: Transformer Engine divides each document, "
            "whose length would have to be a multiple of twice the ranks; set data.attention=causal or "
            "context_parallel_size=1"
        )
    if windows > 1 and config.pipeline_model_parallel_size > 1:
        raise ValueError(
            f"{windows} packed windows in a micro-batch do not go with pipeline parallelism; set micro_batch_size=1"
        )


def packed_seq_params(cu_seqlens: torch.Tensor) -> PackedSeqParams:
    """Joins the document borders of the windows of a micro-batch into those of one long window.

    Args:
        cu_seqlens: (micro-batch, borders), each row 0, end of the first document, …, sequence length, then -1 padding.

    Returns:
        Megatron's parameters in the ``thd`` format, with the longest document's length.
    """
    ends, offset = [cu_seqlens.new_zeros(1)], 0
    for row in cu_seqlens:
        borders = row[row >= 0]
        ends.append(borders[1:] + offset)
        offset += int(borders[-1])
    joined = torch.cat(ends)
    longest = int(joined.diff().max())
    return PackedSeqParams(
        qkv_format="thd", cu_seqlens_q=joined, cu_seqlens_kv=joined, max_seqlen_q=longest, max_seqlen_kv=longest
    )


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
    """Of the model, as `model_type` in its `config.json` (nemo_kcpt.hf.families)."""
    sliding_window: Optional[int] = None
    """Tokens that each token sees, itself and those before it; None: all."""
    query_scalar: Optional[float] = None
    """Attention scores are divided by its square root; None: by that of the head size."""
    activation: str = "silu"
    """Of the MLP, and the five that follow: what a Gemma 2 has and a Llama has not."""
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
        self._settle_for_family()
        if not torch.cuda.is_available():
            self._settle_for_cpu()
        super().__post_init__()

    def _settle_for_family(self) -> None:
        for name, value in family_of(self.family, "model.config.family").flags.items():
            setattr(self, name, value)
        self.activation_func = ACTIVATIONS[self.activation]
        if self.activation != "silu":  # of the gated ones Megatron fuses this alone
            self.bias_activation_fusion = False
        self.softmax_scale = None if self.query_scalar is None else self.query_scalar**-0.5
        # Megatron counts the tokens to the left of a token. A window that holds all of them is none.
        window = self.sliding_window
        self.window_size = (window - 1, 0) if window is not None and window < self.seq_length else None

    def _settle_for_cpu(self) -> None:
        # The fusions are CUDA kernels, or torch.compile functions that cost a C++ compilation at the first step.
        self.apply_rope_fusion = False
        self.bias_activation_fusion = False
        self.bias_dropout_fusion = False
        self.cross_entropy_loss_fusion = False
        self.gradient_accumulation_fusion = False
        self.masked_softmax_fusion = False
        self.persist_layer_norm = False
        self.moe_grouped_gemm = False
        self.moe_token_dispatcher_type = "allgather"
        self.use_cpu_initialization = True
        self.bf16 = self.fp16 = False
        self.params_dtype = self.pipeline_dtype = torch.float32

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
        if self.base_positions is not None and self.base_rotary_base is not None:
            check_positions(self.seq_length, self.rotary_base, self.base_positions, self.base_rotary_base)
        if self.window_size is not None and self.context_parallel_size > 1:
            raise BadInput(
                f"the model's sliding window of {self.sliding_window} tokens is shorter than windows of "
                f"{self.seq_length}, and does not go with context parallelism; set context_parallel_size=1"
            )
        if self.vocab_rows is None:
            raise ValueError("number of vocabulary rows unknown: set vocab_rows in the config or give a tokenizer")
        if entries is not None and entries > self.vocab_rows:
            raise ValueError(
                f"the tokenizer has {entries} entries but the config only {self.vocab_rows} vocabulary rows; "
                "set vocab_rows to at least the tokenizer's size"
            )
        self.vocab_size = get_vocab_size(self, self.vocab_rows, self.make_vocab_size_divisible_by)
        model = super().configure_model(tokenizer, pre_process, post_process, vp_stage)
        finish(model, self)
        weigh_alike_on_all_ranks(model)
        if self.rope_scaling_factor is not None:
            # Megatron's own rope_scaling has the other three constants written out.
            model.rotary_pos_emb.inv_freq = apply_rope_scaling(
                model.rotary_pos_emb.inv_freq,
                factor=self.rope_scaling_factor,
                low_freq_factor=self.rope_low_freq_factor,
                high_freq_factor=self.rope_high_freq_factor,
                old_context_len=self.rope_original_positions,
            )
        if self.z_loss:
            plain = model.compute_language_model_loss

            def loss(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
                if not model.training:
                    return plain(labels, logits)
                return cross_entropy_with_z_loss(logits, labels, self.z_loss)

            model.compute_language_model_loss = loss
        return model


def config_options(shape: ModelShape, seq_length: int, base: float) -> dict[str, Any]:
    """Keyword arguments of :class:`KcptLlamaConfig` for a model of `shape`.

    Args:
        shape: the model as it comes, whose positions and RoPE base are kept beside the new ones.
        seq_length: tokens of a window.
        base: the RoPE base to train with, from :func:`nemo_kcpt.planning.rope.rotary_base`.
    """
    scaling = shape.rope_scaling
    scaled = (
        {}
        if scaling is None
        else {
            "rope_scaling_factor": scaling.factor,
            "rope_low_freq_factor": scaling.low_freq_factor,
            "rope_high_freq_factor": scaling.high_freq_factor,
            "rope_original_positions": scaling.original_positions,
        }
    )
    return {
        "family": shape.family.name,
        "num_layers": shape.num_layers,
        "hidden_size": shape.hidden_size,
        "ffn_hidden_size": shape.ffn_hidden_size,
        "num_attention_heads": shape.num_attention_heads,
        "num_query_groups": shape.num_query_groups,
        "kv_channels": shape.kv_channels,
        "seq_length": seq_length,
        "rotary_base": base,
        "layernorm_epsilon": shape.layernorm_epsilon,
        "share_embeddings_and_output_weights": shape.tied,
        "vocab_rows": shape.vocab_rows,
        "sliding_window": shape.sliding_window,
        "query_scalar": shape.query_scalar,
        "base_positions": shape.positions,
        "base_rotary_base": shape.rotary_base,
        **scaled,
        **({} if shape.num_moe_experts is None else {name: getattr(shape, name) for name in EXPERTS}),
    }


@dataclass
class KcptTinyConfig(KcptLlamaConfig):
    """A model that a laptop trains in minutes: 4 layers, hidden size 256, 3.2 M parameters beside the vocabulary."""

    num_layers: int = 4
    hidden_size: int = 256
    ffn_hidden_size: int = 688
    num_attention_heads: int = 4
    num_query_groups: Optional[int] = 4
    kv_channels: Optional[int] = 64
    seq_length: int = 512
    share_embeddings_and_output_weights: bool = False
    from_scratch: bool = True


@dataclass
class KcptDemoConfig(KcptTinyConfig):
    """The demo's model: half as wide as the tiny one, 0.8 M parameters beside the vocabulary."""

    hidden_size: int = 128
    ffn_hidden_size: int = 352
    kv_channels: Optional[int] = 32


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
        """Of the last step, right on global rank 0 and called by all: with kl_weight cross entropy and KL, with experts
        what :func:`router_loss` says."""
        reduction = self.training_loss_reduction
        parts = reduction.parts() if isinstance(reduction, DistillationReduction) else {}
        if self.config.num_moe_experts is not None:
            parts |= router_loss(self.config.num_layers, get_num_microbatches())
        return parts
