"""Low-rank adapters through ``llm.pretrain``: on layers without Transformer Engine, in every layout, resumed exactly,
and exported so that Megatron, transformers and PEFT compute the same."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.checkpoints import exporting
from nemo_kcpt.checkpoints.adapters import LORA, read_lora
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.conversion.verify.sides import open_side
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from tests import forks
from tests.training.toy_run import train

pytestmark = pytest.mark.slow

Losses = dict[int | str, float]
ADAPTERS = {"dim": 4, "alpha": 6, "lora_B_init_method": "normal"}
"""B is not zero at the start, so that a wrong scale or a wrong row shows at once."""
TWO = {"ranks": 2}
LAYOUTS: dict[str, dict[str, Any]] = {
    "one rank": {},
    "tensor": {**TWO, "tp": 2},
    "sequence": {**TWO, "tp": 2, "sequence_parallel": True},
    "pipeline": {**TWO, "pp": 2},
    "data": TWO,
}


def run(folder: Path, name: str, **options: Any) -> Losses:
    return dict(forks.call(train, folder=str(folder / name), log=folder / f"{name}.log", **options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Losses]:
    """`base/step=2`, and adapters of it, `lora/step=2` and `lora/step=5`, with the losses of the six steps."""
    folder = tmp_path_factory.mktemp("lora")
    run(folder, "base", save_every=3, max_steps=3)
    losses = run(folder, "lora", save_every=3, restore=str(folder / "base/step=2"), lora=ADAPTERS)
    return folder, losses


def adapters(folder: Path) -> dict[str, torch.Tensor]:
    reader = CheckpointReader(folder)
    return {name: reader.tensor(name) for name in reader.keys()}  # noqa: SIM118 - not a dict


def test_adapters_alone_are_trained_and_saved(trained: tuple[Path, Losses]) -> None:
    folder, _ = trained
    first, last = adapters(folder / "lora/step=2"), adapters(folder / "lora/step=5")
    assert len(last) == 2 * 4 and all(".adapter." in name for name in last)
    assert all(not torch.equal(first[name], last[name]) for name in last)
    lora = read_lora(folder / "lora/step=5")
    assert lora is not None and lora.base == str(folder / "base/step=2") and (lora.rank, lora.scale) == (4, 1.5)


def test_the_first_loss_is_the_bases_where_b_is_zero(trained: tuple[Path, Losses]) -> None:
    folder, _ = trained
    whole = run(folder, "whole", restore=str(folder / "base/step=2"), max_steps=1)
    zero = run(folder, "zero", restore=str(folder / "base/step=2"), max_steps=1, lora={"dim": 4, "alpha": 6})
    assert zero[1] == whole[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_resume_goes_on_in_every_layout(layout: str, trained: tuple[Path, Losses]) -> None:
    """On one rank exactly; else as near as other orders of sums come."""
    folder, losses = trained
    options = LAYOUTS[layout] | {"load": str(folder / "lora/step=2"), "lora": ADAPTERS}
    found = run(folder, layout, **options)
    expected = {step: losses[step] for step in (4, 5, 6)}
    assert found == expected if layout == "one rank" else found == pytest.approx(expected, rel=1e-5)


def test_killed_and_resumed_is_bit_equal(trained: tuple[Path, Losses]) -> None:
    folder, losses = trained
    options = {"save_every": 3, "restore": str(folder / "base/step=2"), "lora": ADAPTERS, "resume": True}
    killed = forks.start(train, folder=str(folder / "killed"), log=folder / "killed.log", die_at=5, **options)
    assert killed.wait() == -signal.SIGKILL
    assert run(folder, "killed", **options) == {step: losses[step] for step in (4, 5, 6)}
    ours, theirs = adapters(folder / "killed/step=5"), adapters(folder / "lora/step=5")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def parity(checkpoint: str, hf: str, prompts: list[list[int]]) -> dict[str, Any]:
    """In a fork: the largest difference of a logit between Megatron's model and transformers'."""
    from nemo_kcpt.conversion.verify.parity import logit_parity

    return logit_parity(Path(checkpoint), Path(hf), prompts)


def export(checkpoint: Path, out: Path, **keys: Any) -> Path:
    exporting.run(exporting.Config(checkpoint=checkpoint, out=out, check=False, **keys), bare=True)
    return out


IDS = [[number * 7 % 96 for number in range(30)]]


@pytest.mark.parametrize("embeddings", [False, True])
def test_merged_adapter_and_megatron_agree(embeddings: bool, trained: tuple[Path, Losses], tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder, _ = trained
    checkpoint = folder / "lora/step=5"
    if embeddings:
        options = {**ADAPTERS, "embeddings": True}
        run(folder, "embeddings", save_every=6, restore=str(folder / "base/step=2"), lora=options)
        checkpoint = folder / "embeddings/step=5"
        assert sum(".adapter." not in name for name in adapters(checkpoint)) == 2
    base, merged = export(folder / "base/step=2", tmp_path / "base"), export(checkpoint, tmp_path / "merged")
    found = forks.call(parity, str(checkpoint), str(merged), IDS, log=tmp_path / "log")
    assert found["max_abs_diff"] < 1e-4 and found["argmax_equal"] == 30
    adapter = export(checkpoint, tmp_path / "adapter", adapter=True)

    def logits(model: Any) -> torch.Tensor:
        with torch.no_grad():
            return model.eval()(torch.tensor(IDS)).logits

    plain = AutoModelForCausalLM.from_pretrained(base)
    before, whole = logits(plain), logits(AutoModelForCausalLM.from_pretrained(merged))
    beside = logits(PeftModel.from_pretrained(plain, adapter))
    assert (beside - whole).abs().max() < 1e-4 < 0.1 < (whole - before).abs().max()
    config = read_json(adapter / "adapter_config.json")
    assert config["r"] == 4 and config["lora_alpha"] == 6 and len(config["target_modules"]) == 7
    assert config["modules_to_save"] == (["embed_tokens", "lm_head"] if embeddings else None)
    assert "LoRA of rank 4, alpha 6" in (adapter / "README.md").read_text()


def test_what_adapters_do_not_go_with_is_refused(trained: tuple[Path, Losses], tmp_path: Path) -> None:
    """Another base, none, a base that is gone; adapters where weights are wanted, and the other way round."""
    folder, _ = trained
    checkpoint = folder / "lora/step=5"
    run(folder, "other", save_every=1, max_steps=1)
    with pytest.raises(BadInput, match=r"adapters were trained on other weights than those in .*other/step=0"):
        export(checkpoint, tmp_path / "x", base=folder / "other/step=0")
    copied = tmp_path / "moved"
    shutil.copytree(checkpoint, copied)
    write_json(copied / LORA, {**read_json(copied / LORA), "base": str(tmp_path / "gone")})
    with pytest.raises(BadInput, match=r"gone, which cannot be read .* give base="):
        export(copied, tmp_path / "x")
    assert export(copied, tmp_path / "x", base=folder / "base/step=2").is_dir()
    (copied / LORA).unlink()
    with pytest.raises(BadInput, match=r"lora.json: missing, and .* holds adapters alone"):
        export(copied, tmp_path / "y")
    for key in ("adapter", "base"):
        with pytest.raises(BadInput, match=f"{key}: .* holds no adapters but whole weights"):
            export(folder / "base/step=2", tmp_path / "y", **{key: folder})
    assert not (tmp_path / "y").exists()
    with pytest.raises(BadInput, match="A: .*holds adapters alone; export the merged model"):
        open_side("A", checkpoint)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lora": ADAPTERS}, "lora: adapters go with trained weights; give restore="),
        ({"restore": "lora/step=5"}, "holds adapters alone (LoRA of rank 4"),
        ({"restore": "lora/step=5", "lora": ADAPTERS}, "export the merged model and take that"),
        ({"load": "lora/step=2"}, "give lora= as before"),
        ({"load": "lora/step=2", "lora": {"dim": 8, "alpha": 6}}, "was trained with LoRA of rank 4"),
        ({"load": "base/step=2", "lora": ADAPTERS}, "its training was of whole weights"),
        ({"restore": "base/step=2", "lora": {"dim": 3}, "tp": 2, "ranks": 2}, "lora=3 does not divide by"),
    ],
)
def test_trainings_that_cannot_be_meant(options: dict[str, Any], said: str, trained: tuple[Path, Losses]) -> None:
    folder, _ = trained
    places = {key: str(folder / options[key]) for key in ("restore", "load") if key in options}
    with pytest.raises(AssertionError) as caught:
        run(folder, "refused", **options | places)
    assert said in str(caught.value), json.dumps(str(caught.value)[-1500:])
