"""Arithmetic on the weights of models that agree, a tensor at a time: interpolation and task vectors.

Interpolation of a model and what a training made of it is WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903, section 3,
equation 1): (1 - alpha) A + alpha B. A task vector is the difference that a training made (Ilharco et al. 2022, arXiv
2212.04089, section 2), and is added to another model times a scale: A + scale * sum(B - base). With an instruct model
as B it is a chat vector (Huang et al. 2023, arXiv 2310.04799, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nemo_kcpt.checkpoints.hf_weights import INDEX, SINGLE, HfWeights
from nemo_kcpt.checkpoints.safetensors_file import TYPES, in_files, write_safetensors
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_json

if TYPE_CHECKING:
    from torch import Tensor

ELEMENTS = 1 << 22
"""Elements of a tensor that are float32 at a time."""


@dataclass(frozen=True, kw_only=True)
class Interpolation:
    """(1 - alpha) A + alpha B."""

    alpha: float

    def __call__(self, parts: Sequence[Tensor]) -> Tensor:
        """The same stretch of A and B, float32, as one.

        Where A and B are equal the result is, too: `lerp` computes A + alpha (B - A), or B - (1 - alpha) (B - A) from
        alpha 0.5 on. At 0 and 1 nothing is computed, so that not even the sign of a zero changes.
        """
        import torch

        if self.alpha in (0.0, 1.0):
            return parts[int(self.alpha)]
        return torch.lerp(*parts, self.alpha)


@dataclass(frozen=True, kw_only=True)
class TaskVectors:
    """A + scale * sum(B - base)."""

    scale: float

    def __call__(self, parts: Sequence[Tensor]) -> Tensor:
        """The same stretch of A, base and each B, float32, as one."""
        to, base, *others = parts
        if self.scale == 0.0:
            return to
        change = others[0] - base
        for other in others[1:]:
            change += other - base
        return to + self.scale * change


Formula = Interpolation | TaskVectors


def mixed(models: Sequence[HfWeights], name: str, formula: Formula, dtype: str) -> Tensor:
    """One tensor of the mixture, of type `dtype`.

    Each model's is mapped from its file and computed with in stretches of `ELEMENTS`: the result is all that is in
    memory.

    Raises:
        BadInput: a model's tensor holds NaN or infinity, or the result is beyond what `dtype` can hold.
    """
    import torch

    tensors = [model.read(name) for model in models]
    size, flat = tensors[0].shape, [tensor.reshape(-1) for tensor in tensors]
    result = torch.empty(flat[0].numel(), dtype=getattr(torch, dtype))
    for start in range(0, result.numel(), ELEMENTS):
        parts = [tensor[start : start + ELEMENTS].float() for tensor in flat]
        for model, part in zip(models, parts):
            if not torch.isfinite(part).all():
                raise BadInput(
                    f"{model.places[name]}: {name} holds NaN or infinity; the training diverged or the file is "
                    "damaged. Take an earlier checkpoint, or copy the folder again"
                )
        stretch = result[start : start + ELEMENTS].copy_(formula(parts))
        if not torch.isfinite(stretch).all():
            raise BadInput(
                f"{name}: the mixture has values beyond {dtype}; give dtype=bfloat16 or float32, or a smaller scale"
            )
    return result.reshape(size)


def groups(sizes: Mapping[str, tuple[int, ...]], types: Mapping[str, str], largest: int) -> list[list[str]]:
    """The tensors that go into a file each, of at most `largest` bytes if more than one; in the order of `sizes`."""
    return in_files(((name, math.prod(size) * TYPES[types[name]][1]) for name, size in sizes.items()), largest)


def write_mixture(
    models: Sequence[HfWeights],
    types: Mapping[str, str],
    formula: Formula,
    out: Path,
    largest: int,
    seen: Callable[[int], object] = lambda _: None,
) -> list[Path]:
    """Write `model.safetensors`, or shards with an index; shards that are there are passed over.

    Args:
        models: in the order that `formula` takes; all have the tensors of `types`, in the same sizes.
        types: names of the tensors to write, and the type of each, a key of `TYPES`.
        formula: what becomes of them.
        out: folder to write into; what is in it under these names must be of this mixture.
        largest: bytes of a shard.
        seen: is called with the number of weights that each tensor had.

    Returns:
        The files.
    """
    sizes = {name: models[0].sizes[name] for name in types}
    shards = groups(sizes, types, largest)

    def tensors(names: Sequence[str]) -> Iterator[Tensor]:
        for name in names:
            yield mixed(models, name, formula, types[name])
            seen(math.prod(sizes[name]))

    paths: list[Path] = []
    places: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = SINGLE if len(shards) == 1 else f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        places.update(dict.fromkeys(names, file))
        paths.append(out / file)
        own = {name: sizes[name] for name in names}
        if paths[-1].is_file():
            seen(sum(map(math.prod, own.values())))
        else:
            write_safetensors(paths[-1], own, types, tensors(names))
    if len(shards) > 1:
        total = total_bytes(sizes, types)
        write_json(out / INDEX, {"metadata": {"total_size": total}, "weight_map": places})
        paths.append(out / INDEX)
    return paths


def total_bytes(sizes: Mapping[str, tuple[int, ...]], types: Mapping[str, str]) -> int:
    """Bytes of the tensors in `types`, without headers."""
    return sum(math.prod(sizes[name]) * TYPES[types[name]][1] for name in types)
