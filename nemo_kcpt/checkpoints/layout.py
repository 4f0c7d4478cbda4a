"""The two layouts of a checkpoint: NeMo's and Megatron-Bridge's. Both hold the same tensors in the format `torch_dist`.

They differ in where its files are, how the names of tensors begin, and which file describes the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput

WEIGHTS, CONTEXT, UNFINISHED = "weights", "context", "-unfinished"
RUN_CONFIG, TRACKER = "run_config.yaml", "latest_checkpointed_iteration.txt"
STREAM = "kcpt_data.json"
"""In a checkpoint of a training with the Bridge: what its data were, and how far it was in them."""
ITERATION = re.compile(r"iter_(\d+)")
"""Name of a checkpoint in a training of the Bridge."""
FORMAT: dict[str, str | int] = {"sharded_backend": "torch_dist", "sharded_backend_version": 1}


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things are in a checkpoint.

    Args:
        backend: what reads and writes it, as in `backend=`.
        title: its name, for messages.
        weights: folder of the tensors' files in the checkpoint; empty: the checkpoint itself.
        prefix: how the names of the model's tensors begin.
        config: file that describes the model, and `section`, the mapping in it.
        format: contents of `metadata.json` beside the tensors' files.
        needed: files without which its saving was interrupted.
        trained: such files of a training's checkpoint, which has the first of them; the last one is written last.
        folders: that may be beside the tensors' files; the loader reads nothing in them.
    """

    backend: str
    title: str
    weights: str
    prefix: str
    config: str
    section: str
    format: dict[str, str | int]
    needed: tuple[str, ...]
    trained: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def missing(self, checkpoint: Path) -> list[str]:
        """Files that a checkpoint of this layout lacks."""
        trained = self.trained if any((checkpoint / name).is_file() for name in self.trained[:1]) else ()
        return [name for name in (*self.needed, *trained) if not (checkpoint / name).is_file()]

    def is_of_model(self, key: str) -> bool:
        """Whether a tensor is the model's, and not the optimizer's."""
        # What the optimizer keeps has names of its own before those of the model.
        return key.startswith(tuple(self.prefix + name for name in ("embedding.", "decoder.", "output_layer.")))


NEMO = Layout(
    backend="nemo",
    title="NeMo",
    weights=WEIGHTS,
    prefix="module.",
    config=f"{CONTEXT}/model.yaml",
    section="config",
    format={**FORMAT, "common_backend": "torch", "common_backend_version": 1},
    needed=(f"{WEIGHTS}/.metadata",),
)
BRIDGE = Layout(
    backend="bridge",
    title="Megatron-Bridge",
    weights="",
    prefix="",
    config=RUN_CONFIG,
    section="model",
    format=FORMAT,
    needed=(".metadata", "metadata.json", RUN_CONFIG),
    trained=("train_state.pt", STREAM),
    folders=("tokenizer", "hf"),
)
LAYOUTS = {layout.backend: layout for layout in (NEMO, BRIDGE)}


def layout_of(checkpoint: Path) -> Layout:
    """The layout of a checkpoint, finished or not; NeMo's where nothing tells."""
    if (checkpoint / WEIGHTS).is_dir() or (checkpoint / CONTEXT).is_dir():
        return NEMO
    named = ITERATION.fullmatch(checkpoint.name) is not None
    return BRIDGE if named or any((checkpoint / name).is_file() for name in BRIDGE.needed) else NEMO


def layout_named(backend: str) -> Layout:
    """The layout of `backend=`.

    Raises:
        BadInput: there is no such backend.
    """
    if backend not in LAYOUTS:
        raise BadInput(f"backend: '{backend}' is not one of {', '.join(LAYOUTS)}; {nearest(backend, list(LAYOUTS))}")
    return LAYOUTS[backend]


def check_layout(checkpoint: Path, wanted: Layout) -> None:
    """Refuse a checkpoint of the other backend.

    Raises:
        BadInput: it says how to get one of `wanted`.
    """
    layout = layout_of(checkpoint)
    if layout is not wanted:
        raise BadInput(
            f"{checkpoint}: a checkpoint of {layout.title}, where one of {wanted.title} is needed; `kcpt convert "
            f"switch {checkpoint} --to FOLDER` writes its weights for {wanted.title}. It starts a training; what the "
            f"optimizer of {layout.title} knew is not taken along"
        )


def weights_folder(checkpoint: Path) -> Path:
    """Where a checkpoint's tensors are."""
    return checkpoint / layout_of(checkpoint).weights
