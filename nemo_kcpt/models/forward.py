"""A model's forward pass on a micro-batch of windows, packed or not, with or without a teacher: for both backends."""

from __future__ import annotations

from typing import Any

import torch
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.utils import get_attr_wrapped_model

from nemo_kcpt.models.distillation_loss import IDS, PARTS, PROBABILITIES, Weights, distillation_loss
from nemo_kcpt.models.layer_spec import uses_transformer_engine


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


def _refuse_windows_across_ranks(config: Any, windows: int) -> None:
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
