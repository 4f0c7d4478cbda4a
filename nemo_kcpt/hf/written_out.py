"""Control tokens and marks of thoughts that are written out in a message: they are text there, and stay it.

While a template is rendered a placeholder stands for each, so that what the template itself writes can be told from
them, and no template takes what follows a `</think>` in a message for the whole of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from nemo_kcpt.text.thoughts import MARKS

_PLACEHOLDER = "\ue000{}\ue001"
"""Stands for what is written out (private-use characters)."""


class WrittenOut:
    """What a tokenizer's messages may hold that its template must not see.

    Args:
        with_control: the tokenizer (of `tokenizers`).
        plain: the same, but special tokens in a text are text.
        marks: of thoughts, that the template writes or looks for.
    """

    def __init__(self, with_control: Any, plain: Any, marks: Sequence[str]) -> None:
        self._with_control, self._plain = with_control, plain
        added = with_control.get_added_tokens_decoder().values()
        self._control = _any_of(token.content for token in added if token.special or token.content in MARKS)
        self._words = sorted({token.content for token in added} | set(marks))
        self._marks = marks
        self._eats_left = {token.content for token in added if token.lstrip}
        self._eats_right = {token.content for token in added if token.rstrip}
        self._special = _any_of(token.content for token in added if token.special)

    @cached_property
    def _hidden(self) -> re.Pattern[str]:
        return _any_of([*filter(self._control.fullmatch, self._words), *self._marks])

    @cached_property
    def _later(self) -> Any:
        """The tokenizer for what is not the beginning of a text, before which alone some put a metaspace."""
        from tokenizers import Tokenizer

        rules = json.loads(self._plain.to_str())
        outer = rules.get("pre_tokenizer") or {}
        metaspaces = [
            metaspace for metaspace in outer.get("pretokenizers", [outer]) if metaspace.get("prepend_scheme") == "first"
        ]
        if not metaspaces:
            return self._plain
        for metaspace in metaspaces:
            metaspace["prepend_scheme"] = "never"
        later = Tokenizer.from_str(json.dumps(rules))
        later.encode_special_tokens = True
        return later

    def holds_special(self, text: str) -> bool:
        """Whether a special token is in a text."""
        return self._special.search(text) is not None

    def special_in(self, messages: Sequence[Mapping[str, str]]) -> bool:
        """Whether a message holds a special token, which a tokenizer's own chat template would take for one."""
        return any(self._special.search(message["content"]) for message in messages)

    def found_in(self, messages: Sequence[Mapping[str, str]]) -> bool:
        """Whether a message holds any."""
        return any(self._hidden.search(message["content"]) for message in messages)

    def masked(self, messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """The messages with a placeholder for each."""

        def mask(match: re.Match[str]) -> str:
            return _PLACEHOLDER.format(self._words.index(match[0]))

        return [{**message, "content": self._hidden.sub(mask, message["content"])} for message in messages]

    def unmasked(self, text: str) -> str:
        """A text with what its placeholders stand for."""
        return re.sub(_PLACEHOLDER.format(r"(\d+)"), lambda match: self._words[int(match[1])], text)

    def pieces(self, masked: str) -> list[tuple[list[int], list[int]]]:
        """Ids and starts of a rendered text, piece by piece between the template's own control tokens."""
        pieces: list[tuple[list[int], list[int]]] = []
        offset = 0
        parts = re.split(f"({self._control.pattern})", masked)
        for number, part in enumerate(parts):
            text = self.unmasked(part)
            if number % 2:
                pieces.append(([int(self._with_control.token_to_id(part))], [offset]))
            else:
                before, after = [*parts, ""][number - 1], [*parts, ""][number + 1]
                left = len(text) - len(text.lstrip()) if before in self._eats_right else 0
                kept = text[left:].rstrip() if after in self._eats_left else text[left:]
                if kept:
                    encoding = (self._later if offset + left else self._plain).encode(kept, add_special_tokens=False)
                    pieces.append((encoding.ids, [offset + left + start for start, _ in encoding.offsets]))
            offset += len(text)
        return pieces


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Matches one of the words, the longest first; nothing where there is none."""
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)")
