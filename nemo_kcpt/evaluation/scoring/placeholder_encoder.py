"""A tiny BERT with random weights, for trying the scores where no real encoder is at hand.

Its BERTScore measures little more than which tokens two texts share, and says nothing about meaning. So that nobody
takes it for more, "placeholder" is part of its name wherever it is shown.
"""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.special_tokens import tokenizer_config

NAME = "placeholder-bert-2x64"
"""Folder name of the encoder: 2 layers, hidden size 64."""


def build(tokenizer: Path, out: Path, seed: int = 0) -> Path:
    """Make the encoder for the `tokenizer.json` in the folder `tokenizer`, unless it is there; returns its folder.

    Args:
        tokenizer: a Hugging Face tokenizer folder.
        out: folder in which the encoder's folder is made.
        seed: of the weights; equal seeds and tokenizers give equal encoders.

    Raises:
        BadInput: no tokenizer.json there.
    """
    folder = out / NAME
    if (folder / "model.safetensors").is_file():
        return folder
    if not (tokenizer / "tokenizer.json").is_file():
        raise BadInput(f"{tokenizer}: no tokenizer.json in it; give encoder_tokenizer=FOLDER, such as a model's folder")
    import torch
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    roles = tokenizer_config(tokenizer)
    first = _content(roles.get("bos_token")) or _content(roles.get("eos_token")) or _content(roles.get("unk_token"))
    last = _content(roles.get("eos_token")) or first
    if first is None:
        raise BadInput(
            f"{tokenizer}/tokenizer_config.json: neither bos_token, eos_token nor unk_token is set; set eos_token"
        )
    backend = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    # bert-score takes a text of two tokens for an empty one: it counts on a token before and one behind every text.
    ends = [(token, backend.token_to_id(token)) for token in dict.fromkeys((first, last))]
    backend.post_processor = TemplateProcessing(single=f"{first} $A {last}", special_tokens=ends)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token=first,
        sep_token=last,
        pad_token=_content(roles.get("pad_token")) or last,
        unk_token=_content(roles.get("unk_token")),
        model_max_length=512,
    )
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=512,
        pad_token_id=fast.pad_token_id,
        name_or_path=NAME,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    fast.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def _content(token: object) -> str | None:
    return str(token["content"]) if isinstance(token, dict) else None if token is None else str(token)
