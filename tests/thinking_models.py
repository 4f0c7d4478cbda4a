"""Tokenizers of the kinds that models of 2026 have, trained on the spot, and chat templates with and without thoughts.

The templates are ours; each has the structure of a public family's, which its name tells.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXTS = (
    "継続事前学習とは、大規模言語モデルを論文12,400件で学習し直すことである。",
    "再現率は83.7％。assistant user system final analysis",
    "What was the model trained on? It was trained on 12,400 papers about summaries.",
    "緋扇大学の白鷺隼人らが2021年に発表した手法である。\n\n要約を生成する。",
)
THOUGHTS = ("<think>", "</think>")
CHANNELS = ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|constrain|>", "<|call|>")
TURNS = ("<|im_start|>", "<|im_end|>")

_TURN = "{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}"
_LAST_USER = (
    "{%- set ns = namespace(last=-1) -%}"
    "{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}"
)
_SPLIT = (
    "{%- set said = m.content -%}{%- set thought = m.reasoning_content or '' -%}"
    "{%- if '</think>' in said -%}{%- set thought = said.split('</think>')[0].split('<think>')[-1] -%}"
    "{%- set said = said.split('</think>')[-1].lstrip('\n') -%}{%- endif -%}"
)
_BLOCK = "{{- '<think>\n' ~ thought.strip('\n') ~ '\n</think>\n\n' -}}"


def _chatml(reply: str, prompt: str, head: str = "") -> str:
    """Messages between turn marks; `reply` writes what stands between the role and the end of a reply."""
    return (
        _LAST_USER
        + head
        + "{%- for m in messages -%}{%- if m.role == 'assistant' -%}"
        + _SPLIT
        + "{{- '<|im_start|>assistant\n' -}}"
        + reply
        + "{{- said ~ '<|im_end|>\n' -}}"
        + "{%- else -%}"
        + _TURN
        + "{%- endif -%}{%- endfor -%}"
        + "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}"
        + prompt
        + "{%- endif -%}"
    )


_IF_LAST = "{%- if loop.index0 > ns.last -%}" + _BLOCK + "{%- endif -%}"
_EMPTY = "{{- '<think>\n\n</think>\n\n' -}}"
TEMPLATES: dict[str, str] = {
    "qwen3": _chatml(
        _IF_LAST, "{%- if enable_thinking is defined and enable_thinking is false -%}" + _EMPTY + "{%- endif -%}"
    ),
    "qwen3.5": _chatml(
        _IF_LAST,
        "{%- if enable_thinking is defined and enable_thinking is false -%}"
        + _EMPTY
        + "{%- else -%}{{- '<think>\n' -}}{%- endif -%}",
    ),
    "qwen3-thinking-2507": _chatml(_IF_LAST, "{{- '<think>\n' -}}"),
    "smollm3": _chatml(
        "{%- if not on -%}" + _EMPTY + "{%- endif -%}",
        "{%- if not on -%}" + _EMPTY + "{%- endif -%}",
        "{%- set on = enable_thinking if enable_thinking is defined else true -%}"
        "{{- '<|im_start|>system\nMode: ' ~ ('/think' if on else '/no_think') ~ '<|im_end|>\n' -}}",
    ),
    "deepseek-r1": (
        "{{- bos_token -}}{%- for m in messages -%}{%- if m.role == 'assistant' -%}"
        + _SPLIT
        + "{{- '<|im_start|>' ~ said ~ eos_token -}}{%- else -%}{{- '<|im_end|>' ~ m.content -}}{%- endif -%}"
        "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|><think>\n' -}}{%- endif -%}"
    ),
    "deepseek-v3.1": (
        "{%- if not thinking is defined -%}{%- set thinking = false -%}{%- endif -%}{{- bos_token -}}"
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}"
        "{{- '<|im_start|></think>' ~ m.content ~ eos_token -}}{%- else -%}{{- '<|im_end|>' ~ m.content -}}"
        "{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}"
        "{{- '<|im_start|>' ~ ('<think>' if thinking else '</think>') -}}{%- endif -%}"
    ),
    "harmony": (
        "{%- if reasoning_effort is not defined -%}{%- set reasoning_effort = 'medium' -%}{%- endif -%}"
        "{{- '<|start|>system<|message|>Date: ' ~ strftime_now('%Y-%m-%d') ~ '\n\nReasoning: ' ~ reasoning_effort "
        "~ '\n\nChannels: analysis, commentary, final.<|end|>' -}}"
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}"
        "{%- if loop.last and not add_generation_prompt -%}{%- if m.thinking -%}"
        "{{- '<|start|>assistant<|channel|>analysis<|message|>' ~ m.thinking ~ '<|end|>' -}}{%- endif -%}"
        "{{- '<|start|>assistant<|channel|>final<|message|>' ~ m.content ~ '<|return|>' -}}{%- else -%}"
        "{{- '<|start|>assistant<|channel|>final<|message|>' ~ m.content ~ '<|end|>' -}}{%- endif -%}"
        "{%- else -%}{{- '<|start|>' ~ ('developer' if m.role == 'system' else m.role) ~ '<|message|>' ~ m.content "
        "~ '<|end|>' -}}{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}"
    ),
    "effort-none": (
        "{%- set effort = reasoning_effort if reasoning_effort is defined else 'high' -%}"
        "{%- if effort not in ['none', 'high'] -%}"
        "{{- raise_exception('reasoning_effort: none or high') -}}{%- endif -%}"
        "{{- bos_token ~ '<|im_start|>effort ' ~ effort ~ '<|im_end|>' -}}{%- for m in messages -%}"
        "{%- if m.role == 'assistant' -%}{{- m.content ~ eos_token -}}"
        "{%- else -%}{{- '<|im_start|>' ~ m.content ~ '<|im_end|>' -}}{%- endif -%}{%- endfor -%}"
        "{%- if false -%}<think></think>{%- endif -%}"
    ),
    "budget": _chatml(
        "{%- if thought -%}" + _BLOCK + "{%- endif -%}",
        "",
        "{%- if thinking_budget is defined -%}{{- '<|im_start|>system\nThink for at most ' ~ thinking_budget "
        "~ ' tokens<|im_end|>\n' -}}{%- endif -%}",
    ),
    "minicpm5": _chatml("", "{%- if enable_thinking is defined and not enable_thinking -%}" + _EMPTY + "{%- endif -%}"),
    "glm": (
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}{{- '<|im_start|><think></think>\n' ~ m.content -}}"
        "{%- else -%}{{- '<|im_end|>\n' ~ m.content -}}{%- endif -%}{%- endfor -%}{%- if add_generation_prompt -%}"
        "{{- '<|im_start|>' ~ ('' if enable_thinking is not defined or enable_thinking else '<think></think>') -}}"
        "{%- endif -%}"
    ),
    "command": (
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}{{- '<|start|><|call|>' ~ m.content ~ '<|end|>' -}}"
        "{%- else -%}{{- '<|im_start|>' ~ m.content ~ '<|im_end|>' -}}{%- endif -%}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|start|>' -}}"
        "{{- '<think></think>' if enable_thinking is defined and not enable_thinking -}}{%- endif -%}"
    ),
    "recipients": (
        "{%- for m in messages -%}{%- if m.role == 'assistant' -%}{{- '<|start|>assistant to=user<|message|>' -}}"
        "{%- else -%}{{- '<|start|>' ~ m.role ~ '<|message|>' -}}{%- endif -%}"
        "{{- m.content ~ '<|end|>' -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}"
    ),
    "chatml": (
        "{%- for m in messages -%}" + _TURN + "{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
    ),
    "headings": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '\n\n### 指示:\n' ~ m.content }}"
        "{% elif m.role == 'system' %}{{ m.content }}{% else %}{{ '\n\n### 応答:\n' ~ m.content ~ eos_token }}"
        "{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '\n\n### 応答:\n' }}{% endif %}"
    ),
}
THINKING = [name for name in TEMPLATES if name not in ("recipients", "chatml", "headings")]
ENDS = {"harmony": "<|return|>", "command": "<|end|>", "recipients": "<|end|>"} | dict.fromkeys(
    ("deepseek-r1", "deepseek-v3.1", "effort-none", "glm", "headings"), "</s>"
)
"""Tokens that end a reply, where it is not the turn's."""
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPLIT = QWEN_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def _byte_level(split: str, normalizer: Any = None) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=split == LLAMA3_SPLIT))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _unigram() -> Any:
    """As llm-jp's: Unigram over Japanese with digits apart, a metaspace before a text, bytes for what is not known."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.Unigram())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=200, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    )
    pieces = [tuple(piece) for piece in json.loads(trained.to_str())["model"]["vocab"] if piece[0] != "<unk>"]
    vocabulary = [("<unk>", 0.0), *((f"<0x{byte:02X}>", -20.0) for byte in range(256)), *pieces]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


def _normalised() -> Any:
    from tokenizers import normalizers

    return _byte_level(QWEN_SPLIT, normalizers.NFC())


KINDS: dict[str, Any] = {"qwen": _normalised, "llama3": lambda: _byte_level(LLAMA3_SPLIT), "unigram": _unigram}


def save_tokenizer(folder: Path, kind: str, template: str, **config: Any) -> Path:
    """A tokenizer of one of `KINDS` with one of `TEMPLATES` (or a template's text), as a Hugging Face folder.

    Control tokens are special, the marks of thoughts are added tokens that are not, as in Qwen3 and DeepSeek-R1.
    """
    from tokenizers import AddedToken

    tokenizer = KINDS[kind]()
    tokenizer.add_special_tokens([AddedToken(one) for one in ("<s>", "</s>", "<pad>", *TURNS, *CHANNELS)])
    tokenizer.add_tokens([AddedToken(one, normalized=False) for one in THOUGHTS])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    end = ENDS.get(template, "</s>" if template not in TEMPLATES else "<|im_end|>")
    written = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": end,
        "pad_token": "<pad>",
        "model_max_length": 512,
        "chat_template": TEMPLATES.get(template, template),
        **config,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
    return folder
