"""Greedy means greedy: what takes back the penalties of a model folder's generation_config.json.

Servers such as vLLM and SGLang apply that file's rules to every request that does not say otherwise, also at
temperature 0. The fields are no part of what a request is keyed by (`params`), so that journals of earlier versions
serve on.
"""

from __future__ import annotations

from typing import Any

NEUTRAL = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""The first is not OpenAI's own, and some servers refuse it."""
FOLLOWING = ("vllm", "sglang")
"""Who follows that file, by what `/models` says of a model's owner; both know all three fields."""
PATIENCE = 10.0
"""Seconds to wait for the list of models, which only tells whose server it is."""


async def follows_rules(client: Any) -> bool:
    """Whether a server says that it is one of `FOLLOWING`; no if it has no list of models."""
    try:
        page = await client.with_options(timeout=PATIENCE).models.list()
        return any(str(getattr(model, "owned_by", "")).lower() in FOLLOWING for model in page.data)
    except Exception:  # the first request will say what is wrong with the server
        return False
