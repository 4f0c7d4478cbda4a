"""Small files for the tests of evaluation and report: two papers, four questions, two models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.packing.tokenise import PackTokenizer
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


def make_model(folder: Path, seed: int) -> Path:
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
        max_position_embeddings=512,
        initializer_range=0.2,
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
