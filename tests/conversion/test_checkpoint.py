"""Reading a checkpoint: hostile pickles are refused before anything of them runs; what is missing is named."""

from __future__ import annotations

import builtins
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.distributed.checkpoint.metadata import Metadata

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint, identity
from nemo_kcpt.checkpoints.unpickle import ALLOWED
from nemo_kcpt.errors import BadInput

MODEL = {
    "num_layers": 3,
    "hidden_size": 8,
    "ffn_hidden_size": 10,
    "num_attention_heads": 4,
    "num_query_groups": None,
    "kv_channels": None,
    "vocab_size": 99,
    "seq_length": 32,
    "rotary_base": 500_000,
    "layernorm_epsilon": 1e-5,
    "share_embeddings_and_output_weights": True,
}


class Gadget:
    """Pickles as a call of `function`; loading it with plain pickle makes the call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def write_metadata(folder: Path, content: bytes) -> Path:
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "weights" / ".metadata").write_bytes(content)
    return folder


def gadgets(mark: Path) -> dict[str, tuple[Any, str]]:
    """Hostile objects that would make the file `mark`, and the class that the refusal should name."""
    from torch.distributed.checkpoint.metadata import Metadata

    shell = Gadget(os.system, f"touch {mark}")
    evaluated = Gadget(builtins.eval, f"open({str(mark)!r}, 'w')")
    return {
        "os.system": (shell, r"(posix|nt)\.system"),
        "eval": (evaluated, r"builtins\.eval"),
        "exec": (Gadget(builtins.exec, f"open({str(mark)!r}, 'w')"), r"builtins\.exec"),
        "getattr": (Gadget(getattr, "text", "upper"), r"builtins\.getattr"),
        "process": (Gadget(subprocess.Popen, ["touch", str(mark)]), r"subprocess\.Popen"),
        "torch.load": (Gadget(torch.load, str(mark)), r"torch\.serialization\.load"),
        "in a list": ([{"state": (1, evaluated)}], r"builtins\.eval"),
        "in metadata": (Metadata(state_dict_metadata={"a": shell}), r"(posix|nt)\.system"),
        "as an argument": (
            Gadget(torch.Size, Gadget(builtins.eval, f"[open({str(mark)!r}, 'w') and 1]")),
            r"builtins\.eval",
        ),
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("name", gadgets(Path("x")))
def test_hostile_metadata_is_refused_and_nothing_runs(name: str, protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    hostile, named = gadgets(mark)[name]
    write_metadata(tmp_path, pickle.dumps(hostile, protocol=protocol, fix_imports=False))
    with pytest.raises(BadInput, match=rf"\.metadata: it names {named}, which no Megatron checkpoint needs"):
        CheckpointReader(tmp_path)
    assert not mark.exists()


def test_the_gadgets_are_real(tmp_path: Path) -> None:
    """Plain pickle runs them: the test above would notice."""
    mark = tmp_path / "ran"
    for name in ("os.system", "eval", "in a list"):
        pickle.loads(pickle.dumps(gadgets(mark)[name][0]))
        assert mark.exists()
        mark.unlink()


def test_dotted_names_reach_no_further_than_the_list(tmp_path: Path) -> None:
    """Protocol 4 resolves `a.b` in a module; an allowed class is no way to what hangs on it."""
    content = b"\x80\x04\x8c\x05torch\x8c\x10Size.__class__.x\x93."
    write_metadata(tmp_path, content.replace(b"\x10", bytes([len("Size.__class__.x")])))
    with pytest.raises(BadInput, match=r"it names torch\.Size\.__class__\.x"):
        CheckpointReader(tmp_path)


def test_nothing_on_the_list_is_a_way_out() -> None:
    modules = {module for module, _ in ALLOWED}
    assert not modules & {"builtins", "os", "posix", "subprocess", "sys", "importlib", "operator", "functools", "io"}
    assert all(module.split(".")[0] in ("collections", "pathlib", "torch", "megatron") for module in modules)


@pytest.mark.parametrize("content", [b"", b"\x80\x04", b"not a pickle", b"\x80\x04\x95\xff\xff\xff\xff"])
def test_damaged_metadata(content: bytes, tmp_path: Path) -> None:
    write_metadata(tmp_path, content)
    with pytest.raises(BadInput, match=r"\.metadata: damaged"):
        CheckpointReader(tmp_path)


def test_metadata_of_something_else(tmp_path: Path) -> None:
    write_metadata(tmp_path, pickle.dumps({"state_dict_metadata": {}}))
    with pytest.raises(BadInput, match="expected the metadata of a torch_dist checkpoint, found a dict"):
        CheckpointReader(tmp_path)
    with pytest.raises(BadInput, match="missing; .* is not a finished torch_dist checkpoint"):
        CheckpointReader(tmp_path / "other")


def test_a_real_checkpoint_passes(tmp_path: Path) -> None:
    from torch.distributed.checkpoint import FileSystemWriter, save

    tensors = {"module.a": torch.arange(6).reshape(2, 3), "module.decoder.layers.b": torch.rand(4, 5)}
    save(dict(tensors), storage_writer=FileSystemWriter(tmp_path / "weights"), no_dist=True)
    reader = CheckpointReader(tmp_path)
    assert torch.equal(reader.tensor("module.a"), tensors["module.a"])
    assert torch.equal(reader.tensor("module.a", (1, 0), (1, 2)), tensors["module.a"][1:, :2])
    assert torch.equal(
        reader.tensor("module.decoder.layers.b", (2, 0), (1, 5))[0], tensors["module.decoder.layers.b"][2]
    )


def test_the_newest_finished_checkpoint_is_found(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    for time, name in enumerate(("step=1", "step=2", "step=3")):
        write_metadata(checkpoints / name, pickle.dumps(Metadata(state_dict_metadata={}, storage_data={})))
        os.utime(checkpoints / name / "weights" / ".metadata", (1000 + time, 1000 + time))
    assert find_checkpoint(tmp_path) == checkpoints / "step=3"
    (checkpoints / "step=3-unfinished").touch()
    assert find_checkpoint(tmp_path) == checkpoints / "step=2"
    (checkpoints / "step=2" / "weights" / ".metadata").unlink()
    assert find_checkpoint(tmp_path) == checkpoints / "step=1"
    assert find_checkpoint(checkpoints / "step=1") == checkpoints / "step=1"
    for name in ("step=2", "step=3"):
        with pytest.raises(BadInput, match=f"{name}: half written"):
            find_checkpoint(checkpoints / name)
    (checkpoints / "step=1-unfinished").touch()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match="no finished checkpoint in it"):
            find_checkpoint(folder)


def test_identity_follows_sizes_and_times(tmp_path: Path) -> None:
    path = write_metadata(tmp_path, b"one") / "weights" / ".metadata"
    before = identity(tmp_path)
    assert identity(tmp_path) == before
    os.utime(path, ns=(1, 1))
    changed = identity(tmp_path)
    path.write_bytes(b"three")
    os.utime(path, ns=(1, 1))
    assert len({before, changed, identity(tmp_path)}) == 3


def write_model(folder: Path, content: Any) -> Path:
    (folder / "context").mkdir()
    (folder / "context" / "model.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_the_shape_is_read(tmp_path: Path) -> None:
    shape = read_shape(write_model(tmp_path, {"config": MODEL}))
    assert (shape.num_query_groups, shape.kv_channels, shape.vocab_rows, shape.tied) == (4, 2, 99, True)
    assert shape.hf_config()["rope_theta"] == 500_000


def test_rows_beyond_the_tokenizer_count(tmp_path: Path) -> None:
    given = MODEL | {"vocab_rows": 112, "num_query_groups": 2, "kv_channels": 6}
    shape = read_shape(write_model(tmp_path, {"config": given}))
    assert (shape.num_query_groups, shape.kv_channels, shape.vocab_rows) == (2, 6, 112)


@pytest.mark.parametrize("name", MODEL)
def test_a_missing_size_is_named(name: str, tmp_path: Path) -> None:
    write_model(tmp_path, {"config": {key: value for key, value in MODEL.items() if key != name}})
    with pytest.raises(BadInput, match=rf"model\.yaml: not the config of a model of ours, '{name}' is missing"):
        read_shape(tmp_path)


@pytest.mark.parametrize("content", [None, {}, {"config": None}, {"config": [1]}, [1], "text"])
def test_another_model_yaml(content: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"model\.yaml"):
        read_shape(write_model(tmp_path, content))


def test_a_model_yaml_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="missing; the checkpoint was saved without its context"):
        read_shape(tmp_path)
    (write_model(tmp_path, {}) / "context" / "model.yaml").write_text("a: [1\n")
    with pytest.raises(BadInput, match=r"model\.yaml: not YAML"):
        read_shape(tmp_path)
    (tmp_path / "context" / "model.yaml").write_text("!!python/object/apply:os.system ['true']\n")
    with pytest.raises(BadInput, match=r"model\.yaml: not YAML"):
        read_shape(tmp_path)
