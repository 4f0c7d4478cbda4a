"""What an engine is asked and what it answers: prompts by training's chat template, a journal of token ids.

Both engines get the same prompt ids and give back token ids, which are decoded here by the same tokenizer: whatever
differs between the engines' answers comes from the engines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, read_json
from nemo_kcpt.hf import limits as model_limits
from nemo_kcpt.hf.chat_template import DATE, text_inputs
from nemo_kcpt.hf.thinking import NO_THOUGHTS, Form, Thinking
from nemo_kcpt.hf.tokenizer import Messages, PackTokenizer, with_system
from nemo_kcpt.serving.sampling import Sampling
from nemo_kcpt.text.thoughts import MARKS, ends_with_opening

Key = tuple[str, str]
JOURNALS = "journal-*.jsonl"
"""Journals of a folder: each is named by the fingerprint of its run."""
BLOCK = 128
"""Tokens of a KV-cache block; vLLM's CPU backend uses 128."""


@dataclass(kw_only=True)
class Prompt:
    """A question as the model reads it."""

    question_id: str
    messages: Messages
    prompt_ids: list[int]
    own_ids: bool = False
    """Whether a special token is written out in it, so that transformers' chat template gives other ids."""


@dataclass(kw_only=True)
class ModelRequest:
    """The questions that one model still has to answer."""

    name: str
    folder: Path
    prompts: list[Prompt] = field(default_factory=list)
    template: str = ""
    """Chat template in place of the folder's own; empty: the folder's."""
    day: str = DATE
    """The date that templates write."""
    form: Form = field(default_factory=Form)
    """How the template is asked."""
    thought_tokens: int = 0
    """Most tokens of a thought, which is then ended with `closing_ids`; 0: as many as the whole answer has."""
    closing_ids: list[int] = field(default_factory=list)
    sampling: Sampling | None = None
    """How answers are sampled; None: greedily."""

    @property
    def thought_limit(self) -> dict[str, Any] | None:
        """For :mod:`nemo_kcpt.serving.thought_limit`; None without a limit."""
        if not self.thought_tokens:
            return None
        return {"tokens": self.thought_tokens, "closing_ids": self.closing_ids, "opened": opens_thought(self)}

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt."""
        return max(len(prompt.prompt_ids) for prompt in self.prompts)


def model_files(folder: Path) -> dict[str, Path]:
    """The files that shape a Hugging Face model's answers, by name.

    Raises:
        BadInput: not such a folder.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; a Hugging Face model folder was expected (kcpt convert makes one)")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            raise BadInput(
                f"{folder}: no {name} in it; a Hugging Face model folder was expected (kcpt convert makes one)"
            )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise BadInput(
            f"{folder}: no *.safetensors in it; save the model with save_pretrained(safe_serialization=True)"
        )
    return {path.name: path for path in [folder / "config.json", *weights]} | text_inputs(folder)


def prompt_tokenizer(
    folder: Path, template: str, day: str, thinking: Thinking = NO_THOUGHTS
) -> tuple[PackTokenizer, str]:
    """A folder's tokenizer, with `template` where the folder has none of its own; and the template that is in use,
    empty for the folder's."""
    own = PackTokenizer(folder, day=day, thinking=thinking)
    if own.has_template or not template:
        return own, ""
    return PackTokenizer(folder, template, day, thinking), template


def build_prompts(
    name: str,
    folder: Path,
    questions: Mapping[str, Mapping[str, Any]],
    max_new_tokens: int,
    system: str = "",
    template: str = "",
    day: str = DATE,
    thinking: Thinking = NO_THOUGHTS,
) -> ModelRequest:
    """Every question as prompt ids of the model in `folder`, after a system message if one is given.

    Args:
        name: of the model.
        folder: of the model.
        questions: by their ids.
        max_new_tokens: longest answer.
        system: message before each question.
        template: chat template for a folder that has none of its own.
        day: date that templates write.
        thinking: how much the model may think before it answers.

    Raises:
        BadInput: there is no chat template; or a prompt with its answer does not fit the model's positions; names the
            question. Or the template has no such form of thinking.
    """
    tokenizer, template = prompt_tokenizer(folder, template, day, thinking)
    positions = model_limits.positions(folder) or 1 << 30
    request = ModelRequest(name=name, folder=folder, template=template, day=day, form=tokenizer.form)
    if thinking.tokens:
        request.thought_tokens, request.closing_ids = thinking.tokens, tokenizer.closing_ids
    new = _new_tokens(request, max_new_tokens)
    for question_id, record in questions.items():
        messages = with_system([{"role": "user", "content": record["question"]}], system)
        ids = tokenizer.prompt_ids(messages)
        if len(ids) + new > positions:
            thought = f", thinking={thinking}" if thinking.tokens else ""
            raise BadInput(
                f"question '{question_id}': {len(ids)} prompt tokens and max_new_tokens={max_new_tokens}{thought} "
                f"exceed the {positions} positions of model '{name}'; lower max_new_tokens or drop the question"
            )
        own = tokenizer.holds_special(messages)
        request.prompts.append(Prompt(question_id=question_id, messages=messages, prompt_ids=ids, own_ids=own))
    return request


def context_length(request: ModelRequest, max_new_tokens: int) -> int:
    """Tokens that the engine must hold for one answer."""
    return request.longest + _new_tokens(request, max_new_tokens)


def _new_tokens(request: ModelRequest, max_new_tokens: int) -> int:
    return max_new_tokens + request.thought_tokens + len(request.closing_ids)


def opens_thought(request: ModelRequest) -> bool:
    """Whether a model's prompt begins the thought itself, so that its answers only end it."""
    if not request.prompts:
        return False
    return ends_with_opening(Decoder(request.folder).written(request.prompts[0].prompt_ids[-20:]))


def kv_cache_bytes(request: ModelRequest, max_new_tokens: int, batch_size: int, bytes_per_value: int) -> int:
    """KV-cache bytes of a batch at full length: 2 (keys, values) x layers x KV heads x head size x tokens in blocks."""
    config = read_json(request.folder / "config.json")
    heads = config["num_attention_heads"]
    head_size = config.get("head_dim") or config["hidden_size"] // heads
    per_token = (
        2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * head_size * bytes_per_value
    )
    blocks = -(-context_length(request, max_new_tokens) // BLOCK)
    # One block more a sequence, and 16 MiB more, for the blocks that vLLM keeps to itself.
    return int(per_token * BLOCK * (blocks + 1) * min(batch_size, len(request.prompts)) + (16 << 20))


class Journal:
    """Answers as they come, one JSON line each, in a file named by the run's fingerprint."""

    def __init__(self, out: Path, fingerprint: str) -> None:
        self.path = out / f"journal-{fingerprint[:16]}.jsonl"

    def read(self) -> dict[Key, dict[str, Any]]:
        """Whole records by (question_id, model); a line torn by a kill is cut off, so that more can be appended."""
        records: dict[Key, dict[str, Any]] = {}
        if not self.path.is_file():
            return records
        torn = False
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                record = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                record = None
            if record is None:
                torn = True
                continue
            records[record["question_id"], record["model"]] = record
        if torn:
            with atomic_write(self.path) as stream:
                stream.writelines(json.dumps(record) + "\n" for record in records.values())
        return records

    def remove(self) -> None:
        """Delete this journal and those of other inputs in the same folder."""
        for path in self.path.parent.glob(JOURNALS):
            path.unlink()


class Decoder:
    """Texts of generated ids by a folder's tokenizer.

    Special tokens are left out, but those that tell a thought from the answer: without them nobody could.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        added = self._tokenizer.get_added_tokens_decoder().items()
        special = {number: token.content for number, token in added if token.special}
        self._dropped = {number for number, content in special.items() if content not in MARKS}

    def texts(self, token_ids: list[list[int]]) -> list[str]:
        """Texts without blanks at both ends."""
        kept = [[number for number in ids if number not in self._dropped] for ids in token_ids]
        return [text.strip() for text in self._tokenizer.decode_batch(kept, skip_special_tokens=False)]

    def written(self, ids: list[int]) -> str:
        """One text with all special tokens written out."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))


def decode(folder: Path, token_ids: list[list[int]]) -> list[str]:
    """Texts of generated ids; see :class:`Decoder`."""
    return Decoder(folder).texts(token_ids)
