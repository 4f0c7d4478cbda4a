"""Megatron's model of a checkpoint: what it computes, and whether an exported model computes the same logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nemo_kcpt import cpu_backend
from nemo_kcpt.checkpoints.adapters import Lora, base_of_adapters, options, read_lora
from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import check_complete
from nemo_kcpt.checkpoints.layout import NEMO, layout_of
from nemo_kcpt.conversion.verify import states as state_names
from nemo_kcpt.conversion.verify.states import OUTPUT, Model, States, hf_states, names, round_weights, tapped
from nemo_kcpt.hf.families.base import EMBEDDING
from nemo_kcpt.hf.families.base import OUTPUT as OUTPUT_LAYER
from nemo_kcpt.hf.megatron_options import config_options
from nemo_kcpt.models.llama import KcptLlamaConfig
from nemo_kcpt.training.lora import KcptLora
from nemo_kcpt.training.single_process import single_process_groups


def megatron_model(checkpoint: Path, base: Path | None = None) -> torch.nn.Module:
    """The Megatron model of a checkpoint, whole on this process (call it inside `single_process_groups`).

    The weights go through Megatron's own loader, not through our export, so that comparing the two means something. A
    checkpoint of adapters has them put into the model of `base`, or of the checkpoint that they were trained on.

    Raises:
        BadInput: the checkpoint is not whole, or holds what Megatron's unpicklers would run (see `check_complete`).
    """
    check_complete(checkpoint)
    if (lora := read_lora(checkpoint)) is not None:
        return _adapted(megatron_model(base_of_adapters(checkpoint, lora, base)), checkpoint, lora)
    shape = read_shape(checkpoint)
    config = KcptLlamaConfig(**config_options(shape, shape.positions, shape.rotary_base))
    model: torch.nn.Module = config.configure_model(None)
    _load(model, checkpoint, lambda _: True)
    return model.eval()


def _load(model: Any, checkpoint: Path, wanted: Callable[[str], bool]) -> None:
    """Load the tensors of wanted names, which have no prefix, with Megatron's loader."""
    from megatron.core.dist_checkpointing import load
    from megatron.core.dist_checkpointing.strategies.common import TorchCommonLoadStrategy

    class Nothing(TorchCommonLoadStrategy):
        """What ranks have in common is no file in the Bridge's layout, and nothing of it is the model's."""

        def load_common(self, checkpoint_dir: str | Path) -> dict[str, Any]:
            return {}

    layout = layout_of(checkpoint)
    named = model.sharded_state_dict(prefix=layout.prefix)
    names = {name: entry for name, entry in named.items() if wanted(name.removeprefix(layout.prefix))}
    state = load(names, str(checkpoint / layout.weights), common_strategy=None if layout is NEMO else Nothing())
    model.load_state_dict({name.removeprefix(layout.prefix): value for name, value in state.items()}, strict=False)


def _adapted(model: torch.nn.Module, checkpoint: Path, lora: Lora) -> torch.nn.Module:
    """`model` with the adapters of a checkpoint in it."""
    from nemo.collections.llm import fn

    fn.walk(model, KcptLora(**options(lora)).transform)
    whole = (*EMBEDDING.names, *OUTPUT_LAYER.names) if lora.embeddings else ()
    _load(model, checkpoint, lambda name: ".adapter." in name or name in whole)
    return model.eval()


@contextmanager
def megatron_states(
    checkpoint: Path, rounded_to: torch.dtype | None = None, base: Path | None = None
) -> Iterator[Model]:
    """The Megatron model of a checkpoint in float32, as what gives its states; process groups stand meanwhile.

    Args:
        checkpoint: of either backend; the model is NeMo's.
        rounded_to: type that the weights are rounded to before.
        base: see :func:`megatron_model`.

    Raises:
        BadInput: see :func:`megatron_model`.
    """
    cpu_backend.activate()
    rows = read_shape(checkpoint).vocab_rows
    with single_process_groups():
        model: Any = megatron_model(checkpoint, base)
        round_weights(model, rounded_to)
        device = next(model.parameters()).device
        modules = names(model.embedding, model.decoder.layers, model.decoder.final_layernorm)

        def run(ids: Sequence[int]) -> States:
            tokens = torch.tensor([list(ids)], device=device)
            mask = torch.zeros(1, dtype=torch.bool, device=device)
            with tapped(modules) as states, torch.no_grad():
                logits = model(tokens, torch.arange(len(ids), device=device)[None], mask)
            if model.config.scale_embeddings:  # transformers' module gives them before they are scaled
                states[state_names.EMBEDDING] /= model.config.hidden_size**0.5
            all_states = {name: states[name][:, 0] for name in modules} | {OUTPUT: logits[0, :, :rows].float()}
            return {name: state.cpu() for name, state in all_states.items()}

        yield run


def logit_parity(
    checkpoint: Path, hf_folder: Path, prompts: Sequence[Sequence[int]], base: Path | None = None
) -> dict[str, Any]:
    """Compare float32 logits of both models on `prompts` (token ids), one prompt at a time.

    Returns:
        `max_abs_diff` over all positions and rows, `argmax_equal` of `positions`, and `prompts`, their number.
    """
    worst, equal, positions = torch.zeros(()), 0, 0
    with hf_states(hf_folder) as hugging_face, megatron_states(checkpoint, base=base) as megatron:
        for ids in prompts:
            theirs, ours = megatron(ids)[OUTPUT], hugging_face(ids)[OUTPUT]
            worst = torch.maximum(worst, (theirs - ours).abs().max())
            equal += int((theirs.argmax(-1) == ours.argmax(-1)).sum())
            positions += len(ids)
    return {"max_abs_diff": float(worst), "argmax_equal": equal, "positions": positions, "prompts": len(prompts)}
