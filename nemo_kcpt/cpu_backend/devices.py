"""Stand-ins for CUDA's devices: names of ``torch.cuda``, and a ``torch`` that allocates on the CPU.

Every stand-in is a function or class of its own: ``torch._dynamo`` keeps a table of torch's functions by identity and
refuses one object under two names ("Duplicate torch object").
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

CPU = torch.device("cpu")


def current_device(_original: Any) -> Callable[[], torch.device]:
    """Stands in for ``torch.cuda.current_device``. Upstream only passes the result on as ``device=…``."""

    def cpu_current_device() -> torch.device:
        return CPU

    return cpu_current_device


def synchronize(_original: Any) -> Callable[..., None]:
    """Stands in for ``torch.cuda.synchronize``: a CPU runs nothing behind the program's back."""

    def cpu_synchronize(device: Any = None) -> None:
        del device

    return cpu_synchronize


class CpuStream:
    """Stands in for ``torch.cuda.Stream``; ``torch.cuda.stream(CpuStream())`` does nothing without CUDA."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        del device, priority

    def wait_stream(self, stream: Any) -> None:
        """Nothing to wait for."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


def stream(_original: Any) -> type[CpuStream]:
    """Stands in for ``torch.cuda.Stream``."""
    return CpuStream


def current_stream(_original: Any) -> Callable[..., CpuStream]:
    """Stands in for ``torch.cuda.current_stream``."""

    def cpu_current_stream(device: Any = None) -> CpuStream:
        return CpuStream(device)

    return cpu_current_stream


class HostTensor:
    """What ``torch.tensor(…, pin_memory=True)`` gives on a CPU; upstream's next call is ``.to("cuda")``."""

    def __init__(self, value: torch.Tensor) -> None:
        self._value = value

    def to(self, device: Any, non_blocking: bool = False) -> torch.Tensor:
        """The tensor itself, where it is."""
        del device, non_blocking
        return self._value


def _on_cpu(device: Any) -> Any:
    return CPU if device is not None and torch.device(device).type == "cuda" else device


class CpuTorch:
    """The ``torch`` module as a module with ``device="cuda"`` written out sees it: such tensors land on the CPU.

    Only the allocating functions that those modules call are here; everything else is torch's own.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def tensor(data: Any, *, device: Any = None, pin_memory: bool = False, **options: Any) -> torch.Tensor | HostTensor:
        """``torch.tensor`` on the CPU; pinned memory becomes a :class:`HostTensor`."""
        if isinstance(data, torch.Tensor):
            value = data.detach().clone()
        else:
            value = torch.tensor(data, device=_on_cpu(device), **options)
        return HostTensor(value) if pin_memory else value

    @staticmethod
    def zeros(*size: Any, device: Any = None, **options: Any) -> torch.Tensor:
        """``torch.zeros`` on the CPU."""
        return torch.zeros(*size, device=_on_cpu(device), **options)


def cpu_torch(_original: Any) -> CpuTorch:
    """Stands in for the name ``torch`` of one module."""
    return CpuTorch()


def tied_embeddings(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """Stands in for ``LanguageModule.setup_embeddings_and_output_layer``: ``Tensor.cuda`` changes nothing meanwhile."""

    @functools.wraps(original)
    def cpu_tied_embeddings(self: Any) -> None:
        to_cuda = torch.Tensor.cuda
        torch.Tensor.cuda = _stay
        try:
            original(self)
        finally:
            torch.Tensor.cuda = to_cuda

    return cpu_tied_embeddings


def _stay(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return tensor


def stay(_original: Any) -> Callable[..., torch.Tensor]:
    """Stands in for ``Tensor.cuda``: the tensor is on the only device there is."""
    return _stay
