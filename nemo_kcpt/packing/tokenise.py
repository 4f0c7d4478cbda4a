"""Token ids of texts and chat messages from a Hugging Face tokenizer folder, without importing transformers.

`tokenizers` and `jinja2` start in 0.1 s where `transformers.AutoTokenizer` takes 6 s; a test holds the ids equal to
those of `apply_chat_template`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

Messages = Sequence[Mapping[str, str]]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
"""Files of a Hugging Face fast tokenizer; the last two may be missing."""


def tokenizer_inputs(folder: Path) -> dict[str, Path]:
    """The files that shape a tokenizer's ids, by name, for a stage's fingerprint."""
    separate = folder / "chat_template.jinja"
    required = {name: folder / name for name in TOKENIZER_FILES[:2]}
    return {**required, **({separate.name: separate} if separate.is_file() else {})}


@dataclass(frozen=True, kw_only=True)
class ChatIds:
    """A tokenised conversation: `ids` and, beside each, whether the token belongs to an assistant's reply."""

    ids: list[int]
    reply: list[bool]


class PackTokenizer:
    """The fast tokenizer of a Hugging Face folder (`tokenizer.json`, `tokenizer_config.json`) with its chat template.

    Raises:
        BadInput: a file is missing, or `eos_token` is not in the vocabulary.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self.folder = folder
        self._file = folder / "tokenizer.json"
        if not self._file.is_file():
            raise BadInput(
                f"{folder}: no tokenizer.json in it. Expected a Hugging Face fast tokenizer; "
                "save one with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
            )
        self.config: dict[str, Any] = read_json(folder / "tokenizer_config.json")
        self._with_control = Tokenizer.from_file(str(self._file))
        # Text of documents must not yield control tokens, however often "</s>" is written out in it.
        self._plain = Tokenizer.from_file(str(self._file))
        self._plain.encode_special_tokens = True

    @cached_property
    def sha256(self) -> str:
        """Hash of the tokenizer and its chat template; part of every pack's fingerprint."""
        digest = hashlib.sha256(self._file.read_bytes())
        digest.update(self.chat_template.encode())
        return digest.hexdigest()

    @property
    def vocab_size(self) -> int:
        """Number of entries, added tokens included."""
        return int(self._with_control.get_vocab_size(with_added_tokens=True))

    def _token(self, name: str) -> str | None:
        value = self.config.get(name)
        return str(value["content"]) if isinstance(value, dict) else value

    def token_id(self, name: str) -> int | None:
        """Id of a special token by its role (`bos_token`, `eos_token`, `pad_token`); None where there is none."""
        token = self._token(name)
        if token is None:
            return None
        found = self._with_control.token_to_id(token)
        if found is None:
            raise BadInput(f"{self.folder}/tokenizer_config.json: {name} is '{token}', which is not in tokenizer.json")
        return int(found)

    @cached_property
    def pad_id(self) -> int:
        """Id that fills the end of the last window: the pad token, else the end-of-sequence token."""
        pad = self.token_id("pad_token")
        pad = self.token_id("eos_token") if pad is None else pad
        if pad is None:
            raise BadInput(
                f"{self.folder}/tokenizer_config.json: neither pad_token nor eos_token is set; set eos_token"
            )
        return pad

    def text_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of plain texts, no special tokens added and none recognised inside."""
        return [encoding.ids for encoding in self._plain.encode_batch(list(texts), add_special_tokens=False)]

    @property
    def chat_template(self) -> str:
        """The Jinja template that renders messages: `chat_template.jinja` before the config's, as in transformers."""
        separate = self.folder / "chat_template.jinja"
        if separate.is_file():
            return separate.read_text(encoding="utf-8")
        template = self.config.get("chat_template")
        if not isinstance(template, str):
            raise BadInput(
                f"{self.folder}: no chat_template in tokenizer_config.json and no chat_template.jinja; add one of them"
            )
        return template

    @cached_property
    def _template(self) -> Any:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # The same switches as transformers' own renderer (transformers/utils/chat_template_utils.py).
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals["raise_exception"] = _template_error
        return environment.from_string(self.chat_template)

    def render(self, messages: Messages, *, add_generation_prompt: bool = False) -> str:
        """The conversation as the template writes it; with `add_generation_prompt`, up to where the reply begins."""
        tokens = {name: self._token(name) or "" for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
        return str(self._template.render(messages=messages, add_generation_prompt=add_generation_prompt, **tokens))

    def prompt_ids(self, messages: Messages) -> list[int]:
        """Ids of a prompt, ending where the model's reply begins."""
        text = self.render(messages, add_generation_prompt=True)
        return list(self._with_control.encode(text, add_special_tokens=False).ids)

    def chat_ids(self, messages: Messages) -> ChatIds:
        """Ids of a whole conversation and which of them are replies (the end-of-sequence token after one included).

        The whole conversation is tokenised at once, so the ids are those of the tokenizer's own chat template; a token
        belongs to a reply if its text begins inside one.
        """
        text = self.render(messages)
        encoding = self._with_control.encode(text, add_special_tokens=False)
        spans: list[tuple[int, int]] = []
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            begin = len(self.render(messages[:index], add_generation_prompt=True))
            end = len(self.render(messages[: index + 1]))
            if text[:begin] != self.render(messages[:index], add_generation_prompt=True):
                raise BadInput(
                    f"{self.folder}: its chat template renders a prompt differently when a reply follows, so replies "
                    "cannot be told from prompts; correct the template (its generation prompt must be a prefix)"
                )
            spans.append((begin, end))
        reply = [any(begin <= start < end for begin, end in spans) for start, _ in encoding.offsets]
        return ChatIds(ids=list(encoding.ids), reply=reply)


def _template_error(message: str) -> None:
    raise BadInput(f"the tokenizer's chat template refused a conversation: {message}")
