"""GPUs that are known by name, and a cluster of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU's memory and speed."""

    memory_gb: float
    """10^9 bytes."""
    tflops: float
    """Peak of dense bf16 matrix products, 10^12 a second."""


GPUS: dict[str, Gpu] = {
    "h100-80gb": Gpu(memory_gb=80, tflops=989.4),
    "h200-141gb": Gpu(memory_gb=141, tflops=989.4),
    "b200-180gb": Gpu(memory_gb=180, tflops=2250),
    "a100-80gb": Gpu(memory_gb=80, tflops=312),
    "a100-40gb": Gpu(memory_gb=40, tflops=312),
}
"""From NVIDIA's data sheets (SXM forms, without sparsity)."""


def known_gpu(name: str) -> Gpu:
    """The GPU of this name.

    Raises:
        BadInput: it is unknown.
    """
    if name.lower() not in GPUS:
        raise BadInput(
            f"gpu: '{name}' is not known; {nearest(name.lower(), list(GPUS))}. For another give memory_gb and tflops"
        )
    return GPUS[name.lower()]


def peak_tflops(device: str) -> float | None:
    """Peak of dense bf16, by the name that CUDA gives a device, such as "NVIDIA H100 80GB HBM3"; None if unknown."""
    for name, gpu in GPUS.items():
        if re.search(rf"\b{name.split('-')[0]}\b", device, re.IGNORECASE):
            return gpu.tflops
    return None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a training runs on."""

    nodes: int = 1
    gpus_per_node: int = 8
    gpu: Gpu = GPUS["h100-80gb"]
    mfu: float = 0.45
    """Share of the peak that the model's FLOPs reach on one GPU with large enough matrices, before what
    :mod:`nemo_kcpt.planning.throughput` takes off. An assumption: Megatron-LM's README reports 0.41 (2 billion weights)
    to 0.48 (462 billion) for whole trainings in bf16 on H100s; nothing was measured here."""

    def __post_init__(self) -> None:
        for name, value in (("nodes", self.nodes), ("gpus", self.gpus_per_node)):
            if value < 1:
                raise BadInput(f"{name}: {value} was given; at least 1 is needed")
        if not 0 < self.mfu <= 1:
            raise BadInput(f"mfu: {self.mfu} was given; a share above 0 and at most 1 is needed, such as 0.45")

    @property
    def gpus(self) -> int:
        """In all."""
        return self.nodes * self.gpus_per_node
