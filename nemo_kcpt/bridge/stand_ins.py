"""What must be in place before Megatron-Bridge 0.6.2 is imported, where packages that it takes for granted are missing.

Three of its imports stand outside any guard (`upstream lines` below). Where the package is there, nothing is done.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
import typing
from collections.abc import Sequence
from typing import Any

LORA_LAYERS = "megatron.bridge.peft.lora_layers"
IMPORT_OF_ENGINE = "import transformer_engine.pytorch as te\n"


def put_in_place() -> None:
    """Let `import megatron.bridge` work; to be called first, and harmless when it is called again."""
    _override()
    _resiliency()
    _engine()


def _override() -> None:
    """megatron/training/models/gpt.py: `from typing import override`, which Python 3.11 has not."""
    if not hasattr(typing, "override"):
        import typing_extensions

        typing.override = typing_extensions.override  # type: ignore[attr-defined]


def _resiliency() -> None:
    """megatron/bridge/training/pretrain.py: `from nvidia_resiliency_ext.inprocess import CallWrapper`.

    Its wheels from 0.6 on are for glibc 2.39, older ones fail an assertion of Megatron-Core. It is used where
    `inprocess_restart` is configured only, which then fails with its absence.
    """
    name = "nvidia_resiliency_ext"
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    package, inprocess = types.ModuleType(name), types.ModuleType(f"{name}.inprocess")
    package.__path__ = []
    package.__version__, inprocess.CallWrapper = "0.0.0", object  # type: ignore[attr-defined]
    package.inprocess = inprocess  # type: ignore[attr-defined]
    sys.modules[name], sys.modules[f"{name}.inprocess"] = package, inprocess


class _Any(type):
    """A class whose attributes are classes: enough for `te.ops.Sequential` in annotations and isinstance."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Any(name, (), {})


class _WithoutEngine:
    """Loads `lora_layers.py` without its import of Transformer Engine.

    A stand-in in `sys.modules` would make Megatron-Core believe that it has Transformer Engine.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's own place, with a loader that leaves the line out."""
        if name != LORA_LAYERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _Loader(name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: types.ModuleType) -> None:
        module.te = _Any("te", (), {})  # type: ignore[attr-defined]
        super().exec_module(module)

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:  # type: ignore[override]
        text = importlib.util.decode_source(data)
        if IMPORT_OF_ENGINE not in text:
            raise ImportError(f"{path}: no longer imports Transformer Engine in the line that nemo_kcpt replaces")
        return super().source_to_code(text.replace(IMPORT_OF_ENGINE, "\n").encode(), path)

    def get_code(self, fullname: str) -> Any:
        # Python's cache of compiled modules holds the module as it is.
        return self.source_to_code(self.get_data(self.path), self.path)


def _engine() -> None:
    """megatron/bridge/peft/lora_layers.py: `import transformer_engine.pytorch as te`."""
    if importlib.util.find_spec("transformer_engine") is None and not any(
        isinstance(finder, _WithoutEngine) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _WithoutEngine())
