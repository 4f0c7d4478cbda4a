"""The safetensors of a Hugging Face folder, of any architecture: names, sizes and types, then one tensor at a time.

Only JSON and safetensors are read. Weights in pickles (`.bin`, `.pt`) are refused: loading them runs what is in them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

if TYPE_CHECKING:
    from torch import Tensor

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth")
DTYPES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""safetensors' names of the types that weights may have, and torch's."""
ROTARY = "rotary_emb.inv_freq"
"""Buffers that old versions of transformers saved; they follow from the config."""
SHOWN = 3

Result = TypeVar("Result")


def some(names: list[str]) -> str:
    """The first few of `names`, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def by(size: tuple[int, ...]) -> str:
    """A tensor's size in words."""
    return " × ".join(map(str, size))


def _opened(path: Path, use: Callable[[Any], Result]) -> Result:
    """What `use` makes of the open file. It is opened anew each time: closing it gives its mapped pages back."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            return use(stream)
    except SafetensorError as error:
        raise BadInput(f"{path}: damaged, or not safetensors ({error}); copy or download it again") from None


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder: `model.safetensors`, or those that the index names.

    Raises:
        BadInput: there are none, only pickles, an index that is none, a name or link that points outside the folder, or
            a shard missing.
    """
    if (folder / SINGLE).is_file():
        return [_own(folder / SINGLE)]
    index = folder / INDEX
    if not index.is_file():
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        if pickles:
            raise BadInput(
                f"{folder}: its weights are in {some(pickles)}, pickles that run what is in them when loaded, and are "
                "not read. Take the model's safetensors, or, if you trust the folder, save it again with transformers: "
                "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW_FOLDER)"
            )
        raise BadInput(f"{folder}: no weights in it; expected {SINGLE}, or {INDEX} and the shards it names")
    content = read_json(index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not names or not all(isinstance(name, str) for name in names.values()):
        raise BadInput(f"{index}: no weight_map from tensors to files in it; copy or download it again")
    for tensor, name in names.items():
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise BadInput(
                f"{index}: {tensor} is said to be in '{name}', which is not the name of a safetensors file in the "
                "folder; nothing else is read. Use a model from a source you trust"
            )
    files = [folder / name for name in sorted(set(names.values()))]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise BadInput(f"{folder}: {some(missing)} of {len(files)} shards missing, named in {INDEX}; download again")
    return [_own(path) for path in files]


def _own(path: Path) -> Path:
    """`path`, unless it is a link out of its folder; the Hugging Face cache's links to its blobs are none."""
    target, folder = path.resolve().parent, path.parent.resolve()
    if target not in (folder, folder.parent.parent / "blobs"):
        raise BadInput(
            f"{path}: is a link to {path.resolve()}, outside its folder, and is not read. Copy the file itself "
            "there, or use a model from a source you trust"
        )
    return path


class HfWeights:
    """The tensors of a folder, by name; what they are for is not known here.

    Args:
        folder: with safetensors.

    Raises:
        BadInput: see :func:`weight_files`; a damaged file, a tensor in two files, or one of a type that weights do not
            have.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = weight_files(folder)
        self.places: dict[str, Path] = {}
        """The file of each tensor, in the files' order."""
        self.sizes: dict[str, tuple[int, ...]] = {}
        self.types: dict[str, str] = {}
        """Type of each tensor, by torch's name."""
        for path in self.files:
            for name, size, kind in _opened(path, _header):
                if name.endswith(ROTARY):
                    continue
                if name in self.places:
                    raise BadInput(f"{path}: {name} is in {self.places[name].name} too; one of them must go")
                if kind not in DTYPES:
                    raise BadInput(
                        f"{path}: {name} is of type {kind}; only {', '.join(DTYPES)} are known. Take the model's "
                        "weights as they were before quantisation"
                    )
                self.places[name], self.sizes[name], self.types[name] = path, size, DTYPES[kind]

    @property
    def dtypes(self) -> set[str]:
        """Types of the weights, by torch's names."""
        return set(self.types.values())

    def read(self, name: str) -> Tensor:
        """A tensor by its name; it maps its file, so memory is taken as it is read and given back with the tensor."""
        tensor: Tensor = _opened(self.places[name], lambda stream: stream.get_tensor(name))
        return tensor

    def identity(self) -> str:
        """Sizes and times of the files read: tells models apart without reading gigabytes."""
        entries = [(path.name, path.stat()) for path in (self.folder / "config.json", *self.files)]
        return "; ".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in entries)


def _header(stream: Any) -> list[tuple[str, tuple[int, ...], str]]:
    slices = ((name, stream.get_slice(name)) for name in stream.keys())  # noqa: SIM118 - not a dict
    return [(name, tuple(tensor.get_shape()), tensor.get_dtype()) for name, tensor in slices]
