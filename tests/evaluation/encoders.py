"""Small random encoders of many architectures, as Hugging Face folders, and Japanese texts for them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from nemo_kcpt.files import read_json, write_json

SENTENCES = (
    "カスミNetは、要約生成のための手法である。",
    "学習データは12,400件です。再現率は83.7である。",
    "緋扇大学の白鷺隼人らが2021年に発表した。",
    "先行研究では長い文書を扱えなかったため、新しい注意機構を導入した。",
    "The encoder has 24 layers, and was trained on 114B tokens.",
)
SPECIAL = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def text(length: int, seed: int = 0) -> str:
    """Sentences in random order, cut to `length` characters."""
    chosen = random.Random(seed)
    found = ""
    while len(found) < length:
        found += chosen.choice(SENTENCES)
    return found[:length]


def pairs(count: int, longest: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Candidates and references of mixed length, most of them short."""
    chosen = random.Random(seed)
    lengths = [max(4, int(longest * chosen.random() ** 3)) for _ in range(2 * count)]
    texts = [text(length, seed + number) for number, length in enumerate(lengths)]
    return texts[:count], texts[count:]


def vocabulary() -> dict[str, int]:
    """Special tokens, and every character of `SENTENCES` as a word and as a part of one."""
    characters = sorted({character for sentence in SENTENCES for character in sentence if character != " "})
    tokens = [*SPECIAL.values(), "[MASK]", *characters, *(f"##{character}" for character in characters)]
    return {token: number for number, token in enumerate(tokens)}


def write_tokenizer(folder: Path, limit: int | None = 512, template: str = "[CLS] $A [SEP]") -> None:
    """A WordPiece tokenizer; `limit` None leaves out `model_max_length`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    known = vocabulary()
    backend = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(token, known[token]) for token in ("[CLS]", "[SEP]", "[MASK]")]
    backend.post_processor = processors.TemplateProcessing(single=template, special_tokens=ends)
    PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL).save_pretrained(folder)
    settings = read_json(folder / "tokenizer_config.json")
    settings.pop("model_max_length", None)
    write_json(folder / "tokenizer_config.json", settings | ({"model_max_length": limit} if limit else {}))


def make_encoder(folder: Path, kind: str = "Bert", limit: int | None = 512, seed: int = 0, **more: Any) -> Path:
    """Three layers, hidden size 32, with weights so large that context matters; `kind` as in `BertConfig`."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder, limit, more.pop("template", "[CLS] $A [SEP]"))
    sizes: dict[str, Any] = {
        "vocab_size": len(vocabulary()),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }
    own = {
        "Roberta": {"max_position_embeddings": 514, "pad_token_id": 1},
        "Albert": {"embedding_size": 32},
        "DistilBert": {"dim": 32, "n_layers": 3, "n_heads": 2, "hidden_dim": 64},
        "DebertaV2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
        "ModernBert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
        "Llama": {"num_key_value_heads": 2},
        "T5": {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 3, "num_heads": 2, "decoder_start_token_id": 0},
    }
    settings = {"vocab_size": sizes["vocab_size"], "pad_token_id": 0} if kind == "T5" else sizes
    if kind == "DistilBert":
        settings = {name: sizes[name] for name in ("vocab_size", "max_position_embeddings", "initializer_range")}
    config = getattr(transformers, f"{kind}Config")(**settings | own.get(kind, {}) | more)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, f"{kind}EncoderModel" if kind == "T5" else f"{kind}Model")(config)
    model.save_pretrained(folder)
    return folder
