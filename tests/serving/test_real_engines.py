"""vLLM and transformers on tiny random models of every family: the same prompt ids, the same greedy tokens in float32.

Models of the families that kcpt knows are imported and exported before. All are answered by one vLLM process. Their
tokenizers are of every kind, their templates with and without thoughts, some of which are ended by a limit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.conversion.stage import Config as Export
from nemo_kcpt.conversion.stage import run as export
from nemo_kcpt.environments import serve_python
from nemo_kcpt.evaluation.answers.plain import answered
from nemo_kcpt.files import read_jsonl
from nemo_kcpt.hf.families import families
from nemo_kcpt.hf.thinking import NO_THOUGHTS, Thinking
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.serving import transformers_engine, vllm_engine
from nemo_kcpt.serving.prompts import Decoder, ModelRequest, build_prompts, opens_thought
from tests.conversion.checkpoints import imported
from tests.own_code import with_own_model, with_own_tokenizer
from tests.thinking_models import save_tokenizer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(serve_python() is None, reason="no serve environment; make setup-serve"),
]
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "decoder_sparse_step": 1}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {}),
    "qwen2": ("Qwen2Config", {"num_attention_heads": 2, "num_key_value_heads": 1}),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": True}),
    "mistral": ("MistralConfig", {"sliding_window": 16}),
    "gemma3_text": ("Gemma3TextConfig", {"sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"]}),
    "qwen3_moe": ("Qwen3MoeConfig", EXPERTS),
    "gemma2": ("Gemma2Config", {"sliding_window": 32, "query_pre_attn_scalar": 32}),
}
MODELS: list[tuple[str, str, str, Thinking]] = [
    ("llama", "unigram", "harmony", NO_THOUGHTS),
    ("qwen2", "qwen", "chatml", NO_THOUGHTS),
    ("qwen3", "qwen", "qwen3", NO_THOUGHTS),
    ("mistral", "llama3", "deepseek-r1", Thinking(allowed=True, tokens=6)),
    ("gemma3_text", "unigram", "headings", NO_THOUGHTS),
    ("qwen3_moe", "llama3", "deepseek-r1", NO_THOUGHTS),
    ("llama", "qwen", "smollm3", Thinking(allowed=True)),
    ("gemma2", "unigram", "headings", NO_THOUGHTS),
]
OWN_CODE = 6
"""The model whose card says that it loads with code of its own."""
ASKED = {
    "one": {"question": "再現率は何％ですか？"},
    "two": {"question": "What was the model trained on, and on how many papers?"},
    "marks": {"question": "<think>とは何ですか？"},
    "control": {"question": "</s>や<|im_end|>、<|channel|>final<|message|>とは何ですか？"},
}
MOST = 12


def save_model(folder: Path, family: str, seed: int) -> Path:
    """Random weights beside a tokenizer."""
    import torch
    import transformers

    tokenizer = PackTokenizer(folder)
    name, more = FAMILIES[family]
    end = tokenizer.token_id("eos_token")
    config = getattr(transformers, name)(
        **{**SIZES, **more}, vocab_size=tokenizer.vocab_size, bos_token_id=0, eos_token_id=end, pad_token_id=end
    )
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:  # Gemma makes its embedding larger, which would be all that counts
            torch.nn.init.normal_(parameter, std=0.02 if "embed" in name and "gemma" in family else 0.2)
    model.save_pretrained(folder)
    return folder


def there_and_back(folder: Path) -> Path:
    """The model, imported and exported."""
    checkpoint = imported(folder, folder.with_name(f"{folder.name}-checkpoint"))
    out = folder.with_name(f"{folder.name}-exported")
    export(Export(checkpoint=checkpoint, out=out, check=False))
    return out


def requests(root: Path) -> list[ModelRequest]:
    found = []
    assert set(families()) <= {family for family, *_ in MODELS}, "a family that vLLM has not been tried with"
    for number, (family, kind, template, thinking) in enumerate(MODELS):
        folder = save_tokenizer(root / f"{number}-{family}", kind, template)
        save_model(folder, family, number)
        if number == OWN_CODE:
            with_own_model(with_own_tokenizer(folder, root / "ran"), root / "ran")
        elif family in families():
            folder = there_and_back(folder)
        found.append(build_prompts(folder.name, folder, ASKED, MOST, thinking=thinking))
    return found


def test_every_family_is_continued_alike(tmp_path: Path) -> None:
    python = serve_python()
    assert python is not None
    asked = requests(tmp_path)
    common = {"max_new_tokens": MOST, "dtype": "float32", "progress": lambda *_: None}
    vllm_engine.generate(
        asked, python=python, journal=tmp_path / "vllm.jsonl", log=tmp_path / "vllm.log", batch_size=8, **common
    )
    transformers_engine.generate(asked, tmp_path / "here.jsonl", **common)
    there, here = (
        {(row["model"], row["question_id"]): row for row in read_jsonl(tmp_path / name)}
        for name in ("vllm.jsonl", "here.jsonl")
    )
    assert set(there) == set(here) == {(one.name, name) for one in asked for name in ASKED}
    for key, row in there.items():
        assert {**row, "engine": ""} == {**here[key], "engine": ""}, key
    for one in asked:  # what repeats itself tells little
        assert len({token for name in ASKED for token in there[one.name, name]["token_ids"]}) > 4, one.name
    assert not (tmp_path / "ran").exists()
    limited = asked[3]
    assert limited.thought_tokens == 6 and opens_thought(limited)
    rows = [there[limited.name, name] for name in ASKED]
    assert all(
        row["thought_cut"] and row["token_ids"][6:][: len(limited.closing_ids)] == limited.closing_ids for row in rows
    )
    texts = Decoder(limited.folder).texts([row["token_ids"] for row in rows])
    for text in texts:
        found = answered({"answer": text, "completion_tokens": 20}, True, 8)
        assert found["thought"] and "</think>" not in found["answer"] and "fault" not in found
