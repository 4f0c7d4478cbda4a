"""Checkpoints of Megatron-Bridge, without it: imported, exported, switched, found, refused."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch.distributed import checkpoint
from torch.distributed.checkpoint.api import CheckpointException

from nemo_kcpt.checkpoints import exporting, importing, switching
from nemo_kcpt.checkpoints.archive import check_archive
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import check_complete, find_checkpoint, finished_checkpoints
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.layout import BRIDGE, NEMO, STREAM, check_layout, layout_of
from nemo_kcpt.checkpoints.mapping import hf_tensors
from nemo_kcpt.checkpoints.origin import Training, read_origin, write_origin
from nemo_kcpt.checkpoints.weights_identity import of_checkpoint, of_folder
from nemo_kcpt.cli import main
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_json
from nemo_kcpt.hf.model_shape import read_hf_shape
from tests.conversion.checkpoints import imported
from tests.conversion.hf_models import KINDS, save_model
from tests.conversion.hf_tokenizers import save_tokenizer

SIZES = {"vocab_size": 331, "rope_theta": 12_345.0}
"""Rows that no power of two divides, and a RoPE base that is no default."""


@pytest.fixture
def hf(tmp_path: Path) -> Path:
    return save_tokenizer(save_model(tmp_path / "hf", **SIZES))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.distcp"))}


def trained(folder: Path, **changes: Any) -> Path:
    """As a training with other positions leaves it: the fields of the model's config, and a line in its history."""
    path = folder / layout_of(folder).config
    config = yaml.safe_load(path.read_text())
    config[layout_of(folder).section] |= changes
    path.write_text(yaml.safe_dump(config))
    origin = read_origin(folder)
    training = Training(recipe="kcpt_llama", steps=3, pack="0" * 64, mode="raw", seq_length=256, tokens=768)
    origin.trainings.append(training)
    write_origin(folder, origin)
    return folder


def switched(source: Path, out: Path, **more: Any) -> Path:
    switching.run(switching.Config(checkpoint=source, out=out, **more), False)
    return out


@pytest.mark.parametrize("kind", ["tied", "llama 3 scaling", "qwen2 odd", "qwen3_moe odd", "mistral window", "gemma2"])
def test_an_import_is_bit_equal(kind: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path / "hf", torch.bfloat16, **KINDS[kind])
    out = imported(folder, tmp_path / "out", backend="bridge")
    check_complete(out)
    source, reader = HfFolder(folder), CheckpointReader(out)
    assert layout_of(out) is BRIDGE and find_checkpoint(out) == out
    assert read_shape(out) == read_hf_shape(folder)
    assert not any(key.startswith("module.") for key in reader.keys())  # noqa: SIM118 - not a dict
    for name, tensor in hf_tensors(source.shape, reader.read):
        assert tensor.dtype == torch.bfloat16 and torch.equal(tensor, source.read(name)), name
    assert of_checkpoint(out) == of_folder(folder)


def test_an_interrupted_import_resumes_and_gives_the_same_bytes(
    hf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = imported(hf, tmp_path / "whole", backend="bridge")
    real, calls = importing.fuse, []

    def breaks_down(shape: Any, part: Any, read: Any) -> Any:
        calls.append(part)
        if len(calls) == 9:
            raise OSError("killed here")
        return real(shape, part, read)

    monkeypatch.setattr(importing, "fuse", breaks_down)
    with pytest.raises(CheckpointException, match="killed here"):
        imported(hf, tmp_path / "out", backend="bridge")
    assert not (tmp_path / "out").exists()
    again = len(calls)
    imported(hf, tmp_path / "out", backend="bridge")
    parts = len(list(importing.megatron_parts(read_hf_shape(hf))))
    assert again < parts and len(calls) - again < parts  # the layers that were finished are not read again
    assert contents(tmp_path / "out") == contents(whole)
    assert not list((tmp_path / "out").glob(".finished*"))
    check_complete(tmp_path / "out")


def test_both_layouts_give_the_same_folder(hf: Path, tmp_path: Path) -> None:
    exported = {}
    for backend in ("nemo", "bridge"):
        made = imported(hf, tmp_path / f"ckpt-{backend}", backend=backend)
        trained(made, rotary_base=500_000, seq_length=256)
        folder = tmp_path / backend / "hf"  # of one name: the card says it
        exporting.run(exporting.Config(checkpoint=made, out=folder, check=False))
        exported[backend] = {
            path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("manifest.json", ".lock")
        }
    assert exported["nemo"] == exported["bridge"]
    found = read_hf_shape(tmp_path / "bridge/hf")
    assert (found.rotary_base, found.positions, found.vocab_rows) == (500_000, 256, 331)
    assert (tmp_path / "bridge/hf/tokenizer.json").is_file()


@pytest.mark.parametrize("kind", ["llama 3 scaling", "qwen3_moe"])
def test_there_and_back_is_bit_equal(kind: str, tmp_path: Path) -> None:
    hf = save_model(tmp_path / "hf", **KINDS[kind])
    first, same = imported(hf, tmp_path / "nemo"), imported(hf, tmp_path / "same", backend="bridge")
    trained(first, rotary_base=500_000, seq_length=256)
    there = switched(first, tmp_path / "bridge")
    back = switched(there, tmp_path / "back")
    assert (layout_of(there), layout_of(back)) == (BRIDGE, NEMO)
    assert contents(back) == contents(first) and contents(there) == contents(same) != contents(first)
    assert read_shape(first) == read_shape(there) == read_shape(back)
    assert read_origin(first) == read_origin(there) == read_origin(back) and read_origin(back).trainings


def test_a_switch_that_is_done_is_left_as_it_is(hf: Path, tmp_path: Path) -> None:
    source = imported(hf, tmp_path / "nemo")
    out = switched(source, tmp_path / "bridge")
    before = (out / "manifest.json").read_bytes()
    assert switched(source, out) == out and (out / "manifest.json").read_bytes() == before
    trained(source)
    with pytest.raises(BadInput, match="was made from another input|holds the result of another|--redo"):
        switched(source, out)


def test_what_no_switch_takes(hf: Path, tmp_path: Path) -> None:
    source = imported(hf, tmp_path / "nemo")
    with pytest.raises(BadInput, match=r"nemo: is of NeMo already; trainings with backend=nemo take it as it is"):
        switched(source, tmp_path / "out", backend="nemo")
    with pytest.raises(BadInput, match=r"backend: 'bridg' is not one of nemo, bridge; did you mean 'bridge'"):
        switched(source, tmp_path / "out", backend="bridg")
    adapters = {"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": [], "embeddings": False, "base": "b"}
    write_json(source / "lora.json", {**adapters, "base_weights": "0"})
    with pytest.raises(BadInput, match=r"holds adapters alone; `kcpt convert export .*` merges them"):
        switched(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(hf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bridge"
    assert main(["convert", "import", str(hf), "--to", str(out), "backend=bridge"]) == 0
    assert main(["convert", "switch", str(out), "--to", str(tmp_path / "x"), "backend=bridge"]) == 2
    assert "is of Megatron-Bridge already" in capsys.readouterr().err
    assert main(["convert", "import", str(hf), "--to", str(tmp_path / "y"), "backend=mcore"]) == 2
    assert "backend: 'mcore' is not one of nemo, bridge" in capsys.readouterr().err


def test_no_backend_needs_to_be_installed(hf: Path, tmp_path: Path) -> None:
    program = "import sys; sys.modules |= dict.fromkeys(('nemo', 'megatron', 'lightning')); "
    program += "from nemo_kcpt.cli import main; sys.exit(main(sys.argv[1:]))"
    for words in (
        ["import", hf, "--to", tmp_path / "nemo"],
        ["import", hf, "--to", tmp_path / "bridge", "backend=bridge"],
        ["switch", tmp_path / "bridge", "--to", tmp_path / "nemo-2"],
    ):
        subprocess.run([sys.executable, "-c", program, "convert", *map(str, words)], check=True)
    assert contents(tmp_path / "nemo") == contents(tmp_path / "nemo-2") != {}


def test_the_other_backend_is_refused_with_the_command_that_helps(hf: Path, tmp_path: Path) -> None:
    bridge, nemo = imported(hf, tmp_path / "b", backend="bridge"), imported(hf, tmp_path / "n")
    with pytest.raises(
        BadInput,
        match=r"b: a checkpoint of Megatron-Bridge, where one of NeMo is needed; `kcpt convert switch .*/b --to",
    ):
        check_layout(bridge, NEMO)
    with pytest.raises(BadInput, match=r"n: a checkpoint of NeMo, where one of Megatron-Bridge is needed"):
        check_layout(nemo, BRIDGE)
    check_layout(bridge, BRIDGE)
    check_layout(nemo, NEMO)


def _training(base: Path, run: Path, steps: list[int]) -> list[Path]:
    """A training's folder, its checkpoints in another order by time than by step."""
    saved = []
    for step in steps:
        saved.append(run / f"checkpoints/iter_{step:07d}")
        shutil.copytree(base, saved[-1])
        torch.save({"step": torch.tensor(step)}, saved[-1] / "train_state.pt")
        (saved[-1] / STREAM).write_text("{}")
    return sorted(saved)


def test_the_newest_of_a_training_is_that_of_the_last_step(hf: Path, tmp_path: Path) -> None:
    base = imported(hf, tmp_path / "base", backend="bridge")
    saved = _training(base, tmp_path / "run", [10, 9, 100])
    assert finished_checkpoints(tmp_path / "run/checkpoints") == saved
    assert find_checkpoint(tmp_path / "run") == saved[-1] == find_checkpoint(saved[-1])
    (tmp_path / "run/checkpoints/latest_checkpointed_iteration.txt").write_text("100")
    assert find_checkpoint(tmp_path / "run/checkpoints") == saved[-1]  # as the Bridge's own load= is given


@pytest.mark.parametrize("missing", [".metadata", "metadata.json", "run_config.yaml", STREAM])
def test_a_half_written_one_is_passed_over_and_refused(missing: str, hf: Path, tmp_path: Path) -> None:
    base = imported(hf, tmp_path / "base", backend="bridge")
    saved = _training(base, tmp_path / "run", [5, 10])
    (saved[-1] / missing).unlink()
    assert find_checkpoint(tmp_path / "run") == saved[0]
    with pytest.raises(BadInput, match=rf"iter_0000010: half written: .*{missing} missing.*take another"):
        find_checkpoint(saved[-1])
    shutil.rmtree(saved[0])
    with pytest.raises(BadInput, match=r"no finished checkpoint in it.*the saving of iter_0000010 was interrupted"):
        find_checkpoint(tmp_path / "run")


def test_a_copy_that_was_cut_is_refused(hf: Path, tmp_path: Path) -> None:
    out = imported(hf, tmp_path / "out", backend="bridge")
    part = out / "__1_0.distcp"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"__1_0\.distcp: .* bytes, the checkpoint's .metadata says at least"):
        find_checkpoint(out)


def test_a_model_of_the_bridges_own_recipes_is_no_llama_in_silence(hf: Path, tmp_path: Path) -> None:
    out = imported(hf, tmp_path / "out", backend="bridge")
    config = yaml.safe_load((out / "run_config.yaml").read_text())
    del config["model"]["family"]
    (out / "run_config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(BadInput, match=r"the model has no `family`.*AutoBridge\.export_ckpt"):
        read_shape(out)


def test_what_a_config_names_is_never_called(hf: Path, tmp_path: Path) -> None:
    out = imported(hf, tmp_path / "out", backend="bridge")
    config = yaml.safe_load((out / "run_config.yaml").read_text())
    config["model"] |= {"_target_": "os.mkdir", "_args_": [str(tmp_path / "canary")], "num_layers": 3}
    (out / "run_config.yaml").write_text(yaml.safe_dump(config))
    assert read_shape(out) == read_hf_shape(hf)
    (out / "run_config.yaml").write_text(f"model: !!python/object/apply:os.mkdir ['{tmp_path}/canary']\n")
    with pytest.raises(BadInput, match=r"run_config\.yaml: not YAML"):
        read_shape(out)
    assert not (tmp_path / "canary").exists()


def test_another_vocabulary_is_named(hf: Path, tmp_path: Path) -> None:
    out = imported(hf, tmp_path / "out", backend="bridge")
    trained(out, vocab_rows=400)
    with pytest.raises(BadInput, match=r"has 331 vocabulary rows, the model's config 400"):
        exporting.run(exporting.Config(checkpoint=out, out=tmp_path / "hf-2", check=False))


def test_adapters_without_their_description_are_named(hf: Path, tmp_path: Path) -> None:
    out = imported(hf, tmp_path / "out", backend="bridge")
    for path in (*out.glob("*.distcp"), out / ".metadata"):
        path.unlink()
    key = "decoder.layers.self_attention.linear_qkv.adapter.linear_in.weight"
    checkpoint.save({key: torch.zeros(3, 4, 48)}, checkpoint_id=out, no_dist=True)
    with pytest.raises(BadInput, match=r"out: holds adapters alone, and no lora\.json that says which"):
        exporting.run(exporting.Config(checkpoint=out, out=tmp_path / "back", check=False))


def _saved(content: object) -> tuple[io.BytesIO, int]:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream, len(stream.getvalue())


def test_random_states_are_known() -> None:
    import random

    states = [{"random": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}]
    stream, size = _saved(states)
    check_archive(stream, size, "rng_state")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.array([{}, print]), "an array of NumPy's|names builtins.print|another type"),
        (np.zeros(624, dtype="f8"), "of another type than its random generator's"),
        (np.zeros(623, dtype="u4"), "that is not its random generator's"),
        (np.zeros((312, 2), dtype="u4"), "that is not its random generator's"),
        (np.zeros(624, dtype=">u4"), "a type of NumPy's|of another type|byte order"),
    ],
)
def test_other_arrays_of_numpys_are_refused(content: object, reason: str) -> None:
    stream, size = _saved([content])
    with pytest.raises(BadInput, match=reason):
        check_archive(stream, size, "rng_state")


class _Made:
    """Pickled as a call of what makes NumPy's arrays, with other arguments."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return type(np.zeros(1)).__reduce__(np.zeros(1))[0], self.arguments


def test_an_array_that_is_made_large_is_refused() -> None:
    stream, size = _saved([_Made(np.ndarray, (1 << 40,), b"b")])
    with pytest.raises(BadInput, match="an array of NumPy's that is not made empty"):
        check_archive(stream, size, "rng_state")
