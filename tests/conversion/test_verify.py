"""`kcpt convert verify`: what is equal passes, and a bit, a layer or a token id that is not is found and named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.layout import WEIGHTS
from nemo_kcpt.checkpoints.mapping import Part, fuse, hf_sizes, megatron_parts
from nemo_kcpt.checkpoints.torch_dist import write_weights
from nemo_kcpt.cli import main
from nemo_kcpt.conversion.verify.logits import Worst
from nemo_kcpt.conversion.verify.serving import Greedy, difference, greedy
from nemo_kcpt.conversion.verify.sides import open_side
from nemo_kcpt.conversion.verify.states import OUTPUT
from nemo_kcpt.conversion.verify.token_ids import Answers, compare
from nemo_kcpt.conversion.verify.weights import compare_tensors, compare_weights
from nemo_kcpt.conversion.verify_stage import Config, run
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.hf.model_shape import ModelShape, read_hf_shape
from tests.conversion.checkpoints import imported
from tests.conversion.hf_models import FAMILIES, KINDS, save_model
from tests.tiny_tokenizer import make_tokenizer

SERVABLE: dict[str, Any] = {"vocab_size": 512, "head_dim": 32, "max_position_embeddings": 512}
"""Rows for the tiny tokenizer, a head size that vLLM has, and room for the prompts."""
OFF = {"token_ids": False, "logits": False, "vllm": False}

Change = Callable[[dict[str, torch.Tensor]], object]


def verify(a: Path, b: Path, out: Path, **more: Any) -> dict[str, Any]:
    """The JSON document, whatever it says."""
    try:
        run(Config(a=a, b=b, out=out, **more))
    except KcptError as error:
        assert type(error) is KcptError and "FAILED" in str(error)
    return read_json(out)


def changed(folder: Path, out: Path, change: Change) -> Path:
    """A copy of a model with its tensors changed."""
    shutil.copytree(folder, out)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, out / "model.safetensors")
    return out


def swap_gate_and_up(tensors: dict[str, torch.Tensor]) -> None:
    mlp = "model.layers.1.mlp."
    gate, up = f"{mlp}gate_proj.weight", f"{mlp}up_proj.weight"
    tensors[gate], tensors[up] = tensors[up].clone(), tensors[gate].clone()


@pytest.fixture
def hf(tmp_path: Path) -> Path:
    return save_model(tmp_path / "hf")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["narrow heads, tied", *FAMILIES])
def test_a_folder_and_its_checkpoint_are_equal(
    kind: str, dtype: torch.dtype, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hf = save_model(tmp_path / "hf", dtype, **KINDS[kind])
    tensors = len(hf_sizes(read_hf_shape(hf)))
    checkpoint = imported(hf, tmp_path / "training/checkpoints/step=1")
    for a, b in ((hf, checkpoint), (tmp_path / "training", hf), (checkpoint, checkpoint), (hf, hf)):
        found = verify(a, b, tmp_path / "result.json", **OFF)
        assert found["passed"] and found["not_checked"] == ["token_ids", "logits", "vllm"]
        assert found["parts"]["weights"]["bit_equal"] == found["parts"]["weights"]["tensors"] == tensors
        assert found["parts"]["weights"]["bit_equal_as"] == [str(dtype).removeprefix("torch.")]
        assert found["a"]["path"] == str(checkpoint if a != hf else hf)
    printed = capsys.readouterr().out
    assert f"weights    passed       {tensors} of {tensors} tensors equal bit for bit\n" in printed
    assert "vllm       not checked  vllm=false was given\n" in printed
    assert "passed: config, weights; not checked: token_ids, logits, vllm\n" in printed


def test_a_single_bit_is_found_and_named(hf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "model.layers.2.self_attn.k_proj.weight"

    def flip(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(torch.int32)[7, 5] ^= 1

    other = changed(hf, tmp_path / "other", flip)
    words = ["convert", "verify", str(hf), str(imported(other, tmp_path / "checkpoint")), "logits=false", "vllm=false"]
    assert main([*words, "--out", str(tmp_path / "r.json")]) == 1
    printed = capsys.readouterr()
    assert f"{name}: 1 of 1,152 elements (0.09%), by at most" in printed.out
    assert "verify: FAILED: weights; " in printed.err
    weights = read_json(tmp_path / "r.json")["parts"]["weights"]
    assert (weights["state"], weights["bit_equal"], weights["differ"]) == ("failed", 29, 1)
    (worst,) = weights["worst"]
    assert worst["name"] == name and worst["share"] == 1 / (24 * 48) and 0 < worst["max_abs_diff"] < 1e-7


def test_the_worst_come_first(hf: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for place, name in enumerate(sorted(tensors)[:7]):
            tensors[name] += 0.5 if place == 3 else 0.001 * place
        tensors["model.norm.weight"][2] = torch.nan

    other = changed(hf, tmp_path / "other", change)
    part = compare_weights(open_side("A", hf), open_side("B", other))
    worst = part.numbers["worst"]
    names = [one["name"] for one in worst]
    assert part.numbers["differ"] == 7 and len(worst) == 5  # the first of the seven was changed by zero
    assert names[:2] == ["model.norm.weight", sorted(load_file(hf / "model.safetensors"))[3]]
    assert worst[0]["not_finite"] == worst[0]["different"] == 1
    assert worst[1]["max_abs_diff"] == pytest.approx(0.5, abs=1e-6) and worst[1]["share"] == 1
    assert part.details[-1] == "… and 2 more"
    assert "NaN" not in json.dumps(part.document())


def test_bits_count_and_not_values() -> None:
    zero, nan = torch.zeros(3), torch.full((3,), torch.nan)
    assert compare_tensors("x", zero, -zero).different == 3
    assert compare_tensors("x", nan, nan.clone()).different == 0
    large = torch.arange(5_000_000.0)
    other = large.clone()
    other[[0, 4_999_999]] += torch.tensor([1, 2.0])
    found = compare_tensors("x", large, other)
    assert (found.different, found.max_abs_diff, found.elements) == (2, 2, 5_000_000)


def test_types_are_compared_in_the_narrower(hf: Path, tmp_path: Path) -> None:
    narrow = imported(hf, tmp_path / "narrow", dtype="bfloat16")
    found = verify(hf, narrow, tmp_path / "r.json", **OFF)
    assert found["passed"] and found["parts"]["weights"]["bit_equal_as"] == ["bfloat16"]
    assert found["parts"]["weights"]["summary"].endswith("as bfloat16 (A is float32, B bfloat16)")
    assert (found["a"]["dtypes"], found["b"]["dtypes"]) == (["float32"], ["bfloat16"])

    def next_value(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.norm.weight"][0] *= 1 + 2**-7

    found = verify(changed(hf, tmp_path / "other", next_value), narrow, tmp_path / "r.json", **OFF)
    assert not found["passed"] and found["parts"]["weights"]["worst"][0]["name"] == "model.norm.weight"
    # Neither of these two types holds the other's values.
    half, brain = torch.tensor([1.0, 1 + 2**-9]).half(), torch.tensor([1.0, 1.0]).bfloat16()
    found_one = compare_tensors("x", half, brain)
    assert (found_one.kind, found_one.different, found_one.max_abs_diff) == ("float32", 1, 2**-9)


def test_other_sizes_and_constants_are_named(hf: Path, tmp_path: Path) -> None:
    deeper = save_model(tmp_path / "deeper", num_hidden_layers=4, tie_word_embeddings=True, vocab_size=205)
    config = read_json(deeper / "config.json")
    write_json(deeper / "config.json", config | {"rope_theta": 20_000})
    found = verify(hf, deeper, tmp_path / "r.json", token_ids=False)
    parts = found["parts"]
    assert found["failed"] == ["config", "weights"] and "logits" in found["not_checked"]
    assert parts["config"]["differences"] == {
        "num_layers": {"a": 3, "b": 4},
        "vocab_rows": {"a": 203, "b": 205},
        "rotary_base": {"a": 10_000, "b": 20_000},
        "tied": {"a": False, "b": True},
    }
    assert parts["weights"]["only_in_a"] == ["lm_head.weight"] and len(parts["weights"]["only_in_b"]) == 9
    assert parts["weights"]["other_size"] == {"model.embed_tokens.weight": {"a": [203, 48], "b": [205, 48]}}
    assert parts["weights"]["tensors"] == 3 * 9 + 1
    assert parts["logits"]["summary"] == (
        "the models are of different sizes: num_layers 3 against 4, vocab_rows 203 against 205"
    )


def test_a_tensor_that_only_one_has_or_of_another_size_fails(hf: Path, tmp_path: Path) -> None:
    """Though all that can be compared is equal."""
    config = read_json(hf / "config.json")
    tied = changed(hf, tmp_path / "tied", lambda tensors: tensors.pop("lm_head.weight"))
    write_json(tied / "config.json", config | {"tie_word_embeddings": True})
    vocabulary = ("model.embed_tokens.weight", "lm_head.weight")
    cut = changed(
        hf, tmp_path / "cut", lambda tensors: tensors.update({name: tensors[name][:200] for name in vocabulary})
    )
    write_json(cut / "config.json", config | {"vocab_size": 200})
    for other, field in ((tied, "only_in_b"), (cut, "other_size")):
        part = compare_weights(open_side("A", other), open_side("B", hf))
        assert part.state == "failed" and part.numbers["differ"] == 0 and part.numbers[field]


def test_the_worst_prompt_counts() -> None:
    states = {"layer 0": torch.ones(2, 3), OUTPUT: torch.ones(2, 5)}
    worst = Worst()
    for gap in (0.0, 0.5, 0.25):
        worst.add(states, {name: state + gap for name, state in states.items()})
    assert {float(value) for value in (*worst.absolute.values(), *worst.relative.values())} == {0.5}
    assert worst.departs(0.4) == "layer 0" and worst.departs(0.5) is None and worst.positions == 6
    worst.add(states, {name: state * torch.nan for name, state in states.items()})
    worst.add(states, states)
    assert worst.departs(1e9) == "layer 0"  # what is not a number stays the worst


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda tensors: None, None),
        (swap_gate_and_up, "layer 1"),
        (
            lambda tensors: tensors["model.layers.0.self_attn.k_proj.weight"].copy_(
                tensors["model.layers.0.self_attn.k_proj.weight"].roll(12, 0)
            ),
            "layer 0",
        ),
        (lambda tensors: tensors["model.embed_tokens.weight"].mul_(1.01), "embedding"),
        (lambda tensors: tensors["model.norm.weight"].mul_(1.01), "final norm"),
        (lambda tensors: tensors["lm_head.weight"].mul_(1.01), "output"),
        (lambda tensors: tensors["model.layers.2.mlp.down_proj.weight"].fill_(torch.nan), "layer 2"),
    ],
)
def test_where_models_depart(change: Change, where: str | None, hf: Path, tmp_path: Path) -> None:
    other = changed(hf, tmp_path / "other", change)
    found = verify(hf, other, tmp_path / "r.json", weights=False, token_ids=False, vllm=False)
    logits = found["parts"]["logits"]
    assert (logits["state"], logits["first_departs_at"]) == ("passed" if where is None else "failed", where)
    assert list(logits["states"]) == ["embedding", "layer 0", "layer 1", "layer 2", "final norm", "output"]
    assert logits["positions"] == 1 + 7 + 32 + 100 and "random ids (seed 1234)" in logits["prompt_ids"]
    before = list(logits["states"]).index(where) if where else 6
    sizes = [one["relative"] for one in logits["states"].values()]
    assert all(size == 0 for size in sizes[:before]) and all(size != 0 for size in sizes[before:])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "qwen3_moe", "mistral window", "gemma2"])
def test_no_layer_of_megatrons_model_departs(kind: str, tmp_path: Path) -> None:
    hf = save_model(tmp_path / "hf", **KINDS[kind])
    checkpoint = imported(hf, tmp_path / "checkpoint")
    found = verify(hf, checkpoint, tmp_path / "r.json", weights=False, token_ids=False, vllm=False)
    assert found["parts"]["logits"]["state"] == "passed" and found["parts"]["logits"]["first_departs_at"] is None


def test_rope_and_rounding_show_in_the_logits(hf: Path, tmp_path: Path) -> None:
    off = {"weights": False, "token_ids": False, "vllm": False}
    shutil.copytree(hf, tmp_path / "other")
    write_json(tmp_path / "other/config.json", read_json(hf / "config.json") | {"rope_theta": 20_000})
    found = verify(hf, tmp_path / "other", tmp_path / "r.json", **off)
    assert found["failed"] == ["config", "logits"] and found["parts"]["logits"]["first_departs_at"] == "layer 0"
    narrow = changed(
        hf,
        tmp_path / "narrow",
        lambda tensors: tensors.update({name: tensor.bfloat16() for name, tensor in tensors.items()}),
    )
    logits = verify(hf, narrow, tmp_path / "r.json", **off)["parts"]["logits"]
    assert (logits["state"], logits["weights_rounded_to"], logits["max_abs_diff"]) == ("passed", "bfloat16", 0)


def test_prompts_of_a_file(tmp_path: Path) -> None:
    hf = make_tokenizer(save_model(tmp_path / "hf", **SERVABLE))
    off = {"weights": False, "token_ids": False, "vllm": False}
    (tmp_path / "prompts.txt").write_text("手法は何ですか？\n\nWhat?\n" + "長い" * 900 + "\n")
    logits = verify(hf, hf, tmp_path / "r.json", prompts=tmp_path / "prompts.txt", **off)["parts"]["logits"]
    assert (logits["prompts"], logits["prompts_left_out"]) == (2, 1)
    assert logits["prompt_ids"] == f"ids of {hf} (chat template)"
    (tmp_path / "prompts.jsonl").write_text('{"question": "手法は何ですか？"}\n{"prompt": "What?"}\n')
    again = verify(hf, hf, tmp_path / "r.json", prompts=tmp_path / "prompts.jsonl", **off)["parts"]["logits"]
    assert (again["prompts"], again["positions"]) == (2, logits["positions"])
    (tmp_path / "prompts.jsonl").write_text('{"text": "What?"}\n')
    with pytest.raises(BadInput, match=r"prompts.jsonl, line 1: neither 'prompt' nor 'question'"):
        run(Config(a=hf, b=hf, prompts=tmp_path / "prompts.jsonl"))


@pytest.mark.slow
def test_another_tokenizer_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that normalises otherwise, under both versions of transformers; each agrees with itself."""
    a = make_tokenizer(save_model(tmp_path / "a", **SERVABLE))
    b = Path(shutil.copytree(a, tmp_path / "b"))
    off = {"weights": False, "logits": False, "vllm": False}
    rules = read_json(b / "tokenizer.json")
    rules["normalizer"] = {"type": "NFKC"}
    write_json(b / "tokenizer.json", rules)
    (tmp_path / "text").write_text("x" * 1_999 + "普通の文\n\n\n" + "全角①" + "y" * 3_000)
    (tmp_path / "prompts").write_text("What was it trained on?\n")  # nothing that NFKC changes
    files = {"text": tmp_path / "text", "prompts": tmp_path / "prompts"}
    part = verify(a, b, tmp_path / "r.json", **files, **off)["parts"]["token_ids"]
    assert part["state"] == "failed" and part["texts"] == 3 and part["not_checked"] == []
    between, again, *own = part["comparisons"]
    assert between["between"][0].startswith("A under transformers 4") and "transformers 5" in again["between"][0]
    for one in (between, again):
        assert (one["sequences"], one["equal"]) == (7, 5)  # texts with and without special tokens, a prompt
        assert one["first_difference"]["text"].startswith("通の文\n\n\n全角①")
        ids = list(one["first_difference"]["ids"].values())
        assert ids[0][:4] == ids[1][:4] and ids[0][4] != ids[1][4]
    assert [one["equal"] == one["sequences"] for one in own] == [True, True]
    assert "first differs at token" in capsys.readouterr().out


def test_ids_that_one_version_gives_otherwise() -> None:
    same = {"texts": [[1, 2, 3]], "plain": [[2, 3]], "chats": None}
    a = Answers(label="A", result=same)
    assert compare(a, Answers(label="B", result=same), ["text"], [])["equal"] == 2
    other = compare(a, Answers(label="B", result=same | {"texts": [[1, 2, 4]]}), ["text"], [])
    assert (other["equal"], other["first_difference"]["token"]) == (1, 2)
    longer = compare(a, Answers(label="B", result=same | {"plain": [[2, 3, 4]]}), ["text"], [])
    assert (longer["equal"], longer["sequences"]) == (1, 2)
    assert longer["first_difference"] == {
        "of": "plain",
        "text": "text",
        "token": 2,
        "ids": {"A": [2, 3], "B": [2, 3, 4]},
    }
    chat = compare(a, Answers(label="B", result=same | {"chats": [[1]]}), ["text"], ["prompt"])
    assert chat["error"] == "only B has a chat template"
    broken = compare(a, Answers(label="B", result={"error": "ValueError: no"}), ["text"], [])
    assert broken["error"] == "B: ValueError: no"


def test_greedy_tokens_and_near_ties(hf: Path) -> None:
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(hf).eval()
    expected = greedy(model, [5, 9, 12], 8, set())
    whole = model.generate(torch.tensor([[5, 9, 12]]), max_new_tokens=8, do_sample=False, eos_token_id=None)
    assert expected.tokens == whole[0, 3:].tolist()
    end = expected.tokens[1]
    assert greedy(model, [5, 9, 12], 8, {end}).tokens == expected.tokens[: expected.tokens.index(end) + 1]
    logits = model(whole[:, :-1]).logits[0, 2:].topk(2).values
    assert torch.allclose(torch.tensor(expected.gaps), logits[:, 0] - logits[:, 1], atol=1e-5)
    one = Greedy(tokens=[3, 4, 5], gaps=[1.0, 1e-5, 0.5])
    assert difference(one, [3, 4, 5], 1e-4) is None
    tie = difference(one, [3, 7, 9], 1e-4)
    assert tie == {"token": 1, "transformers": [4, 5], "vllm": [7, 9], "gap": 1e-5, "near_tie": True}
    for other in ([3, 4, 6], [3, 4], [2, 4, 5], [3, 4, 5, 6]):
        assert (found := difference(one, other, 1e-4)) and not found["near_tie"]


def test_what_cannot_be_compared(hf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder, what in ((tmp_path / "none", "no such folder"), (tmp_path / "empty", "nothing like that is in it")):
        assert main(["convert", "verify", str(hf), str(folder)]) == 2
        assert f"B: {folder}: {what}; expected a Hugging Face folder (config.json)" in capsys.readouterr().err
    assert main(["convert", "verify", str(hf)]) == 2
    assert "required: b (" in capsys.readouterr().err
    with pytest.raises(BadInput, match="no tokenizer.json in it"):
        run(Config(a=hf, b=hf, tokenizer=tmp_path / "empty"))
    with pytest.raises(BadInput, match="gives the id .*, the models have 203 vocabulary rows"):
        run(Config(a=hf, b=hf, tokenizer=make_tokenizer(tmp_path / "tokenizer"), token_ids=False, vllm=False))


def test_json_is_all_that_is_printed(hf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", "verify", "--json", f"a={hf}", f"b={hf}", "vllm=false", "token_ids=false"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["passed"] and document["not_checked"] == ["token_ids", "vllm"]


def test_a_missing_environment_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nemo_kcpt.conversion.verify import serving, token_ids

    hf = make_tokenizer(save_model(tmp_path / "hf", **SERVABLE))
    for module in (serving, token_ids):
        monkeypatch.setattr(module, "serve_python", lambda: None)
    found = verify(hf, hf, tmp_path / "r.json", logits=False)
    assert found["passed"] and found["not_checked"] == ["token_ids", "logits", "vllm"]
    for name in ("token_ids", "vllm"):
        assert "make setup-serve" in found["parts"][name]["summary"]
    monkeypatch.setattr(token_ids, "serve_python", lambda: Path("/bin/false"))
    found = verify(hf, hf, tmp_path / "r.json", weights=False, logits=False)
    assert "token_ids" in found["not_checked"]
    assert "transformers does not start under /bin/false" in found["parts"]["token_ids"]["summary"]


def disturb(checkpoint: Path, hf: Path, shape: ModelShape, layer: int) -> None:
    """Write the checkpoint's weights again, with the keys and values of a layer in another order."""

    def read(part: Part) -> torch.Tensor:
        tensor = fuse(shape, part, HfFolder(hf).read)
        is_qkv = part.name.endswith("self_attention.linear_qkv.weight")
        return tensor.roll(shape.kv_channels, 0) if is_qkv and part.layer == layer else tensor

    shutil.rmtree(checkpoint / WEIGHTS)
    write_weights(checkpoint / WEIGHTS, list(megatron_parts(shape)), shape.num_layers, torch.bfloat16, read)


@pytest.mark.slow
def test_the_real_models(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Megatron's, transformers' and vLLM's; then with a layer that is put together wrongly."""
    from nemo_kcpt.environments import serve_python

    hf = make_tokenizer(save_model(tmp_path / "hf", torch.bfloat16, **SERVABLE))
    checkpoint = tmp_path / "checkpoint"
    assert main(["convert", "import", str(hf), "--to", str(checkpoint)]) == 0
    capfd.readouterr()
    assert main(["convert", "verify", str(hf), str(checkpoint), "--out", str(tmp_path / "r.json")]) == 0
    printed, found = capfd.readouterr().out, read_json(tmp_path / "r.json")
    served = ["token_ids", "vllm"] if serve_python() else []
    ran = ["config", "weights", "logits", *served]
    assert sorted(name for name, part in found["parts"].items() if part["state"] == "passed") == sorted(ran)
    assert len(printed.splitlines()) < 15  # NeMo's own warnings are kept away
    logits = found["parts"]["logits"]
    assert logits["max_abs_diff"] <= 1e-4 and logits["argmax_equal"] == logits["positions"] > 100
    if served:
        assert found["parts"]["vllm"]["equal"] == found["parts"]["vllm"]["prompts"] == 7
    disturb(checkpoint, hf, HfFolder(hf).shape, layer=1)
    words = ["convert", "verify", str(checkpoint), str(hf), "token_ids=false", "vllm=false"]
    assert main([*words, "--out", str(tmp_path / "r.json")]) == 1
    printed, found = capfd.readouterr().out, read_json(tmp_path / "r.json")
    assert found["failed"] == ["weights", "logits"]
    assert found["parts"]["logits"]["first_departs_at"] == "layer 1"
    assert "first departs at: layer 1, by" in printed
    assert {one["name"] for one in found["parts"]["weights"]["worst"]} == {
        f"model.layers.1.self_attn.{letter}_proj.weight" for letter in "qkv"
    }


@pytest.mark.slow
def test_vllm_goes_on_with_and_without_a_chat_template(tmp_path: Path) -> None:
    from nemo_kcpt.environments import serve_python

    if serve_python() is None:
        pytest.skip("no serve environment; make setup-serve")
    a = make_tokenizer(save_model(tmp_path / "a", **SERVABLE))
    b = Path(shutil.copytree(a, tmp_path / "b"))
    (b / "chat_template.jinja").unlink(missing_ok=True)
    config = read_json(b / "tokenizer_config.json")
    write_json(b / "tokenizer_config.json", {key: value for key, value in config.items() if key != "chat_template"})
    found = verify(a, b, tmp_path / "r.json", weights=False, logits=False, token_ids=False)
    vllm = found["parts"]["vllm"]
    assert vllm["state"] == "passed" and vllm["models"] == ["A", "B"]
    assert vllm["prompts"] == vllm["equal"] == 14 and vllm["max_new_tokens"] == 16
