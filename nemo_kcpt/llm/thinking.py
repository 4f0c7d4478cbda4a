"""The fields of a request that say how much the model may think."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.hf.thinking import SWITCHES, Thinking

KWARGS = "chat_template_kwargs"
"""Field by which vLLM, SGLang and llama.cpp pass variables to the chat template."""


def fields_for(thinking: Thinking, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fields of a request for chat completions.

    `reasoning_effort` is OpenAI's own; `chat_template_kwargs` is known to servers of open models; the number of tokens
    is vLLM's `thinking_token_budget` (0.20 and later, with a `--reasoning-parser`).

    Args:
        thinking: how much.
        options: the variables of the model's chat template, where it is known.
    """
    if options is None:
        options = {} if thinking.effort else dict.fromkeys(SWITCHES, thinking.allowed)
    fields: dict[str, Any] = {KWARGS: dict(options)} if options else {}
    if thinking.effort:
        fields["reasoning_effort"] = thinking.effort
    if thinking.tokens:
        fields["thinking_token_budget"] = thinking.tokens
    return fields


def merged(thinking: str, extra_body: Mapping[str, Any]) -> dict[str, Any]:
    """The further fields of a request: of the key `thinking` (empty: none), and above them of `extra_body`.

    Raises:
        ValueError: `thinking` is none of its values.
    """
    if thinking == "":
        return dict(extra_body)
    fields = fields_for(Thinking.parse(thinking))
    both = isinstance(extra_body.get(KWARGS), Mapping) and KWARGS in fields
    return {**fields, **extra_body} | ({KWARGS: {**fields[KWARGS], **extra_body[KWARGS]}} if both else {})
