"""Are the logits of an exported model those of the Megatron model it came from?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from nemo_kcpt.conversion.checkpoint import WEIGHTS, read_shape
from nemo_kcpt.models.llama import KcptLlamaConfig
from nemo_kcpt.training import cpu_backend
from nemo_kcpt.training.single_process import single_process_groups


def megatron_model(checkpoint: Path) -> torch.nn.Module:
    """The Megatron model of a NeMo checkpoint, whole on this process (call it inside `single_process_groups`).

    The weights go through Megatron's own loader, not through our export, so that comparing the two means something.
    """
    from megatron.core.dist_checkpointing import load

    shape = read_shape(checkpoint)
    config = KcptLlamaConfig(
        num_layers=shape.num_layers,
        hidden_size=shape.hidden_size,
        ffn_hidden_size=shape.ffn_hidden_size,
        num_attention_heads=shape.num_attention_heads,
        num_query_groups=shape.num_query_groups,
        kv_channels=shape.kv_channels,
        seq_length=shape.seq_length,
        rotary_base=int(shape.rotary_base),
        layernorm_epsilon=shape.layernorm_epsilon,
        share_embeddings_and_output_weights=shape.tied,
        vocab_rows=shape.vocab_rows,
    )
    model: torch.nn.Module = config.configure_model(None)
    state = load(model.sharded_state_dict(prefix="module."), str(checkpoint / WEIGHTS))
    model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    return model.eval()


def logit_parity(checkpoint: Path, hf_folder: Path, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Compare float32 logits of both models on `prompts` (token ids), one prompt at a time.

    Returns:
        `max_abs_diff` over all positions and rows, `argmax_equal` of `positions`, and `prompts`, their number.
    """
    from transformers import LlamaForCausalLM

    hugging_face = LlamaForCausalLM.from_pretrained(hf_folder, torch_dtype=torch.float32).eval()
    cpu_backend.activate()
    worst, equal, positions = 0.0, 0, 0
    with single_process_groups(), torch.no_grad():
        megatron = megatron_model(checkpoint)
        for ids in prompts:
            tokens = torch.tensor([list(ids)])
            mask = torch.zeros(1, dtype=torch.bool)
            theirs = megatron(tokens, torch.arange(len(ids))[None], mask)[..., : hugging_face.config.vocab_size].float()
            ours = hugging_face(tokens).logits
            worst = max(worst, float((theirs - ours).abs().max()))
            equal += int((theirs.argmax(-1) == ours.argmax(-1)).sum())
            positions += len(ids)
    return {"max_abs_diff": worst, "argmax_equal": equal, "positions": positions, "prompts": len(prompts)}
