"""Token ids of texts and chat messages from a Hugging Face tokenizer folder, without importing transformers.

`tokenizers` and `jinja2` start in 0.1 s where `transformers.AutoTokenizer` takes 6 s; a test holds the ids equal to
those of `apply_chat_template`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.chat_template import DATE, PLAIN, SEPARATE, compile_template, own_template, template_inputs, variables
from nemo_kcpt.hf.remote_code import check_tokenizer_code
from nemo_kcpt.hf.special_tokens import SPECIAL_MAP, reads_map, template_tokens, token_text, tokenizer_config
from nemo_kcpt.hf.thinking import (
    NO_THOUGHTS,
    Form,
    Thinking,
    before_reply,
    closing_text,
    form_of,
    may_think,
    reply_header,
)
from nemo_kcpt.hf.token_places import ChatIds, TextIds, first_token
from nemo_kcpt.hf.written_out import WrittenOut
from nemo_kcpt.text.thoughts import marks_in

Messages = Sequence[Mapping[str, str]]

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
"""Files that every Hugging Face fast tokenizer has."""


def with_system(messages: Messages, system: str) -> Messages:
    """The conversation with a system message before it, if `system` is not empty and it has none of its own."""
    if not system or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": system}, *messages]


def tokenizer_inputs(folder: Path) -> dict[str, Path]:
    """The files that shape a tokenizer's ids, by name, for a stage's fingerprint."""
    files = {**{name: folder / name for name in TOKENIZER_FILES}, **template_inputs(folder)}
    return {**files, SPECIAL_MAP: folder / SPECIAL_MAP} if reads_map(folder) else files


def thinks(folder: Path, template: str = "") -> bool:
    """Whether the chat template of a tokenizer folder (or `template` in its place) has a form of its own for replies
    without thoughts; False where there is no template or no tokenizer.

    Raises:
        BadInput: the template cannot be read.
    """
    if not all((folder / name).is_file() for name in TOKENIZER_FILES):
        return False
    text = template or own_template(folder, tokenizer_config(folder))
    return text is not None and may_think(text) and PackTokenizer(folder, template).form.thinks


class PackTokenizer:
    """The fast tokenizer of a Hugging Face folder (`tokenizer.json`, `tokenizer_config.json`) with its chat template.

    Args:
        folder: of the tokenizer.
        template: chat template instead of the folder's own; empty: the folder's.
        day: date that templates write, as 2024-07-26.
        thinking: how much the model may think; not at all: the form that it is trained in.

    Raises:
        BadInput: a file is missing, or `eos_token` is not in the vocabulary.
    """

    def __init__(self, folder: Path, template: str = "", day: str = DATE, thinking: Thinking = NO_THOUGHTS) -> None:
        from tokenizers import Tokenizer

        self.folder, self._given, self._day, self.thinking = folder, template, day, thinking
        self._file = folder / "tokenizer.json"
        if (folder / "tokenizer_config.json").is_file():
            check_tokenizer_code(folder, tokenizer_config(folder))
        if not self._file.is_file():
            raise BadInput(
                f"{folder}: no tokenizer.json in it. Expected a Hugging Face fast tokenizer; "
                "save one with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
            )
        self.config = tokenizer_config(folder)
        self._with_control = Tokenizer.from_file(str(self._file))
        # Text of documents must not yield control tokens, however often "</s>" is written out in it.
        self._plain = Tokenizer.from_file(str(self._file))
        self._plain.encode_special_tokens = True

    @cached_property
    def sha256(self) -> str:
        """Hash of the tokenizer and its chat template; part of every pack's fingerprint."""
        digest = hashlib.sha256(self._file.read_bytes())
        digest.update(self.chat_template.encode() if self.has_template else b"")
        return digest.hexdigest()

    @property
    def vocab_size(self) -> int:
        """Number of entries, added tokens included."""
        return int(self._with_control.get_vocab_size(with_added_tokens=True))

    def _token(self, name: str) -> str | None:
        value: str | None = token_text(self.config.get(name))
        return value

    def token_id(self, name: str) -> int | None:
        """Id of a special token by its role (`bos_token`, `eos_token`, `pad_token`); None where there is none."""
        token = self._token(name)
        if token is None:
            return None
        number = self._with_control.token_to_id(token)
        if number is None:
            raise BadInput(
                f"{self.folder}: {name} is '{token}' (tokenizer_config.json or {SPECIAL_MAP}), which is not in "
                "tokenizer.json"
            )
        return int(number)

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

    def text_ids(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Ids of plain texts, int32 [tokens] each, no special tokens added and none recognised inside."""
        encodings = self._plain.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]

    @property
    def flattens(self) -> bool:
        """Whether it makes 106 of 10⁶ before it cuts text into tokens, as one that normalises by NFKC does."""
        normalizer = self._plain.normalizer
        return normalizer is not None and "⁶" not in str(normalizer.normalize_str("10⁶"))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, control tokens written out."""
        return str(self._plain.decode(list(ids), skip_special_tokens=False))

    def texts_with_starts(self, texts: Sequence[str]) -> list[TextIds]:
        """As `text_ids`, with the character at which each token starts; takes a third longer."""
        return [
            TextIds(
                ids=np.array(encoding.ids, dtype=np.int32),
                starts=np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)[:, 0],
            )
            for encoding in self._plain.encode_batch(list(texts), add_special_tokens=False)
        ]

    @cached_property
    def _own_template(self) -> str | None:
        return own_template(self.folder, self.config)

    @property
    def has_template(self) -> bool:
        """Whether conversations can be rendered."""
        return bool(self._given) or self._own_template is not None

    @property
    def chat_template(self) -> str:
        """The Jinja template that renders messages.

        Raises:
            BadInput: the folder has none.
        """
        template = self._given or self._own_template
        if template is None:
            raise BadInput(
                f"{self.folder}: no chat_template in tokenizer_config.json and no {SEPARATE}, so conversations cannot "
                f"be written; give chat_template=FILE with one of your own, or chat_template={PLAIN} for the plain one "
                "that comes with kcpt"
            )
        return template

    @cached_property
    def _template(self) -> Callable[..., str]:
        from jinja2 import TemplateError

        try:
            return compile_template(self.chat_template)
        except TemplateError as error:
            raise BadInput(f"{self.folder}: its chat template cannot be read: {error}") from None

    @cached_property
    def _variables(self) -> dict[str, Any]:
        """What transformers gives a template beside the conversation: of the special tokens those that are set."""
        return {**template_tokens(self.config), **variables(self._day)}

    def render(self, messages: Messages, *, add_generation_prompt: bool = False) -> str:
        """The conversation as the template writes it; with `add_generation_prompt`, up to where the reply begins.

        Raises:
            BadInput: the template cannot be read, or refuses the conversation.
        """
        return self._render(messages, add_generation_prompt, self.form.options)

    def _render(self, messages: Messages, add_generation_prompt: bool, options: Mapping[str, Any]) -> str:
        given = {"messages": messages, "add_generation_prompt": add_generation_prompt, **self._variables, **options}
        try:
            return str(self._template(**given))
        except BadInput:
            raise
        except Exception as error:  # a template is a program; whatever it fails with is its own fault
            said = f"{type(error).__name__}: {error}"
            raise BadInput(f"{self.folder}: its chat template fails on a conversation: {said}") from None

    @cached_property
    def form(self) -> Form:
        """How the template is asked for replies; see :class:`Form`.

        Raises:
            BadInput: it has no such form.
        """
        try:
            return form_of(self.chat_template, self.thinking, self._render, self._written.holds_special)
        except BadInput as error:
            said = str(error).removeprefix(f"{self.folder}: ")
            raise BadInput(f"{self.folder}: {said}") from None

    @cached_property
    def closing_ids(self) -> list[int]:
        """Tokens that end a thought and begin the answer, as the template writes them.

        Raises:
            BadInput: it does not show them.
        """
        try:
            text = closing_text(self.chat_template, self.thinking, self._render)
        except BadInput as error:
            raise BadInput(f"{self.folder}: {error}") from None
        return list(self._with_control.encode(text, add_special_tokens=False).ids)

    def prompt(self, messages: Messages) -> str:
        """The conversation up to where the text of the reply begins, in the form that is asked for.

        Raises:
            BadInput: see :meth:`render`.
        """
        if self.form.cut:
            return before_reply(self._render, messages, self.form.options)
        return self.render(messages, add_generation_prompt=True)

    def template_ids(self, text: str) -> list[int]:
        """Ids of a piece of what the template writes: control tokens in it are control tokens."""
        return list(self._with_control.encode(text, add_special_tokens=False).ids)

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids of the control tokens."""
        added = self._with_control.get_added_tokens_decoder()
        return frozenset(number for number, token in added.items() if token.special)

    def conversation(self, messages: Messages) -> str:
        """A whole conversation as it is trained on: the template's own text, whose last reply follows the prompt that
        is asked, and is ended by the end-of-sequence token where the template writes none.

        Raises:
            BadInput: the template does not write the conversation that it was asked in, or has no form for a reply
                without a thought.
        """
        text = self.render(messages)
        if not messages or messages[-1]["role"] != "assistant":
            return text
        if self.form.opens and not self.thinking.allowed:
            raise BadInput(
                f"{self.folder}: its chat template opens a thought before each reply ({self.form.opens}) and has no "
                "form without one, so pairs cannot be trained on; give chat_template= a copy of it that has"
            )
        if self.form.spliced:
            before, asked = before_reply(self._render, messages[:-1], self.form.options), self.prompt(messages[:-1])
            if not text.startswith(before):
                raise BadInput(f"{self.folder}: its chat template renders a prompt differently when a reply follows")
            text = asked + reply_header(before, asked) + text[len(before) :]
        return text + (self._token("eos_token") or "") if self.form.unended else text

    def prompt_ids(self, messages: Messages) -> list[int]:
        """Ids of a prompt, ending where the model's reply begins; control tokens written out in it stay text."""
        if self._written.found_in(messages):
            text = self.prompt(self._written.masked(messages))
            return [token for ids, _ in self._written.pieces(text) for token in ids]
        text = self.prompt(messages)
        return list(self._with_control.encode(text, add_special_tokens=False).ids)

    def holds_special(self, messages: Messages) -> bool:
        """Whether a special token is written out in a message: it stays text here, transformers' own chat template
        makes it the token."""
        return self._written.special_in(messages)

    def chat_ids(self, messages: Messages) -> ChatIds:
        """Ids of a whole conversation and which of them are replies (the end-of-sequence token after one included)."""
        return self.chats([messages])[0]

    def chats(self, conversations: Sequence[Messages]) -> list[ChatIds]:
        """As `chat_ids`, for many conversations at once.

        A whole conversation is tokenised at once, so the ids are those of the tokenizer's own chat template; a token
        belongs to a reply if its text begins inside one. Only where a message writes a control token out (`</s>`)
        do the ids differ: there it stays text, while `apply_chat_template` would make it the control token.

        Raises:
            BadInput: the template renders a prompt differently once a reply follows.
        """
        result: list[ChatIds | None] = [
            self._chat_with_control(messages) if self._written.found_in(messages) else None
            for messages in conversations
        ]
        plain = [index for index, chat in enumerate(result) if chat is None]
        texts = [self.conversation(conversations[index]) for index in plain]
        spans = [self._reply_spans(conversations[index], text) for index, text in zip(plain, texts)]
        encodings = self._with_control.encode_batch(texts, add_special_tokens=False)
        for index, text, replies, encoding in zip(plain, texts, spans, encodings):
            reply = np.zeros(len(encoding), dtype=np.bool_)
            for begin, end in replies:
                reply[first_token(encoding, begin, len(text)) : first_token(encoding, end, len(text))] = True
            result[index] = ChatIds(ids=np.array(encoding.ids, dtype=np.int32), reply=reply)
        return [chat for chat in result if chat is not None]

    def _reply_spans(self, messages: Messages, text: str) -> list[tuple[int, int]]:
        """Where in the rendered text the replies stand, in characters."""
        spans: list[tuple[int, int]] = []
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = self.prompt(messages[:index])
            last = index + 1 == len(messages)
            whole = text if last else self.render(messages[: index + 1])
            if not last and self.form.thinks and not (text.startswith(whole) and whole.startswith(prompt)):
                continue  # templates leave thoughts of earlier replies out: nobody is asked in that form
            if not text.startswith(prompt):
                raise BadInput(
                    f"{self.folder}: its chat template renders a prompt differently when a reply follows, so replies "
                    "cannot be told from prompts; correct the template (its generation prompt must be a prefix)"
                )
            spans.append((len(prompt), len(whole)))
        return spans

    def per_reply(self, messages: Messages) -> list[Messages]:
        """The conversation, or its beginnings up to each reply where the template writes an earlier reply in another
        form than the one that it is asked in, so that each reply is the last of one and bears loss there."""
        ends = [index + 1 for index, message in enumerate(messages) if message["role"] == "assistant"]
        if len(ends) < 2 or not self.form.thinks:
            return [messages]
        masked = self._written.masked(messages)
        spans = self._reply_spans(masked, self.conversation(masked))
        return [messages] if len(spans) == len(ends) else [messages[:end] for end in ends]

    @cached_property
    def _written(self) -> WrittenOut:
        return WrittenOut(self._with_control, self._plain, marks_in(self.chat_template))

    def _chat_with_control(self, messages: Messages) -> ChatIds:
        masked = self._written.masked(messages)
        text = self.conversation(masked)
        pieces = self._written.pieces(text)
        starts = np.array([start for _, offsets in pieces for start in offsets])
        reply = np.zeros(len(starts), dtype=np.bool_)
        for begin, end in self._reply_spans(masked, text):
            begin, end = len(self._written.unmasked(text[:begin])), len(self._written.unmasked(text[:end]))
            reply |= (starts >= begin) & (starts < end)
        return ChatIds(ids=np.array([token for ids, _ in pieces for token in ids], dtype=np.int32), reply=reply)
