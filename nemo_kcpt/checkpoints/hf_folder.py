"""The weights of a Hugging Face Llama folder: checked against its `config.json`, then read one tensor at a time.

Only JSON and safetensors are read. Weights in pickles (`.bin`, `.pt`) are refused: loading them runs what is in them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nemo_kcpt.checkpoints.llama_mapping import hf_sizes
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.llama_shape import LlamaShape, read_hf_shape

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


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


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
                f"{folder}: its weights are in {_some(pickles)}, pickles that run what is in them when loaded, and are "
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
        raise BadInput(f"{folder}: {_some(missing)} of {len(files)} shards missing, named in {INDEX}; download again")
    return [_own(path) for path in files]


def _own(path: Path) -> Path:
    """`path`, unless it is a link out of its folder; the Hugging Face cache's links to its blobs are none."""
    place, folder = path.resolve().parent, path.parent.resolve()
    if place not in (folder, folder.parent.parent / "blobs"):
        raise BadInput(
            f"{path}: is a link to {path.resolve()}, outside its folder, and is not read. Copy the file itself "
            "there, or use a model from a source you trust"
        )
    return path


class HfFolder:
    """A checked Hugging Face Llama.

    Args:
        folder: with `config.json` and safetensors.

    Raises:
        BadInput: see :func:`weight_files` and `read_hf_shape`; a damaged file; tensors missing, unknown, of another
            size than `config.json` says, or of a type that weights do not have.
    """

    def __init__(self, folder: Path) -> None:
        self.shape: LlamaShape = read_hf_shape(folder)
        self.folder = folder
        self.files = weight_files(folder)
        self._places: dict[str, Path] = {}
        sizes: dict[str, tuple[int, ...]] = {}
        self.dtypes: set[str] = set()
        """Of the weights, by torch's names."""
        for path in self.files:
            for name, size, kind in _opened(path, _header):
                if name.endswith(ROTARY):
                    continue
                if name in self._places:
                    raise BadInput(f"{path}: {name} is in {self._places[name].name} too; one of them must go")
                if kind not in DTYPES:
                    raise BadInput(
                        f"{path}: {name} is of type {kind}; only {', '.join(DTYPES)} are known. Take the model's "
                        "weights as they were before quantisation"
                    )
                self._places[name], sizes[name] = path, size
                self.dtypes.add(DTYPES[kind])
        self._compare(sizes)

    def _compare(self, found: dict[str, tuple[int, ...]]) -> None:
        config = self.folder / "config.json"
        if self.shape.num_layers > len(found):  # before they are listed: the number may be anything
            raise BadInput(
                f"{self.folder}: {len(found)} tensors for {self.shape.num_layers} layers, of which {config} makes each "
                "nine; one of the two is of another model, or damaged"
            )
        expected = hf_sizes(self.shape)
        missing = [name for name in expected if name not in found]
        if missing == ["lm_head.weight"]:
            raise BadInput(
                f"{self.folder}: no lm_head.weight, but {config} says tie_word_embeddings=false; set it to true if the "
                "embedding serves as output layer too, else the weights are incomplete: download them again"
            )
        if missing:
            raise BadInput(f"{self.folder}: {_some(missing)} missing, of the tensors that {config} asks for")
        extra = [name for name in found if name not in expected]
        if self.shape.tied and "lm_head.weight" in extra:
            extra.remove("lm_head.weight")
            self._check_tied(config)
        if extra:
            raise BadInput(
                f"{self.folder}: {_some(extra)} in it, which a Llama as in {config} does not have; it is of another "
                "architecture, or holds adapters that must be merged first"
            )
        for name, size in expected.items():
            if found[name] != size:
                raise BadInput(
                    f"{self._places[name]}: {name} is {_by(found[name])}, {config} makes it {_by(size)}; "
                    "one of the two files is of another model"
                )

    def _check_tied(self, config: Path) -> None:
        import torch

        if not torch.equal(self.read("lm_head.weight"), self.read("model.embed_tokens.weight")):
            raise BadInput(
                f"{config}: tie_word_embeddings=true, but lm_head.weight differs from model.embed_tokens.weight; "
                "set it to false to keep both, or delete lm_head.weight"
            )

    def read(self, name: str) -> Tensor:
        """A tensor by its name; it maps its file, so memory is taken as it is read and given back with the tensor."""
        tensor: Tensor = _opened(self._places[name], lambda stream: stream.get_tensor(name))
        return tensor

    def identity(self) -> str:
        """Sizes and times of the files read: tells models apart without reading gigabytes."""
        entries = [(path.name, path.stat()) for path in (self.folder / "config.json", *self.files)]
        return "; ".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in entries)


def _header(stream: Any) -> list[tuple[str, tuple[int, ...], str]]:
    slices = ((name, stream.get_slice(name)) for name in stream.keys())  # noqa: SIM118 - not a dict
    return [(name, tuple(one.get_shape()), one.get_dtype()) for name, one in slices]


def _by(size: tuple[int, ...]) -> str:
    return " × ".join(map(str, size))
