"""Thoughts of models that think first: what comes before the answer is left out, an unfinished one is no answer.

Servers write a thought in one of these ways: between two tags; up to a closing tag alone, where the chat template has
opened it already; in gpt-oss's channels, of which only `final` is the answer; or in a field of its own beside the
content (`reasoning_content`, `reasoning`), which the client hands on as an opened tag if there is no content.
"""

from __future__ import annotations

import re

UNFINISHED = "unfinished_thought"
"""Name of the fault of a reply that ends before its thought does."""

_TAGS = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think", "mm:think")
_NAMES = "|".join(_TAGS)
_OPENS = re.compile(
    rf"<(?:{_NAMES})>|\[THINK\]|<\|(?:begin_of_thought|START_THINKING|inner_prefix|think)\|>|◁think▷"
    r"|<\|channel\|>\s*(?:analysis|commentary)\b|<\|channel>\s*thought\b",
    re.I,
)
_CLOSES = re.compile(
    rf"</(?:{_NAMES})>|\[/THINK\]|<\|(?:end_of_thought|inner_suffix)\|>|◁/think▷|<channel\|>|<\|content\|>"
    r"|<\|END_THINKING\|>(?:\s*<\|START_RESPONSE\|>)?"
    r"|<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>",
    re.I,
)
_PLAIN_CHANNELS = re.compile(r"\Aanalysis.*assistantfinal", re.DOTALL)
"""gpt-oss's channels where a server has taken the special tokens out and left their names."""
_ENDS = re.compile(r"<\|(?:return|end|call|END_RESPONSE)\|>\s*\Z")
_ANSWER = re.compile(
    r"\A\s*(?:<answer>|<\|begin_of_(?:solution|box)\|>)(.*)(?:</answer>|<\|end_of_(?:solution|box)\|>)\s*\Z",
    re.DOTALL | re.I,
)
_QUOTES = {"`": "`", '"': '"', "'": "'", "「": "」", "『": "』", "“": "”", "(": ")", "（": "）"}
MOST_CLOSES = 50
"""Closing marks that are looked at, from the last one; a reply with more goes round in circles."""

MARKS = frozenset(f"{bracket}{name}>" for name in (*_TAGS, "answer") for bracket in ("<", "</")) | {
    "[THINK]",
    "[/THINK]",
    "<|begin_of_thought|>",
    "<|end_of_thought|>",
    "<|START_THINKING|>",
    "<|END_THINKING|>",
    "<|inner_prefix|>",
    "<|inner_suffix|>",
    "<|channel|>",
    "<|message|>",
    "<|constrain|>",
    "<|channel>",
    "<channel|>",
    "<|think|>",
    "<|content|>",
}
"""Tokens that tell a thought from the answer; a tokenizer may count them among its special ones."""


_CLOSERS = {
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<|channel>thought": "<channel|>",
} | {f"<{name}>": f"</{name}>" for name in _TAGS}
"""The mark that closes a thought, by the one that opens it; of those that stand alone around it."""


class UnfinishedThought(ValueError):
    """The reply ends, or was cut off, before its thought did: there is no answer in it."""


def rests(text: str) -> list[str]:
    """What may be the answer: after the last mark that closes a thought, then after those before it; the text itself if
    there is none. A quoted mark (`</think>`) closes nothing."""
    ends = [match.end() for match in _CLOSES.finditer(text) if not _quoted(text, match)][-MOST_CLOSES:]
    if not ends and (plain := _PLAIN_CHANNELS.match(text)):
        ends = [plain.end()]
    return [_ENDS.sub("", text[end:]) for end in reversed(ends)] or [_ENDS.sub("", text)]


def without_thought(text: str, *, opened: bool = False) -> str:
    """The answer: what follows the thought, or the text as it is if there is none.

    Args:
        text: a reply, as the server gave it.
        opened: the prompt itself ends with the mark that opens a thought.

    Raises:
        UnfinishedThought: a thought begins and does not end.
    """
    rest = rests(text)[0]
    if is_open(text, opened=opened):
        raise UnfinishedThought(
            "the reply ends before its thought does; give more max_tokens=, or a model that thinks less"
        )
    if rest == _ENDS.sub("", text):
        return text
    answer = _ANSWER.match(rest)
    return (answer[1] if answer else rest).strip()


def opening_of(text: str) -> int | None:
    """Where a thought opens in a text, quoted marks ignored; None if none does."""
    return next((match.start() for match in _OPENS.finditer(text) if not _quoted(text, match)), None)


def closes(text: str) -> bool:
    """Whether a mark in a text closes a thought."""
    return any(not _quoted(text, match) for match in _CLOSES.finditer(text))


def starts_with_thought(text: str) -> bool:
    """Whether a thought opens at the beginning of a text (and, as no mark closes it, never ends)."""
    return _OPENS.match(text.lstrip()) is not None


def ends_with_opening(prompt: str) -> bool:
    """Whether a prompt leaves the model inside a thought, as chat templates of some models do."""
    return opening_at_end(prompt) is not None


def opening_at_end(prompt: str) -> str | None:
    """The mark with which a prompt opens a thought at its end; None if it does not."""
    opens = list(_OPENS.finditer(prompt[-200:]))
    return opens[-1][0] if opens and not prompt[-200:][opens[-1].end() :].strip() else None


def closing_of(mark: str) -> str | None:
    """The mark that closes what `mark` opens (itself if it closes); None where that takes more, as in channels."""
    return mark if mark in _CLOSERS.values() else _CLOSERS.get(mark)


def marks_in(text: str) -> list[str]:
    """The marks of thoughts in a text, quoted ones too, in order: what a chat template writes or looks for."""
    return sorted({match[0] for pattern in (_OPENS, _CLOSES) for match in pattern.finditer(text)}, key=text.index)


def is_open(text: str, *, opened: bool = False) -> bool:
    """Whether a reply that may continue is inside a thought.

    Args:
        text: the reply so far.
        opened: the prompt itself ends with the mark that opens a thought.
    """
    rest = rests(text)[0]
    return starts_with_thought(rest) or (opened and rest == _ENDS.sub("", text))


def count_closes(text: str) -> int:
    """How many marks in a text close a thought."""
    return sum(not _quoted(text, match) for match in _CLOSES.finditer(text))


def _quoted(text: str, match: re.Match[str]) -> bool:
    before = text[match.start() - 1 : match.start()]
    return before in _QUOTES and text[match.end() : match.end() + 1] == _QUOTES[before]
