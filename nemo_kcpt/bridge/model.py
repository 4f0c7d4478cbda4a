"""Models of all families for Megatron-Bridge, built for the machine they start on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from megatron.bridge.models.gpt_provider import GPTModelProvider, transformer_engine_layer_spec
from megatron.bridge.utils.vocab_utils import calculate_padded_vocab_size
from megatron.core.models.gpt import GPTModel

from nemo_kcpt.errors import BadInput
from nemo_kcpt.models.layer_spec import local_block_spec, uses_transformer_engine
from nemo_kcpt.models.options import check_windows, finish_model, settle_for_cpu, settle_for_family


def layer_spec(config: GPTModelProvider, vp_stage: int | None = None) -> Any:
    """The modules of a layer, chosen when the model is built: Transformer Engine's on a GPU, else Megatron's own.

    Raises:
        BadInput: a family with norms after attention and MLP, on a GPU.
    """
    if not uses_transformer_engine():
        return local_block_spec(config, vp_stage)
    if getattr(config, "post_norms", False):
        raise BadInput("gemma2: has no layers of Transformer Engine with this backend; train it with backend=nemo")
    return transformer_engine_layer_spec(config)


@dataclass
class KcptModelProvider(GPTModelProvider):
    """A model of any family: a Llama unless `family` says otherwise.

    Its fields beyond Megatron's are those of :class:`nemo_kcpt.models.llama.KcptLlamaConfig`, so that a checkpoint of
    either backend describes its model in the same words.
    """

    normalization: str = "RMSNorm"
    gated_linear_unit: bool = True
    position_embedding_type: str = "rope"
    add_bias_linear: bool = False
    hidden_dropout: float = 0.0
    attention_dropout: float = 0.0
    rotary_base: float = 10000
    make_vocab_size_divisible_by: int = 1
    share_embeddings_and_output_weights: bool = False
    vocab_rows: int | None = None
    base_positions: int | None = None
    base_rotary_base: float | None = None
    rope_scaling_factor: float | None = None
    rope_low_freq_factor: float = 1.0
    rope_high_freq_factor: float = 4.0
    rope_original_positions: int = 8192
    family: str = "llama"
    sliding_window: int | None = None
    query_scalar: float | None = None
    activation: str = "silu"
    post_norms: bool = False
    scale_embeddings: bool = False
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    z_loss: float = 0.0
    kl_weight: float = 0.0
    ce_weight: float = 1.0
    temperature: float = 1.0
    calculate_per_token_loss: bool = True
    from_scratch: bool = False
    transformer_layer_spec: Callable = layer_spec

    def __post_init__(self) -> None:
        """Settles what depends on family and machine; Megatron checks and derives in `finalize`."""
        self.vocab_size = self.vocab_rows
        self._settle()
        super().__post_init__()

    def _settle(self) -> None:
        settle_for_family(self)
        if not torch.cuda.is_available():
            settle_for_cpu(self)

    def finalize(self) -> None:
        """After overrides: settle again, then Megatron's own checks."""
        self._settle()
        super().finalize()

    def provide(
        self, pre_process: bool | None = None, post_process: bool | None = None, vp_stage: int | None = None
    ) -> GPTModel:
        """Builds Megatron's model, its vocabulary padded to a multiple of the tensor-parallel ranks.

        Raises:
            BadInput: windows go beyond the positions that the RoPE base is good for, or a sliding window meets context
                parallelism.
        """
        check_windows(self)
        rows = self.vocab_size
        self.vocab_size = calculate_padded_vocab_size(
            self.vocab_rows, self.make_vocab_size_divisible_by, self.tensor_model_parallel_size
        )
        try:
            model = super().provide(pre_process, post_process, vp_stage)
        finally:
            self.vocab_size = rows
        finish_model(model, self)
        return model

    def provide_distributed_model(self, *arguments: Any, **named: Any) -> Any:
        """As the Bridge does; on a CPU the weights are drawn there."""
        if not torch.cuda.is_available():
            named["use_cpu_initialization"] = True
        return super().provide_distributed_model(*arguments, **named)
