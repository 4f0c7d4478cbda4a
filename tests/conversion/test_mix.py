"""`kcpt convert mix`: what is interpolated or added, from which models, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nemo_kcpt.checkpoints import mix as arithmetic
from nemo_kcpt.checkpoints.hf_weights import HfWeights
from nemo_kcpt.cli import main
from nemo_kcpt.conversion import stage
from nemo_kcpt.conversion.mix_stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from tests.conversion import checkpoints
from tests.conversion.hf_models import save_model
from tests.conversion.hf_tokenizers import TEMPLATE, save_tokenizer
from tests.conversion.test_crashes import die_everywhere, note_calls

SMALL: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 336}


def model(folder: Path, seed: int = 0, dtype: torch.dtype = torch.float32, **more: Any) -> Path:
    """A model folder whose weights are those of seed 0 and a small change that `seed` names."""
    save_tokenizer(save_model(folder, **SMALL | more))
    path, generator = folder / "model.safetensors", torch.Generator().manual_seed(seed)
    weights = {
        name: (one + (seed > 0) * 0.01 * torch.randn(one.shape, generator=generator)).to(dtype)
        for name, one in load_file(path).items()
    }
    save_file(weights, path, {"format": "pt"})
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"torch_dtype": str(dtype).removeprefix("torch.")})
    return folder


@pytest.fixture
def a(tmp_path: Path) -> Path:
    return model(tmp_path / "a")


@pytest.fixture
def b(tmp_path: Path) -> Path:
    return model(tmp_path / "b", 1)


def mixed(out: Path, a: Path, b: Path | None = None, **more: Any) -> Path:
    run(Config(a=a, b=b, out=out, **more))
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found = HfWeights(folder)
    return {name: found.read(name) for name in found.places}


def bits(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[torch.dtype, bytes]]:
    return {name: (one.dtype, one.contiguous().view(torch.uint8).numpy().tobytes()) for name, one in tensors.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_ends_are_the_models_bit_for_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    """Zeros with a sign, too."""
    a, b = model(tmp_path / "a", 0, dtype), model(tmp_path / "b", 1, dtype)
    for folder in (a, b):
        changed = weights(folder)
        changed["model.norm.weight"][:4] = torch.tensor([-0.0, 0.0, -0.0, 1e-7])
        save_file(changed, folder / "model.safetensors", {"format": "pt"})
    for alpha, end in ((0.0, a), (1.0, b)):
        out = mixed(tmp_path / f"{alpha}", a, b, alpha=alpha, max_shard_gb=3e-5)
        assert len(list(out.glob("model-*.safetensors"))) > 2
        assert bits(weights(out)) == bits(weights(end))


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.77])
def test_a_weight_is_between_the_models_weights(alpha: float, a: Path, b: Path, tmp_path: Path) -> None:
    out, ours, theirs = weights(mixed(tmp_path / "out", a, b, alpha=alpha)), weights(a), weights(b)
    for name, found in out.items():
        exact = (1 - alpha) * ours[name].double() + alpha * theirs[name].double()
        assert torch.allclose(found.double(), exact, rtol=0, atol=1e-7), name
        low, high = torch.minimum(ours[name], theirs[name]), torch.maximum(ours[name], theirs[name])
        assert ((low <= found) & (found <= high)).all(), name


def test_equal_models_mix_to_the_same(a: Path, tmp_path: Path) -> None:
    assert bits(weights(mixed(tmp_path / "out", a, a, alpha=0.3))) == bits(weights(a))


def test_what_a_training_changed_is_added(a: Path, b: Path, tmp_path: Path) -> None:
    """On top of a third model, in sizes that need more than one stretch, and added up over trainings."""
    third, fourth = model(tmp_path / "third", 2), model(tmp_path / "fourth", 3)
    one = weights(mixed(tmp_path / "one", third, add=[b], minus=a, scale=0.5))
    two = weights(mixed(tmp_path / "two", third, add=[b, fourth], minus=a, scale=0.5))
    none = weights(mixed(tmp_path / "none", third, add=[b], minus=a, scale=0))
    base, instruct, other, top = (
        {name: each.double() for name, each in weights(folder).items()} for folder in (a, b, fourth, third)
    )
    for name in top:
        change = instruct[name] - base[name]
        assert torch.allclose(one[name].double(), top[name] + 0.5 * change, rtol=0, atol=1e-7)
        change += other[name] - base[name]
        assert torch.allclose(two[name].double(), top[name] + 0.5 * change, rtol=0, atol=1e-7)
    assert bits(none) == bits(weights(third))


def test_stretches_change_nothing(a: Path, b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mixed(tmp_path / "whole", a, b, alpha=0.4)
    monkeypatch.setattr(arithmetic, "ELEMENTS", 7)
    assert bits(weights(mixed(tmp_path / "parts", a, b, alpha=0.4))) == bits(weights(whole))


def test_the_folder_says_what_it_is(a: Path, b: Path, tmp_path: Path) -> None:
    """It loads in transformers, and its manifest and card name the models, the formula and the hashes."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    (a / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (a / "LICENSE").write_text("one licence")
    (b / "LICENSE").write_text("another licence")
    write_json(b / "generation_config.json", {"eos_token_id": [1]})
    out = mixed(tmp_path / "out", a, b, alpha=0.25, dtype="bfloat16")
    loaded = AutoModelForCausalLM.from_pretrained(out, dtype="auto")
    assert loaded.dtype == torch.bfloat16 and AutoTokenizer.from_pretrained(out).chat_template == TEMPLATE
    manifest = read_json(out / "manifest.json")
    assert manifest["stage"] == "mix" and set(manifest["inputs"]) == {"a", "b"}
    assert manifest["counts"]["mixture"] == "0.75 × a + 0.25 × b"
    card = (out / "README.md").read_text()
    assert "0.75 × a + 0.25 × b" in card and manifest["inputs"]["a"][:16] in card and "AutoModelForCausalLM" in card
    assert (out / "LICENSE").read_text() == "one licence" and (out / "LICENSE.b").read_text() == "another licence"
    assert read_json(out / "generation_config.json") == {"eos_token_id": [1]}


def test_mixtures_of_experts_and_types_of_their_own(tmp_path: Path) -> None:
    """No architecture is known: a Mixtral, with its routers in another type."""
    from transformers import MixtralConfig, MixtralForCausalLM

    folders = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 40}
        config = MixtralConfig(**sizes, num_attention_heads=2, num_key_value_heads=1, num_local_experts=4)
        folders.append(tmp_path / str(seed))
        MixtralForCausalLM(config).to(torch.bfloat16).save_pretrained(folders[-1])
        saved = load_file(folders[-1] / "model.safetensors")
        saved = {name: one.float() if ".gate." in name else one for name, one in saved.items()}
        save_file(saved, folders[-1] / "model.safetensors", {"format": "pt"})
    out = weights(mixed(tmp_path / "out", *folders, alpha=0.5))
    assert sum(".experts." in name for name in out) == 2 * 4 * 3
    for name, found in out.items():
        assert found.dtype == (torch.float32 if ".gate." in name else torch.bfloat16)
    assert bits(weights(mixed(tmp_path / "one", *folders, alpha=1))) == bits(weights(folders[1]))


def test_an_export_is_mixed_with_its_base(tmp_path: Path) -> None:
    """The base has its tokenizer's rules in a class, keys that the export lacks, and no head size in its config."""
    base = model(tmp_path / "base", initializer_range=0.04)
    save_tokenizer(base, tokenizer_class="LlamaTokenizerFast")
    config = read_json(base / "config.json")
    config = {key: one for key, one in config.items() if key != "head_dim"}
    write_json(base / "config.json", config | {"is_llama": True})
    checkpoint = checkpoints.imported(base, tmp_path / "checkpoint")
    stage.run(stage.Config(checkpoint=checkpoint, out=tmp_path / "hf", check=False, tokenizer=base))
    assert (tmp_path / "hf/tokenizer.json").read_bytes() != (base / "tokenizer.json").read_bytes()
    out = mixed(tmp_path / "out", base, tmp_path / "hf", alpha=0.5)
    assert bits(weights(out)) == bits(weights(base))


def edited(folder: Path, **values: Any) -> None:
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **values})


def retold(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    saved = load_file(folder / "model.safetensors")
    change(saved)
    save_file(saved, folder / "model.safetensors", {"format": "pt"})


def another_vocabulary(b: Path) -> None:
    rules = read_json(b / "tokenizer.json")
    words = rules["model"]["vocab"]
    first, second = list(words)[10:12]
    words[first], words[second] = words[second], words[first]
    write_json(b / "tokenizer.json", rules)


def untied(b: Path) -> None:
    shutil.rmtree(b)
    model(b, 1, tie_word_embeddings=True)


def resized(b: Path) -> None:
    shutil.rmtree(b)
    model(b, 1, vocab_size=340)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a tensor missing": (
        lambda b: retold(b, lambda saved: saved.pop("model.layers.1.mlp.up_proj.weight")),
        r"model.layers.1.mlp.up_proj.weight missing, which .*/a has",
    ),
    "another size": (
        lambda b: retold(b, lambda saved: saved.update({"model.norm.weight": torch.ones(31)})),
        r"model.norm.weight is 31, in .*/a it is 32",
    ),
    "another vocabulary": (resized, r"vocab_size: 340, not 336"),
    "another tokenizer": (another_vocabulary, r"tokenizer.json: differs from .* in model"),
    "another RoPE base": (lambda b: edited(b, rope_theta=5e5), r"rope_theta: 500000.0, not 10000.* rope= \(a or b\)"),
    "other positions": (lambda b: edited(b, max_position_embeddings=64), r"max_position_embeddings: 64, not 128"),
    "another activation": (lambda b: edited(b, hidden_act="gelu"), r"hidden_act: 'gelu', not 'silu'"),
    "another architecture": (lambda b: edited(b, model_type="mistral"), r"model_type: 'mistral', not 'llama'"),
    "tied against untied": (untied, r"output layer of .*/a is a tensor of its own, that of .*/b is the embedding"),
    "quantised by config": (lambda b: edited(b, quantization_config={"quant_method": "fp8"}), r"quantised \(fp8\)"),
    "quantised weights": (
        lambda b: retold(b, lambda saved: saved.update({"model.norm.weight": torch.ones(32, dtype=torch.int8)})),
        r"model.norm.weight is of type I8",
    ),
    "not a number": (
        lambda b: retold(b, lambda saved: saved["model.norm.weight"].__setitem__(3, float("nan"))),
        r"b/model.safetensors: model.norm.weight holds NaN or infinity",
    ),
    "infinity": (
        lambda b: retold(b, lambda saved: saved["model.norm.weight"].__setitem__(3, float("-inf"))),
        r"model.norm.weight holds NaN or infinity",
    ),
    "another type": (
        lambda b: retold(b, lambda saved: saved.update({"model.norm.weight": torch.ones(32).half()})),
        r"model.norm.weight is float16, in .* it is float32; give dtype=",
    ),
    "no config": (lambda b: (b / "config.json").unlink(), r"b: .*config.json: missing"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("alpha", [0.5, 0.0])
def test_models_that_do_not_agree_are_refused(case: str, alpha: float, a: Path, b: Path, tmp_path: Path) -> None:
    """Whatever alpha is, and no folder is left that looks like a model."""
    make, message = BAD[case]
    make(b)
    with pytest.raises(BadInput, match=message):
        mixed(tmp_path / "out", a, b, alpha=alpha)
    assert not (tmp_path / "out").exists()
    if case != "another type":
        with pytest.raises(BadInput):
            mixed(tmp_path / "out", a, add=[b], minus=a)


def test_values_beyond_the_type_are_refused(a: Path, b: Path, tmp_path: Path) -> None:
    for folder in (a, b):
        retold(folder, lambda saved: saved["model.norm.weight"].__setitem__(3, 1e6))
    with pytest.raises(
        BadInput, match=r"model.norm.weight: the mixture has values beyond float16; give dtype=bfloat16"
    ):
        mixed(tmp_path / "out", a, b, alpha=0.5, dtype="float16")


def test_whose_positions_are_taken_can_be_said(a: Path, b: Path, tmp_path: Path) -> None:
    edited(b, rope_theta=5e5, max_position_embeddings=512)
    for side, theta, positions in (("a", 10_000, 128), ("b", 500_000, 512)):
        config = read_json(mixed(tmp_path / f"by {side}", a, b, alpha=0.5, rope=side) / "config.json")
        assert (config["rope_theta"], config["max_position_embeddings"]) == (theta, positions)
    with pytest.raises(BadInput, match="rope: 'c' is not one of a, b"):
        mixed(tmp_path / "c", a, b, alpha=0.5, rope="c")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["b", "alpha=1.5"], "alpha: 1.5 was given; the share of B is needed, from 0 (A) to 1 (B)"),
        (["b", "alpha=-0.1"], "alpha: -0.1"),
        (["b", "alpha=nan"], "alpha: nan"),
        (["b"], "alpha: None"),
        (["b", "alpha=0.5", "add=[b]", "minus=a"], "give a second model and alpha=, or add="),
        (["b", "alpha=0.5", "scale=2"], "minus, scale: go with add="),
        (["add=[b]"], "add: needs minus="),
        (["add=[b]", "minus=a", "scale=inf"], "scale: inf"),
        (["b", "alpha=0.5", "dtype=int8"], "dtype: 'int8' is not one of"),
        (["b", "alpha=0.5", "max_shard_gb=0"], "max_shard_gb: 0"),
        ([], "give a second model"),
    ],
)
def test_keys_that_contradict_each_other(words: list[str], message: str, capsys: Any) -> None:
    assert main(["convert", "mix", "a", *words, "--to", "out"]) == 2
    assert message in capsys.readouterr().err


def test_the_command_line(a: Path, b: Path, tmp_path: Path, capsys: Any) -> None:
    words = ["convert", "mix", str(a), str(b), "alpha=0.5", "--to", str(tmp_path / "out")]
    assert main(words) == 0 and main(words) == 0
    assert "is finished" in capsys.readouterr().out
    assert main([*words, "alpha=0.6"]) == 2
    assert "alpha was 0.5, now 0.6" in capsys.readouterr().err
    words = ["convert", "mix", str(a), f"add=[{b}]", f"minus={a}", "scale=2", "--to", str(tmp_path / "more")]
    assert main(words) == 0


@pytest.mark.slow
def test_it_dies_anywhere_and_resumes(a: Path, b: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shard that is whole is written again."""
    out, paid = tmp_path / "place/out", tmp_path / "paid"
    note_calls(monkeypatch, arithmetic, "write_safetensors", paid, lambda path, *_: path.name)
    config = Config(a=a, b=b, out=out, alpha=0.5, max_shard_gb=4e-5)
    die_everywhere(tmp_path / "place", lambda: run(config), paid=paid, under_way=1, least=30)


PEAK = """
import sys
from pathlib import Path
from nemo_kcpt.conversion import stage
from nemo_kcpt.conversion.mix_stage import Config, run
from nemo_kcpt.processes import peak_memory
run(Config(a=Path(sys.argv[1]), b=Path(sys.argv[1]), out=Path(sys.argv[2]), alpha=0.0))
for start in (3, 5):
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what there is now
    before = peak_memory()
    run(Config(a=Path(sys.argv[start]), b=Path(sys.argv[start]), out=Path(sys.argv[start + 1]), alpha=0.5))
    print((peak_memory() - before) >> 10)
"""


@pytest.mark.slow
def test_memory_follows_the_largest_tensor(a: Path, tmp_path: Path) -> None:
    """Twice as many layers need no more: growth of resident memory, in KiB, of a process that has all imports."""
    wide = {"hidden_size": 512, "intermediate_size": 2048}
    four, eight = (model(tmp_path / str(n), **wide, num_hidden_layers=n) for n in (4, 8))
    given = [a, tmp_path / "x", four, tmp_path / "y", eight, tmp_path / "z"]
    command = [sys.executable, "-c", PEAK, *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = map(json.loads, done.stdout.split())
    assert (four / "model.safetensors").stat().st_size > 60 << 20
    assert max(first, second) < 45 << 10 and second - first < 8 << 10, (first, second)
