"""The demo's own tokenizer: a small byte-pair model with byte fallback and llm-jp's chat template.

A tiny model cannot afford the 99,584 rows of the real tokenizer. It is trained on the *other* fictional papers only, as
a real tokenizer has not seen the documents of its later users either; the papers' new names fall into several pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from nemo_kcpt.files import atomic_write, write_json

UNK, BOS, EOS, PAD = "<unk>", "<s>", "</s>", "<pad>"

SCRIPT_RUNS = r"\d{1,3}|[ァ-ヶー]+|[ぁ-ん]+|[一-龥々]+| ?[A-Z][a-z]+| ?[a-z]+|[A-Z]+"

ROLE_MARKS = ("\n\n### 指示:\n", "\n\n### 応答:\n")
"""One token each; spelt out they would be a third of a short question."""

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '\\n\\n### 指示:\\n' + message['content'] }}"
    "{% elif message['role'] == 'system' %}{{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %}{{ '\\n\\n### 応答:\\n' + message['content'] + eos_token }}{% endif %}"
    "{% if loop.last and message['role'] == 'user' and add_generation_prompt %}{{ '\\n\\n### 応答:\\n' }}{% endif %}"
    "{% endfor %}"
)
"""llm-jp's template (method §4) without its constant first line, which would cost a tiny model a tenth of each pair."""


def train_tokenizer(texts: Iterable[str], folder: Path, vocab_size: int = 4096) -> list[Path]:
    """Train on `texts`, write `tokenizer.json` and `tokenizer_config.json` (`PreTrainedTokenizerFast`) to `folder`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token=UNK, byte_fallback=True))
    # Runs of one script are the units, as a Japanese word splitter has them: a name, a number or a content word has the
    # same pieces whatever stands around it, so a question in a new wording still consists of known pieces.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.Split(Regex(SCRIPT_RUNS), "isolated"),
            pre_tokenizers.Punctuation(),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(ROLE_MARKS),
        special_tokens=[UNK, BOS, EOS, PAD, *(f"<0x{byte:02X}>" for byte in range(256))],
        max_token_length=8,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in ROLE_MARKS])
    path = folder / "tokenizer.json"
    with atomic_write(path) as stream:
        stream.write(_without_control_bytes(tokenizer.to_str()))
    return [path, _config(folder)]


def _without_control_bytes(serialized: str) -> str:
    """The byte pieces as ordinary pieces: the trainer only takes them as control tokens, which decoding would drop."""
    content = json.loads(serialized)
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    return json.dumps(content, ensure_ascii=False)


def _config(folder: Path) -> Path:
    path = folder / "tokenizer_config.json"
    write_json(
        path,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": BOS,
            "eos_token": EOS,
            "pad_token": PAD,
            "unk_token": UNK,
            "model_max_length": 512,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    )
    return path
