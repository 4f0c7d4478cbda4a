"""Hostile checkpoints and model folders: each a sound one with one thing changed, and a canary that code would leave.

Used by test_hostile.py, and by tools/hostile_files.py, which shows them to NeMo's own loaders too.
"""

from __future__ import annotations

import builtins
import io
import json
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conversion.checkpoints import imported
from tests.conversion.hf_models import SIZES, save_model
from tests.conversion.hf_tokenizers import save_tokenizer

TERABYTES = 10 << 40
EXTRA_STATE = "module.decoder.layers.mlp.linear_fc1._extra_state/shard_0_3"
EMBEDDING = "module.embedding.word_embeddings.weight"


class Gadget:
    """Pickles as a call that makes the file `canary`."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return builtins.exec, (f"open({str(self.canary)!r}, 'w').close()",)


def sound(folder: Path) -> None:
    """A sound model folder, `hf`, and a sound checkpoint of it, `checkpoint`."""
    save_tokenizer(save_model(folder / "hf", vocab_size=336))
    imported(folder / "hf", folder / "checkpoint")


def change_metadata(weights: Path, change: Callable[[Any], object]) -> None:
    path = weights / ".metadata"
    metadata = pickle.loads(path.read_bytes())
    change(metadata)
    path.write_bytes(pickle.dumps(metadata))


def places(metadata: Any, key: str) -> list[Any]:
    """Indices of the parts of a tensor or object."""
    return [index for index in metadata.storage_data if index.fqn == key]


def move(metadata: Any, key: str, **changes: Any) -> None:
    """Change where `.metadata` says that all of `key` is."""
    from dataclasses import replace

    for index in places(metadata, key):
        metadata.storage_data[index] = replace(metadata.storage_data[index], **changes)


def archive(content: bytes, *more: tuple[str, bytes]) -> bytes:
    """A file of torch.save with this pickle and further files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name twice
        for name, data in (("data.pkl", content), ("byteorder", b"little"), ("version", b"3\n"), *more):
            target.writestr(f"archive/{name}", data)
    return stream.getvalue()


def tensor(count: int) -> bytes:
    """The pickle of a dictionary with a tensor in file data/0, which claims `count` numbers of float32."""
    number = count.to_bytes(8, "little")
    return (
        b"\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
        b"X\x01\0\0\x000X\x03\0\0\0cpu\x8a\x08" + number + b"tQK\0\x8a\x08" + number + b"\x85K\x01\x85\x89"
        b"ccollections\nOrderedDict\n)RtRs."
    )


def bomb(size: int) -> bytes:
    """torch.save's file with a tensor of `size` bytes, zeros, packed to a thousandth."""
    piece = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = piece.compress(bytes(1 << 24)) + piece.flush(zlib.Z_FULL_FLUSH)
    packed = block * (size >> 24) + b"\x03\0"
    content = bytearray(archive(tensor(size // 4), ("data/0", packed)))
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        local, central = made.getinfo("archive/data/0").header_offset, made.start_dir
    entry = content.index(b"PK\x01\x02", content.rindex(b"archive/version", central))
    for method, large in ((local + 8, local + 22), (entry + 10, entry + 24)):
        content[method : method + 2] = struct.pack("<H", zipfile.ZIP_DEFLATED)
        content[large : large + 4] = struct.pack("<I", size)
    return bytes(content)


def put(weights: Path, key: str, content: bytes) -> None:
    """Make `content` what a checkpoint has for `key`."""
    path = weights / "__1_0.distcp"
    start = path.stat().st_size
    with path.open("ab") as stream:
        stream.write(content)
    change_metadata(weights, lambda m: move(m, key, relative_path=path.name, offset=start, length=max(len(content), 1)))


def metadata_gadget(folder: Path, canary: Path) -> None:
    (folder / "weights/.metadata").write_bytes(pickle.dumps(Gadget(canary)))


def metadata_nested(folder: Path, canary: Path) -> None:
    hidden = {"plan": [(1, {"state": [Gadget(canary)]})]}
    change_metadata(folder / "weights", lambda m: setattr(m, "planner_data", hidden))


def metadata_old(folder: Path, canary: Path) -> None:
    """With the operation INST of protocol 0."""
    (folder / "weights/.metadata").write_bytes(f"(S'touch {canary}'\nios\nsystem\n.".encode())


def metadata_memo(folder: Path, canary: Path) -> None:
    (folder / "weights/.metadata").write_bytes(b"\x80\x02]r\xff\xff\xff\x7f.")


def metadata_bytearray(folder: Path, canary: Path) -> None:
    (folder / "weights/.metadata").write_bytes(b"\x80\x05\x96" + struct.pack("<Q", TERABYTES) + b"x.")


def metadata_copies(folder: Path, canary: Path) -> None:
    """A size with a million numbers, copied 20,000 times."""
    numbers = b"(" + b"K\x01" * 1_000_000 + b"tq\x02"
    content = b"\x80\x02](ctorch\nSize\nq\x01" + numbers + b"h\x01h\x02\x85R" * 20_000 + b"e."
    (folder / "weights/.metadata").write_bytes(content)


def metadata_terabytes(folder: Path, canary: Path) -> None:
    import torch
    from torch.distributed.checkpoint.metadata import ChunkStorageMetadata

    def change(metadata: Any) -> None:
        meta = metadata.state_dict_metadata[EMBEDDING]
        meta.size = torch.Size([TERABYTES // (4 * SIZES["hidden_size"]), SIZES["hidden_size"]])
        meta.chunks = [ChunkStorageMetadata(offsets=torch.Size([0, 0]), sizes=meta.size)]

    change_metadata(folder / "weights", change)


def metadata_negative(folder: Path, canary: Path) -> None:
    change_metadata(folder / "weights", lambda m: move(m, EMBEDDING, offset=-4096))


def metadata_overlap(folder: Path, canary: Path) -> None:
    def change(metadata: Any) -> None:
        first, second = (
            places(metadata, f"module.decoder.layers.{name}.weight")[0] for name in ("mlp.linear_fc1", "mlp.linear_fc2")
        )
        metadata.storage_data[first] = metadata.storage_data[second]

    change_metadata(folder / "weights", change)


def metadata_outside(folder: Path, canary: Path) -> None:
    shutil.copy(folder / "weights/__0_0.distcp", folder.parent / "secret.distcp")
    change_metadata(folder / "weights", lambda m: move(m, EMBEDDING, relative_path="../../secret.distcp"))


def metadata_absolute(folder: Path, canary: Path) -> None:
    change_metadata(folder / "weights", lambda m: move(m, EMBEDDING, relative_path="/etc/passwd"))


def weights_link(folder: Path, canary: Path) -> None:
    (folder / "weights/__0_0.distcp").rename(folder.parent / "secret.distcp")
    (folder / "weights/__0_0.distcp").symlink_to("../../secret.distcp")


def common_gadget(folder: Path, canary: Path) -> None:
    (folder / "weights/common.pt").write_bytes(archive(pickle.dumps({"epoch": Gadget(canary)}, 2)))


def common_old(folder: Path, canary: Path) -> None:
    """In torch's format from before 2020: pickles one after the other."""
    (folder / "weights/common.pt").write_bytes(pickle.dumps(Gadget(canary), 2))


def common_twice(folder: Path, canary: Path) -> None:
    """Python's reader of archives sees the second pickle, PyTorch's the first."""
    hostile, harmless = pickle.dumps({"epoch": Gadget(canary)}, 2), pickle.dumps({}, 2)
    (folder / "weights/common.pt").write_bytes(archive(hostile, ("data.pkl", harmless)))


def common_bomb(folder: Path, canary: Path) -> None:
    (folder / "weights/common.pt").write_bytes(bomb(240 << 24))


def common_terabytes(folder: Path, canary: Path) -> None:
    (folder / "weights/common.pt").write_bytes(archive(tensor(TERABYTES // 4), ("data/0", bytes(4))))


def state_gadget(folder: Path, canary: Path) -> None:
    put(folder / "weights", EXTRA_STATE, archive(pickle.dumps([Gadget(canary)], 2)))


def tensor_gadget(folder: Path, canary: Path) -> None:
    put(folder / "weights", EMBEDDING, archive(pickle.dumps(Gadget(canary), 2), ("padding", bytes(1 << 16))))


def modelopt_gadget(folder: Path, canary: Path) -> None:
    (folder / "weights/modelopt_state").mkdir()
    (folder / "weights/modelopt_state/common.pt").write_bytes(archive(pickle.dumps(Gadget(canary), 2)))


def model_yaml(folder: Path, text: str) -> None:
    (folder / "context/model.yaml").write_text(text)


def yaml_gadget(folder: Path, canary: Path) -> None:
    model_yaml(folder, f"config: !!python/object/apply:os.system ['touch {canary}']\n")


def yaml_bomb(folder: Path, canary: Path) -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 10)]
    model_yaml(folder, "\n".join([*lines, "config: *a9"]) + "\n")


def yaml_lists(folder: Path, canary: Path) -> None:
    """Lists of lists, a thousand million numbers if written out, as sizes that are compared."""
    lines = [f"{name}0: &{name}0 [1, 2]" for name in "ab"]
    lines += [f"{name}{n}: &{name}{n} [{', '.join([f'*{name}{n - 1}'] * 9)}]" for name in "ab" for n in range(1, 11)]
    text = (folder / "context/model.yaml").read_text()
    text = text.replace("seq_length: 128", "seq_length: *a10\n  base_positions: *b10")
    model_yaml(folder, "\n".join(lines) + "\n" + text)


def yaml_layers(folder: Path, canary: Path) -> None:
    text = (folder / "context/model.yaml").read_text()
    model_yaml(folder, text.replace("num_layers: 3", f"num_layers: {10**12}"))


def context_gadget(folder: Path, canary: Path) -> None:
    import fiddle as fdl
    from fiddle._src.experimental.serialization import dump_json

    content = json.loads(dump_json(fdl.Config(subprocess.getoutput, cmd=f"touch {canary}")))
    content["objects"][content["root"]["key"]]["paths"] = ["<root>.model.tokenizer"]
    (folder / "context/io.json").write_text(json.dumps(content))


SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def pickle_as_safetensors(folder: Path, canary: Path) -> None:
    (folder / SINGLE).write_bytes(archive(pickle.dumps(Gadget(canary), 2)))


def pickle_as_weights(folder: Path, canary: Path) -> None:
    (folder / SINGLE).unlink()
    (folder / "pytorch_model.bin").write_bytes(archive(pickle.dumps(Gadget(canary), 2)))


def index_outside(folder: Path, canary: Path) -> None:
    (folder / SINGLE).rename(folder.parent / "secret.safetensors")
    from safetensors import safe_open

    with safe_open(folder.parent / "secret.safetensors", "pt") as stream:
        names = list(stream.keys())
    content = {"metadata": {}, "weight_map": dict.fromkeys(names, "../secret.safetensors")}
    (folder / INDEX).write_text(json.dumps(content))


def safetensors_link(folder: Path, canary: Path) -> None:
    (folder / SINGLE).rename(folder.parent / "secret.safetensors")
    (folder / SINGLE).symlink_to("../secret.safetensors")


def header(folder: Path, entry: dict[str, Any]) -> None:
    """Change the header of a tensor."""
    content = (folder / SINGLE).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    entries = json.loads(content[8 : 8 + length])
    entries["model.norm.weight"] |= entry
    text = json.dumps(entries).encode()
    (folder / SINGLE).write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def header_terabytes(folder: Path, canary: Path) -> None:
    content = (folder / SINGLE).read_bytes()
    (folder / SINGLE).write_bytes(struct.pack("<Q", TERABYTES) + content[8:])


def tensor_terabytes(folder: Path, canary: Path) -> None:
    header(folder, {"shape": [TERABYTES // 4], "data_offsets": [0, TERABYTES]})


def tensor_negative(folder: Path, canary: Path) -> None:
    header(folder, {"data_offsets": [-192, 0]})


def configured(folder: Path, **more: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | more))


def auto_map(folder: Path, canary: Path) -> None:
    configured(folder, auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"})
    (folder / "evil.py").write_text(
        f"open({str(canary)!r}, 'w').close()\n"
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        # Classes of their own: transformers marks the classes that it finds here as custom code, for good.
        "class Config(LlamaConfig): pass\n"
        "class Model(LlamaForCausalLM): config_class = Config\n"
    )


def config_layers(folder: Path, canary: Path) -> None:
    configured(folder, num_hidden_layers=10**12)


def plain_pickle(name: str) -> Callable[[Path], object]:
    return lambda folder: pickle.loads((folder / name).read_bytes())


def plain_torch(name: str) -> Callable[[Path], object]:
    import torch

    return lambda folder: torch.load(io.BytesIO((folder / name).read_bytes()), weights_only=False)


def plain_part(key: str) -> Callable[[Path], object]:
    """PyTorch's own reading of an object in a checkpoint, without its check of tensors."""

    def load(folder: Path) -> object:
        import torch

        metadata = pickle.loads((folder / "weights/.metadata").read_bytes())
        place = metadata.storage_data[places(metadata, key)[0]]
        content = (folder / "weights" / place.relative_path).read_bytes()[place.offset :][: place.length]
        return torch.load(io.BytesIO(content), weights_only=False)

    return load


def plain_yaml(folder: Path) -> object:
    import yaml

    return yaml.unsafe_load((folder / "context/model.yaml").read_text())


def trusting(folder: Path) -> object:
    from transformers import AutoConfig

    with tempfile.TemporaryDirectory() as cache:
        from transformers import dynamic_module_utils

        before, dynamic_module_utils.HF_MODULES_CACHE = dynamic_module_utils.HF_MODULES_CACHE, cache
        try:
            return AutoConfig.from_pretrained(folder, trust_remote_code=True)
        finally:
            dynamic_module_utils.HF_MODULES_CACHE = before
            sys.path[:] = [entry for entry in sys.path if entry != cache]


def built(folder: Path) -> object:
    """Fiddle's own reading, which NeMo's is made of."""
    import fiddle as fdl
    from fiddle._src.experimental.serialization import load_json

    return fdl.build(load_json((folder / "context/io.json").read_text()))


@dataclass(frozen=True)
class Hostile:
    """A hostile file.

    Args:
        file: that was changed, in the folder.
        what: is wrong with it.
        make: changes a sound folder (a checkpoint, or for `hf` a model folder); its second argument is the canary.
        message: what the refusal must match; None if the file is not read at all, and the folder is good without it.
        live: loads the file without care, which leaves the canary; None if it holds no code.
        hf: whether it is a model folder, to be imported, rather than a checkpoint, to be exported.
    """

    file: str
    what: str
    make: Callable[[Path, Path], None]
    message: str | None
    live: Callable[[Path], object] | None = None
    hf: bool = False


METADATA, COMMON, YAML = "weights/.metadata", "weights/common.pt", "context/model.yaml"
FILES = (
    Hostile(METADATA, "a call", metadata_gadget, r"names builtins\.exec", plain_pickle(METADATA)),
    Hostile(METADATA, "a call, nested", metadata_nested, r"names builtins\.exec", plain_pickle(METADATA)),
    Hostile(METADATA, "a call, by protocol 0", metadata_old, "its pickle does STRING", plain_pickle(METADATA)),
    Hostile(METADATA, "entry 2^31 of the memo", metadata_memo, "expected the metadata .* found a list"),
    Hostile(METADATA, "a bytearray of 10 TB", metadata_bytearray, "its pickle does BYTEARRAY8"),
    Hostile(METADATA, "20,000 copies of 8 MB", metadata_copies, "a size of something else than a few numbers"),
    Hostile(METADATA, "a tensor of 10 TB", metadata_terabytes, r"__0_0\.distcp, module\.embedding.* has 10995"),
    Hostile(METADATA, "a negative offset", metadata_negative, "said to be at byte -4096"),
    Hostile(METADATA, "two tensors in one place", metadata_overlap, "the part before it ends at byte"),
    Hostile(METADATA, "a file outside, by ..", metadata_outside, r"said to be in '\.\./\.\./secret\.distcp'"),
    Hostile(METADATA, "a file outside, absolute", metadata_absolute, "said to be in '/etc/passwd'"),
    Hostile("weights/__0_0.distcp", "a link outside", weights_link, r"__0_0\.distcp: a folder, or a link out of"),
    Hostile(COMMON, "a call", common_gadget, r"common\.pt: it names __builtin__\.exec", plain_torch(COMMON)),
    Hostile(COMMON, "a call, torch's old format", common_old, r"common\.pt: no archive of torch", plain_torch(COMMON)),
    Hostile(COMMON, "two pickles of one name", common_twice, r"common\.pt: .* holds a file twice", plain_torch(COMMON)),
    Hostile(COMMON, "4 GB packed to 4 MB", common_bomb, r"common\.pt: its archive is packed"),
    Hostile(COMMON, "a tensor of 10 TB", common_terabytes, r"common\.pt: tensor 0 should have 10995\d* bytes, 4 are"),
    Hostile(
        "weights/__1_0.distcp", "a call in _extra_state", state_gadget,
        r"_extra_state.*names __builtin__\.exec", plain_part(EXTRA_STATE),
    ),
    Hostile(
        "weights/__1_0.distcp", "a call for a tensor", tensor_gadget,
        "word_embeddings.*other files are in it", plain_part(EMBEDDING),
    ),
    Hostile(
        "weights/modelopt_state/common.pt", "a call", modelopt_gadget,
        "modelopt_state: a folder, or a link out of", plain_torch("weights/modelopt_state/common.pt"),
    ),
    Hostile(YAML, "a call", yaml_gadget, r"model\.yaml: not YAML", plain_yaml),
    Hostile(YAML, "merges of merges, 10^9", yaml_bomb, r"model\.yaml: not YAML \(it merges"),
    Hostile(YAML, "lists of lists, 10^9", yaml_lists, r"model\.yaml: .*'seq_length' is missing"),
    Hostile(YAML, "10^12 layers", yaml_layers, r"num_layers is 1000000000000; expected .* to 10000"),
    Hostile("context/io.json", "a call", context_gadget, None, built),
    Hostile(
        SINGLE, "a pickle under that name", pickle_as_safetensors, r"model\.safetensors: damaged, or not safetensors",
        plain_torch(SINGLE), hf=True,
    ),
    Hostile(
        "pytorch_model.bin", "a call", pickle_as_weights, r"pytorch_model\.bin, pickles that run",
        plain_torch("pytorch_model.bin"), hf=True,
    ),
    Hostile(INDEX, "a file outside", index_outside, r"said to be in '\.\./secret\.safetensors'", hf=True),
    Hostile(SINGLE, "a link outside", safetensors_link, r"model\.safetensors: is a link to .*secret", hf=True),
    Hostile(SINGLE, "a header of 10 TB", header_terabytes, "damaged, or not safetensors", hf=True),
    Hostile(SINGLE, "a tensor of 10 TB", tensor_terabytes, "damaged, or not safetensors", hf=True),
    Hostile(SINGLE, "a negative offset", tensor_negative, "damaged, or not safetensors", hf=True),
    Hostile("config.json", "code to load (auto_map)", auto_map, None, trusting, hf=True),
    Hostile("config.json", "10^12 layers", config_layers, "30 tensors for 1000000000000 layers", hf=True),
)  # fmt: skip
HOSTILE = {f"{one.file}: {one.what}": one for one in FILES}


def make(name: str, good: Path, folder: Path) -> tuple[Path, Path]:
    """Copy what is `sound` in `good` to `folder` and make it hostile.

    Returns:
        The hostile folder, and the canary, which is not there yet.
    """
    one = HOSTILE[name]
    place, canary = folder / "given", folder / "canary"
    shutil.copytree(good / ("hf" if one.hf else "checkpoint"), place)
    one.make(place, canary)
    return place, canary
