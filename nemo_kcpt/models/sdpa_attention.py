"""Core attention on ``torch.nn.functional.scaled_dot_product_attention``: causal, windowed, grouped, packed documents.

Megatron's own ``DotProductAttention`` writes out the (sequence × sequence) scores and refuses packed sequences. Forward
and backward at 1,024 tokens, 9 heads and 3 key-value heads on 2 threads: 155 ms there, 44 ms here, 21 ms with 4
documents.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.process_groups_config import ProcessGroupCollection
from megatron.core.transformer.enums import AttnMaskType
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.transformer_config import TransformerConfig
from megatron.core.transformer.utils import is_layer_window_attention
from megatron.core.utils import divide
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nemo_kcpt.models import bf16_attention


class SdpaAttention(MegatronModule):
    """Causal core attention, a drop-in for Megatron's ``DotProductAttention`` in a layer spec.

    Args:
        config: The model's configuration.
        layer_number: Number of the layer, from 1 (used by query-key layer scaling).
        attn_mask_type: Must be causal.
        attention_type: ``"self"``; kept for Megatron's signature.
        attention_dropout: Must be 0, or None with a configuration whose dropout is 0.
        softmax_scale: Factor before the softmax; default 1/sqrt(head size).
        cp_comm_type: Kept for Megatron's signature.
        pg_collection: Process groups; default Megatron's global ones.

    Raises:
        ValueError: If the configuration asks for what this module does not do.
    """

    def __init__(
        self,
        config: TransformerConfig,
        layer_number: int,
        attn_mask_type: AttnMaskType,
        attention_type: str,
        attention_dropout: float | None = None,
        softmax_scale: float | None = None,
        cp_comm_type: str | None = None,
        pg_collection: ProcessGroupCollection | None = None,
    ) -> None:
        super().__init__(config=config)
        _refuse_unsupported(config, attn_mask_type, attention_dropout)
        groups = pg_collection or ProcessGroupCollection.use_mpu_process_groups(required_pgs=["tp"])
        heads = divide(config.num_attention_heads, groups.tp.size())
        self.queries_per_group = divide(heads, divide(config.num_query_groups, groups.tp.size()))
        given = softmax_scale if softmax_scale is not None else config.softmax_scale
        self.softmax_scale = given if given is not None else config.kv_channels**-0.5
        self.softcap: float | None = getattr(config, "attn_logit_softcapping", None)
        if config.apply_query_key_layer_scaling:
            self.softmax_scale /= max(1, layer_number)
        own = is_layer_window_attention(config.window_size, config.window_attn_skip_freq, layer_number)
        self.window = config.window_size[0] + 1 if own else None
        self.bf16_products = False

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        attn_mask_type: AttnMaskType | None = None,
        attention_bias: Tensor | None = None,
        packed_seq_params: PackedSeqParams | None = None,
    ) -> Tensor:
        """Attends causally, within documents if the sequences are packed, and in the window if the layer has one.

        Args:
            query: (sequence, batch, heads, head size), or (tokens, heads, head size) if packed.
            key: As ``query``, with this rank's key-value heads.
            value: As ``key``.
            attention_mask: None or a dummy of one element; a real mask is refused, since it would be ignored.
            attn_mask_type: Kept for Megatron's signature.
            attention_bias: Must be None.
            packed_seq_params: Document borders as ``cu_seqlens_q``: 0, end of the first document, …, tokens.

        Returns:
            (sequence, batch, heads × head size), or (tokens, heads × head size) if packed.

        Raises:
            ValueError: For a mask, a bias, or borders that do not cover the tokens.
        """
        if attention_bias is not None:
            raise ValueError("SdpaAttention knows no attention bias; use Megatron's DotProductAttention for it")
        if attention_mask is not None and attention_mask.numel() > 1:
            raise ValueError(
                f"SdpaAttention is causal and would ignore an attention mask of shape {tuple(attention_mask.shape)}; "
                "give document borders as cu_seqlens instead, and None or a one-element attention_mask"
            )
        if packed_seq_params is None:
            context = self._causal(query.permute(1, 2, 0, 3), key.permute(1, 2, 0, 3), value.permute(1, 2, 0, 3))
            return context.permute(2, 0, 1, 3).flatten(2)
        lengths = _document_lengths(packed_seq_params, query.size(0))
        documents = zip(query.split(lengths), key.split(lengths), value.split(lengths), strict=True)
        contexts = [self._causal(*(part.transpose(0, 1)[None] for part in document)) for document in documents]
        return torch.cat(contexts, dim=2)[0].transpose(0, 1).flatten(1)

    def _causal(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(batch, heads, sequence, head size) for all three, key and value with fewer heads."""
        tokens = query.size(2)
        if self.softcap is not None:
            return self._capped(query, key, value, self.softcap)
        if self.window is not None and tokens > self.window:
            mask = _within(tokens, self.window, query.device)
            return scaled_dot_product_attention(
                query, key, value, attn_mask=mask, scale=self.softmax_scale, enable_gqa=self.queries_per_group > 1
            )
        if self.bf16_products and tokens <= bf16_attention.LONGEST:
            return bf16_attention.causal_attention(query, key, value, self.softmax_scale)
        return scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=self.softmax_scale, enable_gqa=self.queries_per_group > 1
        )

    def _capped(self, query: Tensor, key: Tensor, value: Tensor, cap: float) -> Tensor:
        """As :meth:`_causal`, with scores kept below `cap` by tanh, which no fused attention does."""
        key, value = (part.repeat_interleave(self.queries_per_group, dim=1) for part in (key, value))
        scores = (query @ key.transpose(2, 3)).float() * (self.softmax_scale / cap)
        seen = _within(query.size(2), self.window or query.size(2), query.device)
        scores = (scores.tanh() * cap).masked_fill(~seen, float("-inf"))
        return scores.softmax(dim=-1).to(value.dtype) @ value


@lru_cache(maxsize=2)
def _within(tokens: int, window: int, device: torch.device) -> Tensor:
    """(tokens, tokens): whether the column's token is the row's or one of the `window` - 1 before it."""
    places = torch.arange(tokens, device=device)
    behind = places[:, None] - places
    return (behind >= 0) & (behind < window)


def _document_lengths(packed: PackedSeqParams, tokens: int) -> list[int]:
    borders = packed.cu_seqlens_q
    lengths = borders.diff().tolist()
    if borders[0] != 0 or borders[-1] != tokens or min(lengths) < 0:
        raise ValueError(f"cu_seqlens must rise from 0 to the {tokens} tokens of the window, found {borders.tolist()}")
    return lengths


def _refuse_unsupported(config: TransformerConfig, mask: AttnMaskType, dropout: float | None) -> None:
    unsupported = {
        "attn_mask_type is not causal": mask not in (AttnMaskType.causal, AttnMaskType.padding_causal),
        "attention_dropout > 0": (config.attention_dropout if dropout is None else dropout) > 0,
        "context_parallel_size > 1": config.context_parallel_size > 1,
        "a window that looks ahead": config.window_size is not None and config.window_size[1] != 0,
        "softmax_type is not vanilla": config.softmax_type != "vanilla",
    }
    reasons = [reason for reason, is_so in unsupported.items() if is_so]
    if reasons:
        raise ValueError(f"SdpaAttention does not do: {', '.join(reasons)}; change the config or use a GPU with TE")
