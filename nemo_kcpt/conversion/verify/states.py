"""What a model computes on the way from token ids to logits: its hidden states, by the same names for every model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.hf.load import load_causal_lm

if TYPE_CHECKING:
    from torch import Tensor, dtype, nn

EMBEDDING, FINAL_NORM, OUTPUT = "embedding", "final norm", "output"
"""Names of states beside those of the layers: OUTPUT is the logits."""

States = dict[str, "Tensor"]
"""Name -> float32 [positions, hidden size], of OUTPUT [positions, vocabulary rows]; in the order of the model."""
Model = Callable[[Sequence[int]], States]
"""Gives the states of a prompt's token ids."""


def names(embedding: Any, layers: Sequence[Any], final_norm: Any) -> dict[str, Any]:
    """Modules by the names of the states that they give."""
    return {
        EMBEDDING: embedding,
        **{f"layer {number}": layer for number, layer in enumerate(layers)},
        FINAL_NORM: final_norm,
    }


@contextmanager
def tapped(modules: Mapping[str, nn.Module]) -> Iterator[States]:
    """What each of `modules` gives while the model runs inside; of a tuple the first."""
    states: States = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: object, inputs: object, output: Any) -> None:
            state = output[0] if isinstance(output, tuple) else output
            states[name] = state.detach().float().clone()  # what follows may write into it

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def round_weights(model: nn.Module, kind: dtype | None) -> None:
    """Round a model's weights to `kind`, None for not at all; they keep their type."""
    if kind is not None:
        for parameter in model.parameters():
            parameter.data = parameter.data.to(kind).to(parameter.dtype)


@contextmanager
def hf_states(folder: Path, rounded_to: dtype | None = None) -> Iterator[Model]:
    """transformers' model of a Hugging Face folder, in float32."""
    import torch

    model: Any = load_causal_lm(folder)
    round_weights(model, rounded_to)
    modules = names(model.model.embed_tokens, model.model.layers, model.model.norm)

    def run(ids: Sequence[int]) -> States:
        with tapped(modules) as states, torch.no_grad():
            logits = model(torch.tensor([list(ids)]), use_cache=False).logits
        return {name: states[name][0] for name in modules} | {OUTPUT: logits[0]}

    yield run
