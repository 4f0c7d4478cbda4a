"""The two models that are compared, A and B: Hugging Face folders or checkpoints, read by the same names."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nemo_kcpt.checkpoints.adapters import read_lora
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.layout import BRIDGE, TRACKER, WEIGHTS, layout_of
from nemo_kcpt.checkpoints.mapping import hf_tensors, megatron_parts
from nemo_kcpt.checkpoints.origin import read_origin
from nemo_kcpt.conversion.verify.result import Part, verdict
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_file
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.hf.thinking import Form
from nemo_kcpt.hf.tokenizer import PackTokenizer

if TYPE_CHECKING:
    from torch import Tensor

TOKENIZER = "tokenizer.json"


class Rendering(NamedTuple):
    """What makes token ids of texts and conversations."""

    folder: Path
    template: str = ""
    day: str = DATE

    def tokenizer(self) -> PackTokenizer:
        """It, opened."""
        return PackTokenizer(self.folder, self.template, self.day)

    def form(self) -> Form:
        """How its chat template is asked for replies without thoughts."""
        tokenizer = self.tokenizer()
        return tokenizer.form if tokenizer.has_template else Form()


@dataclass(frozen=True, kw_only=True)
class Side:
    """A model.

    Args:
        name: A or B.
        path: the folder, or of a training the checkpoint in it.
        shape: of the model.
        dtypes: of its weights, by torch's names.
        tokenizer: folder of the tokenizer that goes with it, None if that is not known.
        source: where the tensors are read.
        template: chat template that it was trained with, if not the tokenizer's own.
        day: the date that its template writes.
    """

    name: str
    path: Path
    shape: ModelShape
    dtypes: frozenset[str]
    tokenizer: Path | None
    source: HfFolder | CheckpointReader
    template: str = ""
    day: str = DATE

    @property
    def rendering(self) -> Rendering | None:
        """Its tokenizer with its chat template and date; None without a tokenizer."""
        return None if self.tokenizer is None else Rendering(self.tokenizer.resolve(), self.template, self.day)

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a checkpoint, else it is a Hugging Face folder."""
        return isinstance(self.source, CheckpointReader)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Hugging Face names and tensors; those of every model come in the same order, one at a time."""
        if isinstance(self.source, CheckpointReader):
            yield from hf_tensors(self.shape, self.source.read)
        else:
            for part in megatron_parts(self.shape):
                for name in part.sources:
                    yield name, self.source.read(name)

    def document(self) -> dict[str, Any]:
        """For the JSON document."""
        return {
            "path": str(self.path),
            "kind": f"{layout_of(self.path).title} checkpoint" if self.is_checkpoint else "Hugging Face folder",
            "dtypes": sorted(self.dtypes),
            "parameters": self.shape.parameters(),
            "tokenizer": self.tokenizer and str(self.tokenizer),
        }


def _of_origin(checkpoint: Path) -> Path | None:
    """The tokenizer folder of the model that was imported, if it is still there and still the same."""
    origin = read_origin(checkpoint)
    file = Path(origin.base.folder) / TOKENIZER if origin.base else None
    if file is None or not file.is_file() or origin.tokenizer_json not in (None, sha256_file(file)):
        return None
    return file.parent


def open_side(name: str, given: Path, tokenizer: Path | None = None) -> Side:
    """The model that `given` means; `tokenizer` is the folder of the tokenizer where it has none of its own.

    Raises:
        BadInput: `given` is neither a Hugging Face folder nor a checkpoint nor a training's folder, or damaged.
    """
    if tokenizer is not None and not (tokenizer / TOKENIZER).is_file():
        raise BadInput(f"tokenizer: {tokenizer}: no {TOKENIZER} in it; give a Hugging Face tokenizer folder")
    known = any((given / entry).exists() for entry in ("config.json", WEIGHTS, "checkpoints", TRACKER))
    if not known and layout_of(given) is not BRIDGE:
        what = "nothing like that is in it" if given.is_dir() else "no such folder"
        raise BadInput(
            f"{name}: {given}: {what}; expected a Hugging Face folder (config.json), a checkpoint of NeMo "
            f"({WEIGHTS}/ and context/) or of Megatron-Bridge ({BRIDGE.config}), or a training's folder (checkpoints/)"
        )
    if (given / "config.json").is_file():
        folder = HfFolder(given)
        own = given if (given / TOKENIZER).is_file() else tokenizer
        return Side(
            name=name, path=given, shape=folder.shape, dtypes=frozenset(folder.dtypes), tokenizer=own, source=folder
        )
    checkpoint = find_checkpoint(given)
    if read_lora(checkpoint) is not None:
        raise BadInput(
            f"{name}: {checkpoint}: holds adapters alone; export the merged model (kcpt convert export) first"
        )
    reader = CheckpointReader(checkpoint)
    trained = read_origin(checkpoint).conversations
    return Side(
        name=name,
        path=checkpoint,
        shape=read_shape(checkpoint),
        dtypes=frozenset(str(kind).removeprefix("torch.") for kind in reader.dtypes),
        tokenizer=tokenizer or _of_origin(checkpoint),
        source=reader,
        template=(trained and trained.chat_template) or "",
        day=(trained and trained.template_date) or DATE,
    )


def compare_configs(a: Side, b: Side) -> Part:
    """Sizes, RoPE base and scaling, positions, epsilon, whether the embedding is tied: all must be equal."""
    differences = {
        field.name: {"a": getattr(a.shape, field.name), "b": getattr(b.shape, field.name)}
        for field in fields(ModelShape)
        if getattr(a.shape, field.name) != getattr(b.shape, field.name)
    }
    count = len(fields(ModelShape))
    return Part(
        name="config",
        state=verdict(not differences),
        summary=f"{count - len(differences)} of {count} values equal",
        details=[f"{name}: A {pair['a']}, B {pair['b']}" for name, pair in differences.items()],
        numbers={"values": count, "differences": differences},
    )


def obstacle(sides: Iterable[Side]) -> str | None:
    """What prevents running each of these models in float32, one after the other; None if nothing does."""
    import psutil

    free = psutil.virtual_memory().available
    for side in sides:
        if side.is_checkpoint and importlib.util.find_spec("nemo") is None:
            return f"{side.name} is a checkpoint, and NeMo, which loads it, is not installed here"
        needed = 4 * side.shape.parameters()
        if needed > free:
            return f"{side.name} needs {needed / 1e9:.1f} GB of memory in float32, {free / 1e9:.1f} GB are free"
    return None
