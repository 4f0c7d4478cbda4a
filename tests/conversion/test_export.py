"""`kcpt convert export`: what the folder holds, in the memory of a tensor, whole or not there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nemo_kcpt.checkpoints import exporting, safetensors_file
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.origin import Origin, Training, read_origin, write_origin
from nemo_kcpt.checkpoints.target import BEGUN
from nemo_kcpt.cli import main
from nemo_kcpt.conversion.stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.runs import read_manifest
from tests.conversion.checkpoints import imported, model_yaml
from tests.conversion.hf_models import KINDS, SIZES, save_model
from tests.conversion.hf_tokenizers import save_tokenizer

ROWS = {"vocab_size": 336}
"""More than the tokenizer has entries."""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model folder as one downloads it."""
    folder = save_tokenizer(save_model(tmp_path / "llm-jp-3-tiny", torch.bfloat16, **ROWS))
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: ja\n---\n\n# A model\n")
    (folder / "LICENSE").write_text("Apache License, Version 2.0\n")
    write_json(
        folder / "generation_config.json",
        {"eos_token_id": [1, 5], "bos_token_id": 0, "repetition_penalty": 1.1, "transformers_version": "4.0"},
    )
    return folder


def export(checkpoint: Path, out: Path, **more: Any) -> Path:
    run(Config(checkpoint=checkpoint, out=out, check=False, **more))
    return out


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the lock, and the manifest, which holds times."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("manifest.json", ".lock")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_there_and_back_is_bit_equal(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    hf = save_tokenizer(save_model(tmp_path / "hf", dtype, **KINDS[kind] | ROWS))
    out = export(imported(hf, tmp_path / "checkpoint"), tmp_path / "out", max_shard_gb=40e-6)
    assert len(list(out.glob("model-*.safetensors"))) > 3
    ours, theirs = HfFolder(out), HfFolder(hf)
    assert ours.shape == theirs.shape
    for name in theirs.places:
        assert torch.equal(ours.read(name), theirs.read(name)) and ours.read(name).dtype == dtype, name
    index = read_json(out / "model.safetensors.index.json")
    stored = sum(tensor.nbytes for path in out.glob("*.safetensors") for tensor in load_file(path).values())
    assert index["metadata"]["total_size"] == stored == ours.shape.parameters() * dtype.itemsize


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_loads_the_same_model(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    hf = save_tokenizer(save_model(tmp_path / "hf", **KINDS[kind] | ROWS))
    out = export(imported(hf, tmp_path / "checkpoint"), tmp_path / "out", max_shard_gb=40e-6)
    ids = torch.arange(60)[None] * 5 % 330
    logits = []
    for folder in (out, hf):
        model = AutoModelForCausalLM.from_pretrained(folder)
        for weight in model.parameters():
            weight.data = weight.data.clone()  # from mapped files: products are rounded by where their operands begin
        with torch.no_grad():
            logits.append(model(ids).logits)
    assert torch.equal(*logits)


def test_the_folder_is_complete(base: Path, tmp_path: Path) -> None:
    checkpoint = imported(base, tmp_path / "checkpoint")
    training = Training(
        recipe="kcpt_llmjp3_13b_4k", steps=120, pack="ab" * 32, mode="anchored", seq_length=4096, tokens=62_914_560
    )
    write_origin(checkpoint, Origin(base=read_origin(checkpoint).base, trainings=[training]))
    out = export(checkpoint, tmp_path / "out")
    config, generation = read_json(out / "config.json"), read_json(out / "generation_config.json")
    assert (config["vocab_size"], config["torch_dtype"]) == (336, "bfloat16")
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (0, 1, 2)
    assert generation == {"bos_token_id": 0, "eos_token_id": [1, 5], "pad_token_id": 2, "repetition_penalty": 1.1}
    assert (out / "LICENSE").read_text() == "Apache License, Version 2.0\n"
    card = (out / "README.md").read_text()
    assert card.startswith("---\nbase_model: llm-jp-3-tiny\n") and "license: apache-2.0" in card
    row = r"| kcpt\_llmjp3\_13b\_4k | 120 | 62,914,560 | 4096 | anchored | `abababababababab` |"
    assert row in card, card
    tokenizer = read_json(out / "tokenizer_config.json")
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast" and tokenizer["model_max_length"] == 128
    assert (out / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert set(read_json(out / "manifest.json")["outputs"]) == set(contents(out))


def test_positions_and_rope_base_are_the_trainings(base: Path, tmp_path: Path) -> None:
    import yaml

    checkpoint = imported(base, tmp_path / "checkpoint")
    shape = HfFolder(base).shape
    trained = model_yaml(shape, seq_length=512, base_positions=128, rotary_base=500_000)
    (checkpoint / "context/model.yaml").write_text(yaml.safe_dump(trained))
    config = read_json(export(checkpoint, tmp_path / "out") / "config.json")
    assert (config["rope_theta"], config["max_position_embeddings"]) == (500_000, 512)


def test_stops_that_contradict_each_other_both_count(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_json(base / "generation_config.json", {"eos_token_id": 7})
    out = export(imported(base, tmp_path / "checkpoint"), tmp_path / "out")
    assert read_json(out / "generation_config.json")["eos_token_id"] == [1, 7]
    assert "the tokenizer's eos_token has id 1, the base model's generation config stops at [7]" in caplog.text


def test_an_export_goes_on_with_the_shard_it_was_at(base: Path, tmp_path: Path, monkeypatch: Any) -> None:
    checkpoint = imported(base, tmp_path / "checkpoint")
    whole = contents(export(checkpoint, tmp_path / "whole", max_shard_gb=20e-6))
    real, read = CheckpointReader.read, []

    def breaks_down(self: CheckpointReader, part: Any) -> torch.Tensor:
        read.append(part)
        if len(read) == 9:
            raise KeyboardInterrupt
        return real(self, part)

    monkeypatch.setattr(CheckpointReader, "read", breaks_down)
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    with pytest.raises(KeyboardInterrupt):
        export(checkpoint, out, max_shard_gb=20e-6)
    assert not out.exists()
    kept = {path: path.stat().st_mtime_ns for path in partial.glob("*.safetensors")}
    assert kept
    export(checkpoint, out, max_shard_gb=20e-6)
    assert not partial.exists()
    assert {path.name: (out / path.name).stat().st_mtime_ns for path in kept} == {
        path.name: time for path, time in kept.items()
    }
    again = contents(out)
    assert {name: content for name, content in again.items() if name != "README.md"} == {
        name: content
        for name, content in whole.items()
        if name != "README.md"  # it begins with the folder's name
    }


@pytest.mark.parametrize("begun", [True, False])
def test_what_another_export_left_is_not_taken(begun: bool, base: Path, tmp_path: Path) -> None:
    checkpoint = imported(base, tmp_path / "checkpoint")
    wrong, partial = export(checkpoint, tmp_path / "wrong", dtype="float32"), tmp_path / ".out.partial"
    shutil.copytree(wrong, partial)
    (partial / "manifest.json").unlink()
    if begun:  # killed in the middle; else at its end
        write_json(partial / BEGUN, read_manifest(wrong)["fingerprint"])
    out = export(checkpoint, tmp_path / "out")
    assert {tensor.dtype for tensor in load_file(out / "model.safetensors").values()} == {torch.bfloat16}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_types(dtype: str, base: Path, tmp_path: Path) -> None:
    out = export(imported(base, tmp_path / "checkpoint"), tmp_path / "out", dtype=dtype)
    source, kind = HfFolder(base), getattr(torch, dtype)
    for name, tensor in load_file(out / "model.safetensors").items():
        assert torch.equal(tensor, source.read(name).to(kind)) and tensor.dtype == kind
    assert read_json(out / "config.json")["torch_dtype"] == dtype
    with pytest.raises(BadInput, match=r"dtype: 'bf16' is not one of keep, float32, bfloat16, float16"):
        export(tmp_path / "checkpoint", tmp_path / "other", dtype="bf16")


def test_the_last_checkpoints_are_averaged(tmp_path: Path) -> None:
    """In float32, whatever they are kept in; the newest one, which is there twice, counts once."""
    tokenizer, training = save_tokenizer(tmp_path / "tokenizer"), tmp_path / "training"
    folders = []
    for step in range(4):
        hf = save_model(tmp_path / f"hf-{step}", torch.float32, **ROWS)
        weights = {name: tensor + step * 0.3 for name, tensor in load_file(hf / "model.safetensors").items()}
        from safetensors.torch import save_file

        save_file({name: tensor.bfloat16() for name, tensor in weights.items()}, hf / "model.safetensors")
        folders.append(hf)
        imported(hf, training / f"checkpoints/step={step}")
    imported(folders[-1], training / "checkpoints/step=3-last")
    out = export(training, tmp_path / "out", tokenizer=tokenizer, average=3, dtype="float32")
    sources = [load_file(hf / "model.safetensors") for hf in folders[1:]]
    for name, tensor in load_file(out / "model.safetensors").items():
        mean = torch.stack([source[name].double() for source in sources]).mean(0)
        assert torch.allclose(tensor.double(), mean, atol=1e-6), name
    assert "| average of the checkpoints | step=1, step=2, step=3-last |" in (out / "README.md").read_text()
    with pytest.raises(BadInput, match=r"average=5 was given, and there are 4 finished checkpoints in it \(step=0, "):
        export(training, tmp_path / "more", tokenizer=tokenizer, average=5)
    with pytest.raises(BadInput, match="average: 0 was given"):
        export(training, tmp_path / "more", tokenizer=tokenizer, average=0)


def test_checkpoints_of_two_models_are_not_averaged(tmp_path: Path) -> None:
    for step, heads in enumerate((2, 4)):
        hf = save_model(tmp_path / f"hf-{step}", num_key_value_heads=heads)
        imported(hf, tmp_path / f"training/checkpoints/step={step}")
    with pytest.raises(BadInput, match="cannot be averaged with step=1: num_query_groups 4 against 2"):
        export(tmp_path / "training", tmp_path / "out", tokenizer=save_tokenizer(tmp_path / "t"), average=2)


def test_which_tokenizer(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = imported(base, tmp_path / "checkpoint")
    other = save_tokenizer(tmp_path / "other", eos_token="<pad>")
    assert read_json(export(checkpoint, tmp_path / "a", tokenizer=other) / "config.json")["eos_token_id"] == 2
    content = (base / "tokenizer.json").read_text()
    (base / "tokenizer.json").write_text(content + "\n")
    with pytest.raises(BadInput, match="tokenizer.json: is another one than the weights were trained with"):
        export(checkpoint, tmp_path / "b")
    (base / "tokenizer.json").unlink()
    assert main(["convert", "export", str(checkpoint), "--to", str(tmp_path / "c")]) == 2
    assert "it does not say which tokenizer belongs to it, or that folder is gone; give tokenizer=" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "c").exists() and not (tmp_path / ".c.partial").exists()
    exporting.run(Config(checkpoint=checkpoint, out=tmp_path / "c", check=False), bare=True)
    assert {path.suffix for path in (tmp_path / "c").iterdir()} == {".json", ".md", ".safetensors", ""}


@pytest.mark.parametrize("given", [{}, {"add_bos_token": True}, {"add_bos_token": False}, {"add_eos_token": True}])
@pytest.mark.parametrize("adds_bos", [True, False])
def test_what_a_tokenizers_class_does_stands_in_its_rules(
    adds_bos: bool, given: dict[str, bool], base: Path, tmp_path: Path
) -> None:
    """The ids are those of `LlamaTokenizerFast`, and no class's code is needed for them."""
    from transformers import AutoTokenizer, LlamaTokenizerFast

    save_tokenizer(base, adds_bos=adds_bos, tokenizer_class="LlamaTokenizer", legacy=False, **given)
    out = export(imported(base, tmp_path / "checkpoint"), tmp_path / "out")
    ours, theirs = AutoTokenizer.from_pretrained(out), LlamaTokenizerFast.from_pretrained(base)
    for text in ("継続事前学習とは", "What was trained?</s> <s>", ""):
        assert ours(text).input_ids == theirs(text).input_ids
    assert ours("What", "was").input_ids == theirs("What", "was").input_ids
    written = read_json(out / "tokenizer_config.json")
    assert not {"add_bos_token", "add_eos_token", "legacy"} & written.keys()


def test_real_tokenizer_keeps_its_ids(tmp_path: Path, shared_data: Path) -> None:
    from transformers import AutoTokenizer

    real = shared_data / "llm-jp-tokenizer/hf"
    hf = save_model(tmp_path / "hf", torch.bfloat16, vocab_size=99_584, hidden_size=8, intermediate_size=16)
    out = export(imported(hf, tmp_path / "checkpoint"), tmp_path / "out", tokenizer=real)
    assert read_json(out / "config.json")["vocab_size"] == 99_584
    assert load_file(out / "model.safetensors")["lm_head.weight"].shape[0] == 99_584
    ours, theirs = AutoTokenizer.from_pretrained(out), AutoTokenizer.from_pretrained(real)
    assert len(ours) == 99_574
    for text in ("継続事前学習は12,400件の論文で行った。\n\n", "ＮＦＫＣ　①②③ 😀 </s> a  b", "Which base model?"):
        assert ours(text).input_ids == theirs(text).input_ids


def test_no_room_is_said_before_anything_is_written(base: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from collections import namedtuple

    from nemo_kcpt.checkpoints import target

    checkpoint = imported(base, tmp_path / "checkpoint")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(target.shutil, "disk_usage", lambda path: usage(9, 9, 60_000_000))
    with pytest.raises(BadInput, match=r"the export needs 0\.07 GB, 0\.06 GB are free"):
        export(checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list((tmp_path / ".out.partial").glob("*.safetensors"))


def test_a_licence_goes_nowhere_else(base: Path, tmp_path: Path) -> None:
    checkpoint = imported(base, tmp_path / "checkpoint")
    for name in ("../LICENSE", "/tmp/LICENSE", "config.json", "LICENSE/../../x"):
        origin = read_json(checkpoint / "origin.json")
        origin["base"]["licence_files"] = {name: "text"}
        write_json(checkpoint / "origin.json", origin)
        with pytest.raises(BadInput, match="is no name of a licence file"):
            export(checkpoint, tmp_path / "out")
    assert not (tmp_path / "LICENSE").exists()


@pytest.mark.parametrize("content", ["[]", "{}", '{"base": 3, "trainings": []}', '{"base": null, "trainings": [{}]}'])
def test_a_damaged_origin(content: str, base: Path, tmp_path: Path) -> None:
    checkpoint = imported(base, tmp_path / "checkpoint")
    (checkpoint / "origin.json").write_text(content)
    with pytest.raises(BadInput, match=r"origin\.json: not the history of a checkpoint of ours"):
        export(checkpoint, tmp_path / "out")


def test_the_writer_writes_what_the_library_reads(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    for dtype in safetensors_file.TYPES:
        given = {"a": torch.randn(3, 5, generator=generator), "é": torch.randn(7, generator=generator)[::2]}
        sizes = {name: tuple(tensor.shape) for name, tensor in given.items()}
        path = safetensors_file.write_safetensors(tmp_path / f"{dtype}.safetensors", sizes, dtype, given.values())
        found = load_file(path)
        assert found.keys() == given.keys()
        assert all(torch.equal(found[name], given[name].to(getattr(torch, dtype))) for name in given)
    with pytest.raises(AssertionError, match=r"\(2,\) where \(3,\) was announced"):
        safetensors_file.write_safetensors(tmp_path / "x", {"a": (3,)}, "float32", [torch.zeros(2)])
    with pytest.raises(ValueError, match="shorter"):
        safetensors_file.write_safetensors(tmp_path / "x", {"a": (3,)}, "float32", [])
    assert not (tmp_path / "x").exists()


PROGRAM = """
import json, sys
from pathlib import Path
import torch
from torch.distributed import checkpoint
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.export import write_weights
from nemo_kcpt.processes import peak_memory

source, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir()
shape, reader = read_shape(source), CheckpointReader(source)
before = peak_memory()
write_weights(reader.read, shape, out, "float32", 10**11)
print(json.dumps({"taken": peak_memory() - before, "model": shape.parameters() * 4}))
"""


def test_memory_follows_the_layer_and_not_the_model(tmp_path: Path) -> None:
    sizes = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 24, "vocab_size": 4000}
    checkpoint = imported(save_model(tmp_path / "hf", **sizes, tie_word_embeddings=True), tmp_path / "checkpoint")
    command = [sys.executable, "-c", PROGRAM, str(checkpoint), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout.splitlines()[-1])
    assert memory["model"] > 600e6
    print(memory)
    assert memory["taken"] < memory["model"] / 6, memory


assert SIZES["max_position_embeddings"] == 128  # test_the_folder_is_complete counts on it
