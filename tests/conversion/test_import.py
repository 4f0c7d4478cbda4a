"""`kcpt convert import`: NeMo and Megatron load what it writes; interrupted, refused and repeated runs."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nemo_kcpt.checkpoints import target
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import check_complete, find_checkpoint
from nemo_kcpt.checkpoints.mapping import hf_tensors
from nemo_kcpt.cli import main
from nemo_kcpt.conversion.import_stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import read_hf_shape
from tests import forks
from tests.conversion.hf_models import KINDS, SIZES, save_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(tmp_path / "hf")


def contents(folder: Path) -> dict[str, bytes]:
    """The weights' files; `.metadata` holds a random id."""
    return {path.name: path.read_bytes() for path in sorted((folder / "weights").glob("*.distcp"))}


def prompts(rows: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randint(0, rows, (length,), generator=generator).tolist() for length in (1, 40, 100)]


NARROW = ["grouped queries", "qwen3_moe", "gemma2"]
"""Kinds that are imported in bfloat16, too; that this keeps the bits of all kinds, test_verify.py proves."""
KINDS_AND_TYPES = [(kind, torch.float32) for kind in KINDS] + [(kind, torch.bfloat16) for kind in NARROW]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "dtype"), KINDS_AND_TYPES)
def test_megatron_computes_the_logits_of_transformers(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    from nemo.lightning.io import load_context

    from nemo_kcpt.conversion.verify.parity import logit_parity
    from nemo_kcpt.models.llama import KcptLlamaModel

    hf, out = save_model(tmp_path / "hf", dtype, **KINDS[kind]), tmp_path / "checkpoint"
    run(Config(hf=hf, out=out))
    assert read_shape(find_checkpoint(out)) == read_hf_shape(hf)
    parity = logit_parity(out, hf, prompts(SIZES["vocab_size"]))
    assert parity["max_abs_diff"] <= 1e-4 and parity["argmax_equal"] == parity["positions"] == 141
    context = load_context(out)
    assert isinstance(context.model, KcptLlamaModel) and context.model.config.vocab_rows == SIZES["vocab_size"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grouped queries", "tied"])
def test_a_padded_vocabulary_is_the_loaders_affair(kind: str, tmp_path: Path) -> None:
    from megatron.core.dist_checkpointing import load

    from nemo_kcpt import cpu_backend
    from nemo_kcpt.conversion.verify.parity import megatron_model
    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.models.llama import KcptLlamaConfig
    from nemo_kcpt.training.single_process import single_process_groups

    hf, out = save_model(tmp_path / "hf", **KINDS[kind]), tmp_path / "checkpoint"
    run(Config(hf=hf, out=out))
    shape, rows = read_shape(out), SIZES["vocab_size"]
    cpu_backend.activate()
    with single_process_groups(), torch.no_grad():
        tokens, mask = torch.tensor(prompts(rows)[1])[None], torch.zeros(1, dtype=torch.bool)
        positions = torch.arange(tokens.shape[1])[None]
        expected = megatron_model(out)(tokens, positions, mask)
        options = config_options(shape, shape.positions, shape.rotary_base)
        padded = KcptLlamaConfig(**options, make_vocab_size_divisible_by=64).configure_model(None).eval()
        state = load(padded.sharded_state_dict(prefix="module."), str(out / "weights"))
        padded.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
        logits = padded(tokens, positions, mask)
    assert logits.shape[-1] == 256 and torch.allclose(logits[..., :rows], expected, atol=1e-6)
    assert not logits[..., rows:].any()  # new rows are zero


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """NeMo's export starts a process group for this process and names its port in the environment."""
    from megatron.core import parallel_state

    before = dict(os.environ)
    yield
    if torch.distributed.is_initialized():
        parallel_state.destroy_model_parallel()
        torch.distributed.destroy_process_group()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["grouped queries", "qwen2", "qwen3", "qwen3_moe", "mistral window", "gemma2"])
def test_nemos_own_import_and_export_are_the_same(nothing_left: None, kind: str, tmp_path: Path) -> None:
    from nemo.collections import llm
    from safetensors.torch import load_file

    from nemo_kcpt.models.llama import KcptLlamaModel, KcptTinyConfig

    folder = save_model(tmp_path / "hf", **KINDS[kind])
    run(Config(hf=folder, out=tmp_path / "ours"))
    given = KcptLlamaModel(KcptTinyConfig(vocab_rows=8))
    out = llm.import_ckpt(given, f"hf://{folder}", output_path=tmp_path / "nemos")
    assert contents(out) == contents(tmp_path / "ours") != {}
    assert read_shape(out) == read_hf_shape(folder)
    back = llm.export_ckpt(out, target="hf", output_path=tmp_path / "back")
    there, found = (load_file(one / "model.safetensors") for one in (folder, back))
    assert there.keys() == found.keys() and all(torch.equal(found[name], tensor) for name, tensor in there.items())
    with pytest.raises(FileExistsError):
        llm.import_ckpt(given, f"hf://{folder}", output_path=out)


@pytest.mark.slow
def test_a_killed_import_leaves_nothing_and_starts_again(folder: Path, tmp_path: Path) -> None:
    run(Config(hf=folder, out=tmp_path / "whole"))
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    words = ["kcpt", "convert", "import", str(folder), "--to", str(out)]
    for reached in (partial, partial / "weights/__2_0.distcp", partial / "weights/.metadata"):
        for _ in range(5):
            running = forks.start(forks.console, words, log=tmp_path / "log")
            while not (reached.exists() or out.exists()):
                assert running.processes[0].exitcode is None, running.output
                time.sleep(0.0005)
            running.kill()
            if running.wait() == -signal.SIGKILL and not out.exists():
                break
            shutil.rmtree(out)  # on a busy machine it may end before the signal comes
        else:
            pytest.fail("five imports ended before they could be killed")
        with pytest.raises(BadInput):
            find_checkpoint(out)
    run(Config(hf=folder, out=out))
    assert contents(out) == contents(tmp_path / "whole")
    assert not partial.exists()


def test_finished_work_is_skipped_and_another_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(Config(hf=folder, out=out))
    check_complete(out)
    written = (out / "manifest.json").stat().st_mtime_ns
    run(Config(hf=folder, out=out))
    assert (out / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(BadInput, match="dtype was keep, now bfloat16"):
        run(Config(hf=folder, out=out, dtype="bfloat16"))
    run(Config(hf=folder, out=out, dtype="bfloat16"), redo=True)
    shape = read_hf_shape(folder)
    assert {tensor.dtype for _, tensor in hf_tensors(shape, CheckpointReader(out).read)} == {torch.bfloat16}
    (out / "weights/__1_0.distcp").unlink()
    with pytest.raises(BadInput, match="files of it are missing or cut; give --redo"):
        run(Config(hf=folder, out=out, dtype="bfloat16"))


@pytest.mark.parametrize("redo", [False, True])
def test_what_is_no_import_is_never_touched(redo: bool, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("all of it")
    for out in (tmp_path / "mine", tmp_path / "mine/thesis.tex", folder):
        with pytest.raises(BadInput, match="is there, and no finished import"):
            run(Config(hf=folder, out=out), redo=redo)
    assert (tmp_path / "mine/thesis.tex").read_text() == "all of it"


def test_no_room_is_said_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(target.shutil, "disk_usage", lambda path: usage(9, 9, 60_000_000))
    with pytest.raises(BadInput, match=r"needs 0\.07 GB, 0\.06 GB are free"):
        run(Config(hf=folder, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.partial/weights").exists()


def test_types(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = save_model(tmp_path / "hf")
    with pytest.raises(
        BadInput, match=r"dtype: 'bfloat' is not one of keep, float32, bfloat16; did you mean 'bfloat16'"
    ):
        run(Config(hf=folder, out=tmp_path / "out", dtype="bfloat"))
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"].bfloat16()
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(BadInput, match=r"several types \(bfloat16, float32\); give dtype=float32 or"):
        run(Config(hf=folder, out=tmp_path / "out"))
    run(Config(hf=folder, out=tmp_path / "out", dtype="float32"))
    check_complete(tmp_path / "out")


def test_the_command_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "import", str(tmp_path), "--to", str(tmp_path / "out")]) == 2
    assert "config.json: missing; a Hugging Face model folder is needed" in capsys.readouterr().err
