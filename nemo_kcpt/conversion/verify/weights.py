"""The weights of two models, tensor by tensor and bit by bit; one tensor of each is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.mapping import hf_sizes, megatron_parts
from nemo_kcpt.conversion.verify.result import Part, verdict
from nemo_kcpt.conversion.verify.sides import Side
from nemo_kcpt.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

WORST = 5
"""Differing tensors that are named."""
AT_ONCE = 1 << 22
"""Elements that are compared at a time: differences need memory too."""


def common_type(kinds: Set[str]) -> str:
    """The type that values of `kinds` are compared in: the narrower, float32 where neither holds all of the other's."""
    narrow = kinds - {"float32"}
    return next(iter(narrow)) if len(narrow) == 1 else "float32"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two tensors of one name and size differ.

    Args:
        name: of the tensor.
        kind: type that the values were compared in.
        elements: of the tensor.
        different: number of them whose bits differ.
        max_abs_diff: largest difference of those that are finite.
        not_finite: number of differing elements that are infinite or not a number on a side.
    """

    name: str
    kind: str
    elements: int
    different: int
    max_abs_diff: float
    not_finite: int

    def __str__(self) -> str:
        odd = f", {self.not_finite} of them not finite" if self.not_finite else ""
        share = f"{self.different:,} of {self.elements:,} elements ({self.different / self.elements:.2%})"
        return f"{self.name}: {share}, by at most {self.max_abs_diff:.1e}{odd}"

    def document(self) -> dict[str, Any]:
        """For the JSON document."""
        return {
            "name": self.name,
            "max_abs_diff": self.max_abs_diff,
            "share": self.different / self.elements,
            "different": self.different,
            "elements": self.elements,
            "not_finite": self.not_finite,
        }


def compare_tensors(name: str, a: Tensor, b: Tensor) -> Difference:
    """Compare two tensors of one size in their :func:`common_type`."""
    import torch

    kind = common_type({str(tensor.dtype).removeprefix("torch.") for tensor in (a, b)})
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    flat = [tensor.reshape(-1) for tensor in (a, b)]
    different, worst, odd = 0, 0.0, 0
    for start in range(0, a.numel(), AT_ONCE):
        mine, theirs = (tensor[start : start + AT_ONCE].to(getattr(torch, kind)).contiguous() for tensor in flat)
        unequal = mine.view(bits[mine.itemsize]) != theirs.view(bits[mine.itemsize])
        if unequal.any():
            gaps = (mine[unequal].float() - theirs[unequal].float()).abs()
            finite = gaps[gaps.isfinite()]
            different += gaps.numel()
            odd += gaps.numel() - finite.numel()
            worst = max(worst, float(finite.max()) if finite.numel() else 0.0)
    return Difference(name=name, kind=kind, elements=a.numel(), different=different, max_abs_diff=worst, not_finite=odd)


def _take(tensors: Iterator[tuple[str, Tensor]], wanted: str) -> Tensor:
    """The tensor named `wanted`, which comes further on."""
    return next(tensor for name, tensor in tensors if name == wanted)


def compare_weights(a: Side, b: Side) -> Part:
    """All tensors by their Hugging Face names; passes if the same ones are there, of equal bits.

    Where the types differ, both are compared in the narrower: an export to bfloat16 is right if it is rounded right.
    """
    mine, theirs = hf_sizes(a.shape), hf_sizes(b.shape)
    other_size = {name: (mine[name], theirs[name]) for name in mine if theirs.get(name, mine[name]) != mine[name]}
    common = [name for name in _order(a, b) if name not in other_size]
    only = {"a": [name for name in mine if name not in theirs], "b": [name for name in theirs if name not in mine]}
    differences, (left, right) = [], (a.tensors(), b.tensors())
    with progress() as bar:
        for name in bar.track(common, description="verify: tensors"):
            differences.append(compare_tensors(name, _take(left, name), _take(right, name)))
    kinds = sorted({difference.kind for difference in differences})
    differing = sorted(
        (difference for difference in differences if difference.different),
        key=lambda difference: (difference.not_finite, difference.max_abs_diff),
        reverse=True,
    )
    types = [", ".join(sorted(side.dtypes)) for side in (a, b)]
    rounded = f" as {' and '.join(kinds)} (A is {types[0]}, B {types[1]})" if types[0] != types[1] else ""
    lines = [str(difference) for difference in differing[:WORST]]
    lines += [f"… and {len(differing) - WORST} more"] * (len(differing) > WORST)
    lines += [f"{name}: A {sizes[0]}, B {sizes[1]}; not compared" for name, sizes in other_size.items()]
    lines += [f"only in {side.upper()}: {', '.join(names)}" for side, names in only.items() if names]
    return Part(
        name="weights",
        state=verdict(not (differing or other_size or only["a"] or only["b"])),
        summary=f"{len(differences) - len(differing)} of {len(differences)} tensors equal bit for bit{rounded}",
        details=lines,
        numbers={
            "tensors": len(differences),
            "bit_equal": len(differences) - len(differing),
            "bit_equal_as": kinds,
            "differ": len(differing),
            "worst": [difference.document() for difference in differing[:WORST]],
            "other_size": {name: {"a": sizes[0], "b": sizes[1]} for name, sizes in other_size.items()},
            "only_in_a": only["a"],
            "only_in_b": only["b"],
        },
    )


def _order(a: Side, b: Side) -> list[str]:
    """The names that both have, in the order of `Side.tensors`."""
    theirs = hf_sizes(b.shape)
    return [name for part in megatron_parts(a.shape) for name in part.sources if name in theirs]
