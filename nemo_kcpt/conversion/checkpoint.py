"""Reading a NeMo 2 checkpoint without NeMo: its place, its model's shape, its tensors.

`.metadata` of a torch_dist checkpoint is a pickle; it is read with an unpickler that knows only the classes listed
here, and this module is the one place where the project unpickles anything a user may have been sent.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.conversion.llama_mapping import LlamaShape
from nemo_kcpt.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS, CONTEXT, UNFINISHED = "weights", "context", "-unfinished"

ALLOWED = frozenset(
    {
        ("collections", "OrderedDict"),
        ("pathlib", "PosixPath"),
        ("torch", "Size"),
        ("torch", "float32"),
        ("torch", "float16"),
        ("torch", "bfloat16"),
        ("torch", "int64"),
        ("torch", "int32"),
        ("torch", "uint8"),
        ("torch", "bool"),
        ("torch", "device"),
        ("torch.serialization", "_get_layout"),
        ("torch.distributed.checkpoint.metadata", "BytesStorageMetadata"),
        ("torch.distributed.checkpoint.metadata", "ChunkStorageMetadata"),
        ("torch.distributed.checkpoint.metadata", "Metadata"),
        ("torch.distributed.checkpoint.metadata", "MetadataIndex"),
        ("torch.distributed.checkpoint.metadata", "StorageMeta"),
        ("torch.distributed.checkpoint.metadata", "TensorProperties"),
        ("torch.distributed.checkpoint.metadata", "TensorStorageMetadata"),
        ("torch.distributed.checkpoint.metadata", "_MEM_FORMAT_ENCODING"),
        ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
        ("torch.distributed.checkpoint.planner", "TensorWriteData"),
        ("torch.distributed.checkpoint.planner", "WriteItem"),
        ("torch.distributed.checkpoint.planner", "WriteItemType"),
        ("megatron.core.dist_checkpointing.strategies.torch", "MCoreMetadata"),
        ("megatron.core.dist_checkpointing.strategies.torch", "MCoreSavePlan"),
    }
)
"""Every class that a checkpoint's `.metadata` may name: plain records of sizes, types and file places."""


class _MetadataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise BadInput(
                f"it names {module}.{name}, which no Megatron checkpoint needs; the file may be hostile and was "
                "not read further. Use a checkpoint from a source you trust"
            )
        return super().find_class(module, name)


def read_metadata(path: Path) -> Any:
    """The contents of a `.metadata` file, a `torch.distributed.checkpoint.metadata.Metadata`.

    Raises:
        BadInput: it names a class outside `ALLOWED`, of which nothing is run then, or it is damaged.
    """
    from torch.distributed.checkpoint.metadata import Metadata

    try:
        metadata = _MetadataUnpickler(io.BytesIO(path.read_bytes())).load()
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except Exception as error:  # whatever a damaged pickle makes of itself
        raise BadInput(f"{path}: damaged ({type(error).__name__}: {error}); export another checkpoint") from None
    if not isinstance(metadata, Metadata):
        raise BadInput(f"{path}: expected the metadata of a torch_dist checkpoint, found a {type(metadata).__name__}")
    return metadata


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that `path` means: itself, or the newest finished one of a training folder.

    Raises:
        BadInput: there is none, or only one whose saving was interrupted.
    """
    if (path / WEIGHTS).is_dir():
        return path
    folder = path / "checkpoints"
    candidates = [
        entry
        for entry in (folder.iterdir() if folder.is_dir() else ())
        if (entry / WEIGHTS / ".metadata").is_file() and not entry.with_name(entry.name + UNFINISHED).exists()
    ]
    if not candidates:
        raise BadInput(f"{path}: no finished checkpoint in it; expected {path}/weights or {folder}/*/weights")
    return max(candidates, key=lambda entry: (entry / WEIGHTS / ".metadata").stat().st_mtime_ns)


def identity(checkpoint: Path) -> str:
    """Names, sizes and times of the checkpoint's files: tells trainings apart without reading gigabytes."""
    entries = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    return "; ".join(
        f"{path.relative_to(checkpoint)} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in entries
    )


def read_shape(checkpoint: Path) -> LlamaShape:
    """The model's shape from `context/model.yaml`.

    Raises:
        BadInput: the file is missing, is not YAML or lacks what a Llama needs.
    """
    import yaml

    path = checkpoint / CONTEXT / "model.yaml"
    if not path.is_file():
        raise BadInput(f"{path}: missing; the checkpoint was saved without its context and cannot be exported")
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        heads = config["num_attention_heads"]
        return LlamaShape(
            num_layers=config["num_layers"],
            hidden_size=config["hidden_size"],
            ffn_hidden_size=config["ffn_hidden_size"],
            num_attention_heads=heads,
            num_query_groups=config["num_query_groups"] or heads,
            kv_channels=config["kv_channels"] or config["hidden_size"] // heads,
            vocab_rows=int(config.get("vocab_rows") or config["vocab_size"]),
            seq_length=config["seq_length"],
            rotary_base=config["rotary_base"],
            layernorm_epsilon=config["layernorm_epsilon"],
            tied=config["share_embeddings_and_output_weights"],
        )
    except yaml.YAMLError as error:
        raise BadInput(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except (KeyError, TypeError) as error:
        raise BadInput(f"{path}: not the config of a Llama of ours, {error} is missing") from None


class CheckpointReader:
    """Tensors of a torch_dist checkpoint by name, one at a time, from any TP x PP x DP layout.

    Raises:
        BadInput: no torch_dist checkpoint, or a `.metadata` that names a class outside `ALLOWED`.
    """

    def __init__(self, checkpoint: Path) -> None:
        from torch.distributed.checkpoint import FileSystemReader
        from torch.distributed.checkpoint.metadata import StorageMeta

        path = checkpoint / WEIGHTS / ".metadata"
        if not path.is_file():
            raise BadInput(f"{path}: missing; {checkpoint} is not a finished torch_dist checkpoint")

        class SafeReader(FileSystemReader):
            """PyTorch's reader, with its unpickling of `.metadata` replaced by the restricted one."""

            def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
                metadata = read_metadata(path)
                if getattr(metadata, "storage_meta", None) is None:
                    metadata.storage_meta = StorageMeta()
                metadata.storage_meta.load_id = self.load_id
                return metadata

        self._reader = SafeReader(checkpoint / WEIGHTS)
        self._metadata = self._reader.read_metadata().state_dict_metadata

    def _whole(self, key: str) -> Tensor:
        import torch
        from torch.distributed.checkpoint import load

        meta: Any = self._metadata[key]
        tensor = torch.empty(meta.size, dtype=meta.properties.dtype)
        load({key: tensor}, storage_reader=self._reader, no_dist=True)
        return tensor

    def read(self, layer: int | None, names: tuple[str, ...]) -> Tensor:
        """A tensor by layer (None outside the layers), under the first of `names` that the checkpoint has.

        Raises:
            BadInput: it has none of them.
        """
        for name in names:
            if layer is None and f"module.{name}" in self._metadata:
                return self._whole(f"module.{name}")
            stacked = f"module.decoder.layers.{name}"
            if layer is not None and stacked in self._metadata:
                return self._whole(stacked)[layer]
            single = f"module.decoder.layers.{layer}.{name}"
            if single in self._metadata:
                return self._whole(single)
        where = "" if layer is None else f" of layer {layer}"
        raise BadInput(
            f"the checkpoint has no tensor {' or '.join(names)}{where}; it is damaged or of another architecture"
        )
