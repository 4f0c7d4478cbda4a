"""How a chat template writes a reply without thoughts, and how it is asked for one with or without them.

What a model is trained on has no thoughts in it, so each template is asked what it writes around such a reply: an empty
thought (Qwen3), a channel for the answer alone (gpt-oss, llm-jp-4), a line of the system message (SmolLM3), or nothing,
although its generation prompt opens a thought (DeepSeek-R1). The prompt of the form `off` is all that the template
writes before such a reply, so that training and questions are alike whatever the template is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.text.thoughts import closing_of, marks_in, opening_at_end

OFF, ON = "off", "on"
SWITCHES = ("enable_thinking", "thinking")
"""Variables by which templates turn thoughts on and off."""
EFFORT, BUDGET = "reasoning_effort", "thinking_budget"
"""Variables that take a word and a number of tokens."""
REPLY, THOUGHT = "\ue002reply\ue003", "\ue002thought\ue003"
"""Stand for a reply and a thought while a template is rendered (private-use characters)."""
_USER = {"role": "user", "content": "?"}
_PROBES = (([_USER], True), ([_USER, {"role": "assistant", "content": REPLY}], False))

Render = Callable[..., str]
"""Messages, whether a generation prompt follows, and variables of the template: the text."""


@dataclass(frozen=True, kw_only=True)
class Thinking:
    """How much a model may think before it answers.

    `allowed`: whether at all; `tokens`: at most so many, None for no limit of its own; `effort`: one of the words that
    the template takes.
    """

    allowed: bool = False
    tokens: int | None = None
    effort: str = ""

    @classmethod
    def parse(cls, text: str | int) -> Thinking:
        """The value of a key `thinking`: off, on, a number of tokens, or an effort word.

        Raises:
            ValueError: it is none of these.
        """
        word = str(text).strip()
        switched = {OFF: False, "false": False, ON: True, "true": True}.get(word.lower())  # YAML's off is False
        if switched is not None:
            return cls(allowed=switched)
        if word.isascii() and word.isdigit():
            return cls(allowed=True, tokens=int(word)) if int(word) else cls()
        if re.fullmatch(r"[A-Za-z][\w-]*", word):
            return cls(allowed=True, effort=word)
        raise ValueError(
            f"thinking: '{text}' is neither off, on, a number of tokens nor an effort word of the chat template"
        )

    def __str__(self) -> str:
        return (self.effort or (str(self.tokens) if self.tokens else ON)) if self.allowed else OFF


NO_THOUGHTS = Thinking()
"""The form that models are trained in."""
_ON = Thinking(allowed=True)


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a template is asked for a reply.

    `options`: variables that it gets; `thinks`: it has forms of its own for thoughts or channels; `cut`: the prompt is
    what it writes before a reply of its own, in place of its generation prompt; `spliced`: its generation prompt has
    something, as an empty thought, that it leaves out of a finished conversation: there it is put back; `unended`: it
    writes no token that ends the last reply; `opens`: the mark of a thought that it opens before each reply, so that
    none can be trained on without one.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    thinks: bool = False
    cut: bool = False
    spliced: bool = False
    unended: bool = False
    opens: str | None = None

    @property
    def reply(self) -> str | None:
        """What stands for a reply where the prompt is cut before it; for a worker in another environment."""
        return REPLY if self.cut else None


def may_think(template: str) -> bool:
    """Whether a template has words of thoughts in it, so that it may have a form for them."""
    return bool(marks_in(template)) or any(word in template for word in (*SWITCHES, EFFORT, BUDGET))


def _is_read(name: str, template: str) -> bool:
    """Whether a template has a variable of this name, not a field of a message (`m.thinking`, `'thinking' in m`)."""
    return re.search(rf"""(?<![\w.'"]){name}(?![\w'"])""", template) is not None


def options_for(template: str, thinking: Thinking) -> dict[str, Any]:
    """The variables that a template gets.

    Raises:
        BadInput: it knows no effort words, and one is asked for.
    """
    reads = {name for name in (*SWITCHES, EFFORT, BUDGET) if _is_read(name, template)}
    options: dict[str, Any] = {name: thinking.allowed for name in SWITCHES if name in reads}
    if thinking.effort and EFFORT not in reads:
        raise BadInput(
            f"thinking={thinking.effort}: the chat template takes no effort words ({EFFORT}); give thinking=off, "
            "on or a number of tokens"
        )
    if thinking.effort:
        options[EFFORT] = thinking.effort
    elif not thinking.allowed and EFFORT in reads and re.search(r"""(["'])none\1""", template):
        options[EFFORT] = "none"
    if BUDGET in reads and (thinking.tokens or not thinking.allowed):
        options[BUDGET] = thinking.tokens or 0
    return options


def form_of(template: str, thinking: Thinking, render: Render, ends: Callable[[str], bool]) -> Form:
    """The form in which a template is asked.

    Args:
        template: its text.
        thinking: how much the model may think.
        render: renders it.
        ends: whether a text holds a token that ends a reply.

    Raises:
        BadInput: see :func:`options_for`; or thoughts are asked of a template that has none.
    """
    marked = bool(marks_in(template))
    if thinking.allowed and not marked and not may_think(template):
        raise BadInput(f"thinking={thinking}: the chat template has no form for thoughts; omit thinking=")
    off = _effective(options_for(template, NO_THOUGHTS), render)
    before, asked = before_reply(render, [_USER], off), render([_USER], True, off)
    switched = any(render([_USER], True, variables) != asked for variables in ({}, options_for(template, _ON)))
    header = before.removeprefix(asked) if before.startswith(asked) else None
    if header is not None and not header.strip():
        form = Form(thinks=switched, opens=opening_at_end(asked))
    elif (header is not None and asked != render([_USER], False, off)) or (marked and not switched):
        form = Form(thinks=True, cut=True)
    else:
        form = Form(thinks=switched, spliced=switched)
    if thinking.allowed:
        form = replace(form, cut=False, spliced=False)
    options = _effective(options_for(template, thinking), render) if form.thinks else {}
    return replace(form, options=options, unended=form.thinks and _is_unended(render, off, ends))


def _effective(options: Mapping[str, Any], render: Render) -> dict[str, Any]:
    """Options without those switches that change nothing."""
    effective = dict(options)
    for name in SWITCHES:
        if name in effective:
            other = {**effective, name: not effective[name]}
            if all(
                render(messages, prompt, effective) == render(messages, prompt, other) for messages, prompt in _PROBES
            ):
                del effective[name]
    return effective


def _is_unended(render: Render, options: Mapping[str, Any], ends: Callable[[str], bool]) -> bool:
    """Whether a template shows a reply and writes no token that ends it."""
    _, separator, rest = render(_PROBES[1][0], False, options).rpartition(REPLY)
    return bool(separator) and not ends(rest)


def reply_header(before: str, asked: str) -> str:
    """What a template writes between its generation prompt and a reply's text, where that prompt has more in it than
    the finished conversation.

    Args:
        before: all that it writes before the reply's text.
        asked: its generation prompt.
    """
    differ = (index for index, pair in enumerate(zip(before, asked)) if pair[0] != pair[1])
    common = next(differ, min(len(before), len(asked)))
    mark = before.rfind("<", 0, common)
    if mark >= 0 and ">" not in before[mark:common]:
        common = mark  # not within a mark
    rest = before[common:]
    return "" if asked.endswith(rest.rstrip()) else rest


def before_reply(render: Render, messages: Any, options: Mapping[str, Any]) -> str:
    """What a template writes before the text of the reply to `messages`; its generation prompt where the reply's text
    does not appear."""
    text = render([*messages, {"role": "assistant", "content": REPLY}], False, options)
    start = text.rfind(REPLY)
    # A blank before the reply's first word belongs to its token.
    return render(messages, True, options) if start < 0 else text[:start].rstrip(" ")


def closing_text(template: str, thinking: Thinking, render: Render) -> str:
    """What stands between a thought and the answer: with it, a thought that is too long is ended.

    It is what the template itself writes there; of one that leaves thoughts out, the mark that closes its first one.

    Raises:
        BadInput: it is not known.
    """
    options = options_for(template, thinking)
    thought = {"reasoning_content": THOUGHT, "thinking": THOUGHT, "reasoning": THOUGHT}
    text = render([_USER, {"role": "assistant", "content": REPLY, **thought}], False, options)
    _, separator, rest = text.partition(THOUGHT)
    closing, answered, _ = rest.partition(REPLY)
    if separator and answered and marks_in(closing):
        return closing
    opening = opening_at_end(render([_USER], True, options)) or next(iter(marks_in(template)), "")
    mark = closing_of(opening)
    if mark is None:
        raise BadInput(
            f"thinking={thinking}: the chat template does not show how a thought ends ({opening or 'no mark'}), so "
            "that none can be cut off; give thinking=on or off"
        )
    return mark if mark.startswith(("<|", "<channel")) else f"\n{mark}\n\n"
