"""Folders as transformers 5 writes them, read by the train environment's 4.57: the same numbers, or a named refusal."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.bertscore.encoder import load_encoder
from nemo_kcpt.evaluation.scoring.bertscore.source import locate
from nemo_kcpt.evaluation.scoring.placeholder_encoder import build
from nemo_kcpt.files import read_json, read_jsonl, write_json
from nemo_kcpt.hf.load import load_causal_lm, load_tokenizer, stop_ids, tokenizer_options
from nemo_kcpt.hf.model_shape import read_hf_shape
from nemo_kcpt.hf.v4_config import v4_config
from nemo_kcpt.serving import transformers_engine
from nemo_kcpt.serving.prompts import build_prompts
from tests.conftest import ROOT
from tests.conversion.hf_models import KINDS, save_model
from tests.conversion.hf_tokenizers import save_tokenizer
from tests.evaluation.small import RULES, decoding_rules, make_model, questions

EXTRA = ("<pad>", "<s>")


def as_version_5(folder: Path, out: Path) -> Path:
    """A copy of a folder of transformers 4.57, its config and tokenizer config as 5.19 writes them."""
    shutil.copytree(folder, out)
    config = read_json(out / "config.json")
    rope = {"rope_type": "default", "rope_theta": config.pop("rope_theta"), **(config.pop("rope_scaling") or {})}
    write_json(out / "config.json", {**config, "rope_parameters": rope, "transformers_version": "5.19.0"})
    if (out / "tokenizer_config.json").is_file():
        old = read_json(out / "tokenizer_config.json")
        left = ("added_tokens_decoder", "additional_special_tokens", "chat_template")
        new = {key: value for key, value in old.items() if key not in left}
        new |= {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "is_local": True}
        write_json(out / "tokenizer_config.json", {**new, "extra_special_tokens": [*EXTRA]})
        (out / "chat_template.jinja").write_text(old["chat_template"])
    return out


@pytest.mark.parametrize("kind", ["multi-head", "llama 3 scaling", "tied"])
def test_what_version_5_wrote_gives_the_logits_of_version_4(kind: str, tmp_path: Path) -> None:
    old = save_model(tmp_path / "old", **KINDS[kind] | {"rope_theta": 500_000, "vocab_size": 330})
    new = as_version_5(old, tmp_path / "new")
    before = (new / "config.json").read_bytes()
    assert read_hf_shape(old) == read_hf_shape(new)
    ids = torch.arange(100)[None] * 7 % 330
    with torch.no_grad():
        assert torch.equal(load_causal_lm(old)(ids).logits, load_causal_lm(new)(ids).logits)
    assert (new / "config.json").read_bytes() == before


LLAMA = {"model_type": "llama", "hidden_size": 64, "transformers_version": "5.19.0"}
MODERN = {
    "model_type": "modernbert",
    "layer_types": ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
    "rope_parameters": {
        "full_attention": {"rope_type": "default", "rope_theta": 9e4},
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
    },
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({**LLAMA, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}, {"rope_theta": 5e5}),
        ({**LLAMA, "rope_theta": 5e5}, {"rope_theta": 5e5}),  # version 5 reads the old word, too
        (
            {**LLAMA, "rope_parameters": {"rope_theta": 5e5, "rope_type": "yarn", "factor": 2.0}},
            {"rope_theta": 5e5, "rope_scaling": {"rope_type": "yarn", "factor": 2.0}},
        ),
        (MODERN, {"global_rope_theta": 9e4, "local_rope_theta": 2e4, "global_attn_every_n_layers": 3}),
        (
            {"model_type": "gpt_neox", "rope_parameters": {"rope_theta": 7e4, "partial_rotary_factor": 0.5}},
            {"rotary_emb_base": 7e4, "rotary_pct": 0.5},
        ),
    ],
)
def test_rope_is_put_into_the_words_of_version_4(config: dict[str, Any], expected: dict[str, Any]) -> None:
    found = v4_config(config, "config.json")
    assert expected == {key: found[key] for key in expected} and "rope_parameters" not in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rope_parameters": {"rope_theta": 5e5, "mrope_section": [1]}}, "rope_parameters: mrope_section is not known"),
        ({"rope_parameters": {"rope_theta": 5e5}, "rope_theta": 1e4}, "two RoPE bases .rope_theta=10000, rope_param"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 5e5}}}, "kinds of layers .full_attention.*'llama'"),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "proportional"}}, "RoPE scaling of type 'proportional'"),
        ({"rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 0.5}}, "no partial_rotary_factor in"),
        ({"rope_parameters": "default"}, "rope_parameters is 'default'"),
        ({"attention_sinks": 4}, "attention_sinks was written by transformers 5"),
        ({"model_type": "jais2"}, "model_type 'jais2' is not known to transformers 4.57"),
        (
            {"model_type": "bert", "rope_parameters": {"rope_theta": 5e5}},
            "model_type 'bert' has no rope_theta in transformers 4.57",
        ),
        ({**MODERN, "layer_types": ["sliding_attention"]}, "full attention in every n-th layer only"),
    ],
)
def test_what_version_4_has_no_word_for_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=rf"model/config\.json: .*{message}"):
        v4_config({**LLAMA, **change}, "model/config.json")


def test_a_tokenizer_of_version_5_has_the_ids_of_version_4(tmp_path: Path) -> None:
    old = save_model(save_tokenizer(tmp_path / "old", adds_bos=True), vocab_size=330)
    new = as_version_5(old, tmp_path / "new")
    text = "What was trained?<pad>継続</s>"
    theirs = load_tokenizer(new)
    assert theirs(text).input_ids == load_tokenizer(old)(text).input_ids
    assert theirs.additional_special_tokens == [*EXTRA]
    assert theirs.apply_chat_template([{"role": "user", "content": "a"}]) == [0, *theirs.encode("<user>a")[1:]]
    write_json(new / "tokenizer_config.json", {"tokenizer_class": "SentencePieceBackend"})
    with pytest.raises(BadInput, match=r"tokenizer_config\.json: tokenizer_class 'SentencePieceBackend'"):
        load_tokenizer(new)
    write_json(new / "tokenizer_config.json", {"model_specific_special_tokens": {"image_token": {"content": "<pad>"}}})
    assert tokenizer_options(new) == ("AutoTokenizer", {"extra_special_tokens": {"image_token": "<pad>"}})


def test_an_encoder_of_version_5_scores(tmp_path: Path) -> None:
    old = build(save_tokenizer(tmp_path / "tokenizer"), tmp_path / "encoder")
    new = shutil.copytree(old, tmp_path / "new")
    config = read_json(new / "tokenizer_config.json")
    write_json(new / "tokenizer_config.json", {**config, "tokenizer_class": "TokenizersBackend"})
    write_json(new / "config.json", {**read_json(new / "config.json"), "transformers_version": "5.19.0"})
    ours, theirs = (load_encoder(locate(folder)) for folder in (new, old))
    words = theirs.tokenise(["What was trained?"])
    assert torch.equal(ours.embed(ours.tokenise(["What was trained?"])), theirs.embed(words))


def test_weights_that_are_not_the_configs_are_refused(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "model")
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "num_hidden_layers": 4})
    with pytest.raises(BadInput, match=r"of its weights model\.layers\.3\.\S+, .* and 6 more are missing"):
        load_causal_lm(folder)
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "num_hidden_layers": 2})
    with pytest.raises(BadInput, match=r"of its weights model\.layers\.2\.\S+, .* are not known"):
        load_causal_lm(folder)


def test_greedy_is_greedy_whatever_the_folders_generation_config_says(tmp_path: Path) -> None:
    plain = make_model(tmp_path / "plain", 0)
    asked = {record["question_id"]: record for record in questions()}

    def tokens(folder: Path) -> list[list[int]]:
        journal = tmp_path / "journal.jsonl"
        journal.unlink(missing_ok=True)
        transformers_engine.generate([build_prompts("x", folder, asked, 16)], journal, 16, "float32", lambda *_: None)
        return [record["token_ids"] for record in read_jsonl(journal)]

    expected = tokens(plain)
    ruled = shutil.copytree(plain, tmp_path / "ruled")
    decoding_rules(ruled, sorted({ids[0] for ids in expected}))
    assert tokens(ruled) == expected
    # What ends a text still does.
    write_json(ruled / "generation_config.json", {**RULES, "eos_token_id": [expected[0][0]]})
    assert tokens(ruled)[0] == expected[0][:1] and stop_ids(ruled) >= {expected[0][0]}


def test_everything_is_loaded_in_one_place() -> None:
    """Else some stage sees another model than the others: transformers passes over what it does not know."""
    allowed = {
        "hf/load.py": 2,
        "evaluation/scoring/bertscore/encoder.py": 3,  # encoders with code of their own
        "conversion/verify/tokenizer_worker.py": 1,  # runs in both environments, with hf/load.py's options
        "checkpoints/hf_weights.py": 1,  # words of a message
        "hf/tokenizer.py": 1,  # the same
        "checkpoints/card.py": 2,  # code for others
    }
    found = {
        path.relative_to(ROOT / "nemo_kcpt").as_posix(): len(re.findall(r"\.from_pretrained\(", path.read_text()))
        for path in (ROOT / "nemo_kcpt").rglob("*.py")
    }
    assert {name: count for name, count in found.items() if count} == allowed


def test_a_gemmas_scores_are_capped(tmp_path: Path) -> None:
    """transformers' default attention leaves the cap out and gives other logits without a word."""
    from transformers import AutoModelForCausalLM

    folder = save_model(tmp_path, **KINDS["gemma2"])
    loaded = load_causal_lm(folder)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.mul_(8)  # scores far beyond 50
        loaded.save_pretrained(folder)
        ids = torch.arange(60)[None]
        ours = load_causal_lm(folder)(ids).logits
        by_attention = {
            name: AutoModelForCausalLM.from_pretrained(folder, **options)(ids).logits
            for name, options in (("eager", {"attn_implementation": "eager"}), ("default", {}))
        }
    assert torch.equal(ours, by_attention["eager"])
    assert (by_attention["default"] - ours).abs().max() > 1
