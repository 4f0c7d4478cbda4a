"""Small files for the tests of evaluation and report: two papers, four questions, two models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.files import read_json, write_json, write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests import tiny_tokenizer

FACTS: dict[str, list[str]] = {"dataset_size": ["12,400件", "3,000件"], "year": ["2021年", "2019年"]}


def questions() -> list[dict[str, Any]]:
    """Four questions: paper a is trained on, paper b held out."""
    records = []
    for place, (paper, split) in enumerate((("a", "train"), ("b", "test"))):
        for fact, values in FACTS.items():
            records.append(
                {
                    "question_id": f"{paper}:{fact}",
                    "split": split,
                    "paper_id": paper,
                    "kind": "qa_numbers_formula",
                    "question": f"手法{paper}の{fact}はいくつですか?",
                    "answer": values[place],
                    "kept": True,
                    "filter": {"by": "none", "reason": "test"},
                    "fact": fact,
                    "accepted": [values[place]],
                    "wording": "seen",
                }
            )
    return records


def answers(texts: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Answers of each model to the four questions, in order."""
    return [
        {"question_id": record["question_id"], "model": model, "answer": text, "engine": "transformers"}
        | {"finish_reason": "stop", "prompt_tokens": 5, "completion_tokens": 3}
        for model, given in texts.items()
        for record, text in zip(questions(), given)
    ]


def write_inputs(folder: Path, texts: dict[str, list[str]]) -> None:
    """questions.jsonl, answers.jsonl and papers.jsonl in `folder`."""
    write_jsonl(folder / "questions.jsonl", questions())
    write_jsonl(folder / "answers.jsonl", answers(texts))
    write_jsonl(
        folder / "papers.jsonl", [{"paper_id": name, "text": f"手法{name}は12,400件で学習した。"} for name in "ab"]
    )


def make_tokenizer(folder: Path) -> Path:
    """The tiny tokenizer, trained on the questions and answers."""
    return tiny_tokenizer.make_tokenizer(folder, [record["question"] + record["answer"] for record in questions()])


def make_model(folder: Path, seed: int, positions: int = 512, initializer_range: float = 0.2) -> Path:
    """A two-layer Llama with random weights (head size 32) and the tiny tokenizer, as a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = PackTokenizer(make_tokenizer(folder))
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=positions,
        initializer_range=initializer_range,
        bos_token_id=tokenizer.token_id("bos_token"),
        eos_token_id=tokenizer.token_id("eos_token"),
        pad_token_id=tokenizer.pad_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def write_stub_model(folder: Path, positions: int = 512) -> Path:
    """A folder that looks like a model's to the stage (its weights are not read): real tokenizer, made-up weights."""
    make_tokenizer(folder)
    write_json(
        folder / "config.json",
        {"max_position_embeddings": positions, "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2},
    )
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


RULES: dict[str, Any] = {
    "repetition_penalty": 5.0,
    "no_repeat_ngram_size": 2,
    "num_beams": 3,
    "length_penalty": 3.0,
    "min_length": 30,
    "min_new_tokens": 12,
    "encoder_no_repeat_ngram_size": 1,
    "encoder_repetition_penalty": 4.0,
    "forced_bos_token_id": 9,
    "forced_eos_token_id": 9,
    "exponential_decay_length_penalty": [2, 3.0],
    "bad_words_ids": [[12]],
    "guidance_scale": 3.0,
    "do_sample": True,
    "temperature": 3.0,
    "top_k": 5,
    "renormalize_logits": True,
    "prompt_lookup_num_tokens": 3,
}


def decoding_rules(folder: Path, first: list[int]) -> None:
    """Give a model folder the rules of decoding that a generation config can have, `first` among suppressed tokens."""
    given = read_json(folder / "generation_config.json")
    write_json(folder / "generation_config.json", {**given, **RULES, "suppress_tokens": first})


def write_template(folder: Path) -> None:
    """Give a model folder a chat template that writes today's date, as Llama 3.2's does, and a second one."""
    dated = (
        "{%- if strftime_now is defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
        "{{ bos_token }}{{ date_string }}\n{% if tools is not none %}tools{% endif %}"
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    config = read_json(folder / "tokenizer_config.json")
    named = [{"name": "tool_use", "template": "-"}, {"name": "default", "template": dated}]
    write_json(folder / "tokenizer_config.json", {**config, "chat_template": named})
