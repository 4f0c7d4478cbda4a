"""Checkpoints that hold low-rank adapters alone: `lora.json`, the base that they go with, and the merged weights.

An adapter of a linear layer W [out, in] is A [rank, in] and B [out, rank]; the layer with it is W + alpha / rank · B A
(Hu et al. 2021, arXiv 2106.09685, section 4.1). For fused layers (query, key and value; gate and up) there is one A,
and the rows of B are fused as those of W are: each part's adapter is the rows of B that go with it, and that A.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.checkpoint import LAYERS, CheckpointReader
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.layout import WEIGHTS
from nemo_kcpt.checkpoints.mapping import Part
from nemo_kcpt.checkpoints.weights_identity import of_checkpoint
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

LORA = "lora.json"
A, B = "adapter.linear_in.weight", "adapter.linear_out.weight"
"""What is in a checkpoint in the place of a layer's `weight`."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """The adapters of a checkpoint."""

    rank: int
    alpha: float
    dropout: float
    targets: list[str]
    """Linear layers that have them, by Megatron's names."""
    embeddings: bool
    """Whether the embedding and the output layer were trained, too, whole."""
    base: str
    """Checkpoint of the weights that they go with, where it was."""
    base_weights: str
    """:func:`of_checkpoint` of it."""

    @property
    def scale(self) -> float:
        """Factor of B A."""
        return self.alpha / self.rank

    def described(self) -> str:
        """In words, for a model card."""
        more = ", embeddings whole" if self.embeddings else ""
        return f"LoRA of rank {self.rank}, alpha {self.alpha:g}, {', '.join(self.targets)}{more}"


def write_lora(checkpoint: Path, lora: Lora) -> Path:
    """Write a checkpoint's `lora.json`; returns it."""
    write_json(checkpoint / LORA, asdict(lora))
    return checkpoint / LORA


def read_lora(checkpoint: Path) -> Lora | None:
    """A checkpoint's `lora.json`; None where it has none: its weights are whole.

    Raises:
        BadInput: it is damaged, or missing though the checkpoint holds adapters.
    """
    path = checkpoint / LORA
    if not path.is_file():
        if (checkpoint / WEIGHTS / "adapter_metadata.json").is_file():
            raise BadInput(f"{path}: missing, and {checkpoint} holds adapters alone; copy the checkpoint again")
        return None
    content = read_json(path)
    names = {field.name for field in fields(Lora)}
    try:
        lora = Lora(**{key: value for key, value in content.items() if key in names})
        if not (
            lora.rank > 0 and isinstance(lora.base, str) and all(isinstance(target, str) for target in lora.targets)
        ):
            raise ValueError("its values are none")
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path}: not the adapters of a checkpoint of ours ({error}); copy the checkpoint again"
        ) from None
    return lora


def base_of_adapters(checkpoint: Path, lora: Lora, given: Path | None = None) -> Path:
    """The checkpoint of the weights that adapters go with: `given`, or where it was.

    Raises:
        BadInput: there is none, or it holds other weights.
    """
    base = given if given is not None else Path(lora.base)
    try:
        folder = find_checkpoint(base)
        theirs = of_checkpoint(folder)
    except BadInput as error:
        raise BadInput(
            f"{checkpoint}: holds adapters for the weights in {base}, which cannot be read ({error}); give base= the "
            "checkpoint that the training started from"
        ) from None
    if theirs != lora.base_weights:
        raise BadInput(
            f"{checkpoint}: its adapters were trained on other weights than those in {folder} (hash {theirs[:12]}, "
            f"expected {lora.base_weights[:12]}); give base= the checkpoint that the training started from, which was "
            f"{lora.base}"
        )
    return folder


def check_rank(rank: int, tensor_parallel: int) -> None:
    """Tensor-parallel ranks share the rows of A.

    Raises:
        BadInput: they do not divide the adapters' rank.
    """
    if rank % tensor_parallel:
        raise BadInput(f"lora={rank} does not divide by tensor_parallel={tensor_parallel}; give a multiple of that")


def check_resumed_adapters(checkpoint: Path, theirs: Lora | None, ours: Lora) -> None:
    """Hold the adapters of a checkpoint against those of the training that resumes it.

    Raises:
        BadInput: it has none, others, or adapters of weights that are no longer there.
    """
    if theirs is None:
        raise BadInput(f"{checkpoint}: its training was of whole weights; leave lora= out, or give another dir=")
    for name in ("rank", "alpha", "targets", "embeddings"):
        if getattr(ours, name) != getattr(theirs, name):
            raise BadInput(
                f"{checkpoint}: was trained with {theirs.described()}, this is {ours.described()}; give the same, or "
                "another dir="
            )
    base_of_adapters(checkpoint, theirs)


class Adapters:
    """The adapters of a checkpoint, by the part of the model that they go with."""

    def __init__(self, checkpoint: Path, lora: Lora) -> None:
        self.lora, self.reader = lora, CheckpointReader(checkpoint)

    def has(self, part: Part) -> bool:
        """Whether the checkpoint holds the whole tensor of a part, as a trained embedding."""
        return any(self.reader.has(name) for name in part.names) and part.layer is None

    def factors(self, part: Part) -> tuple[Tensor, Tensor] | None:
        """A [rank, in] and B [out, rank] of a layer's matrix; None where it has no adapter.

        Raises:
            BadInput: one of them is missing, or of another size.
        """
        if not part.is_linear:
            return None
        rank, (rows, columns) = self.lora.rank, part.size
        tensors: list[Tensor] = []
        for suffix, size in ((A, (rank, columns)), (B, (rows, rank))):
            names = tuple(name.removesuffix("weight") + suffix for name in part.names)
            there = [
                name
                for name in names
                if self.reader.has(f"{LAYERS}{name}") or self.reader.has(f"{LAYERS}{part.layer}.{name}")
            ]
            if there:
                tensors.append(self.reader.read(replace(part, names=(there[0],), size=size, sources=())))
        if len(tensors) == 1:
            raise BadInput(f"{self.reader.folder}: half of the adapter of {part.name} is missing in it")
        return (tensors[0], tensors[1]) if tensors else None


class Merged:
    """Reads a base checkpoint's tensors with the adapters added, in float32: W + alpha / rank · B A."""

    def __init__(self, base: CheckpointReader, adapters: Adapters) -> None:
        self.base, self.adapters = base, adapters

    def read(self, part: Part) -> Tensor:
        """A tensor of `part.size`; it and the product are in memory."""
        if self.adapters.has(part):
            return self.adapters.reader.read(part)
        tensor = self.base.read(part)
        if (factors := self.adapters.factors(part)) is None:
            return tensor
        down, up = (factor.float() for factor in factors)
        return tensor.float().addmm_(up, down, alpha=self.adapters.lora.scale)


def options(lora: Lora) -> dict[str, Any]:
    """Arguments of the callback that puts such adapters into a model."""
    return {
        "target_modules": list(lora.targets),
        "dim": lora.rank,
        "alpha": lora.alpha,
        "dropout": lora.dropout,
        "embeddings": lora.embeddings,
    }
