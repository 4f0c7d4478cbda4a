"""A vLLM server of one's own, held to what the model's folder says: its positions, and its limit of replies."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.hf import limits as model_limits
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG

_TOO_LONG = re.compile(r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=(\d+)")


def folder_of(model: str) -> Path | None:
    """The folder of a model that is named by it, or that is in the hub's cache; None if neither."""
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return folder
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(model, "config.json")
    return Path(cached).parent if isinstance(cached, str) else None


def fitted(llm: Llm) -> Llm:
    """The settings with a window that the model has, and replies of at most half of it; says what it changes.

    vLLM ends with a traceback where it is asked for more positions than there are. What fits is left as it was given.
    """
    folder = folder_of(llm.model) if llm.engine == "vllm" and llm.window else None
    most = model_limits.positions(folder) if folder is not None else None
    if most is None or llm.window <= most:
        return llm
    changed: dict[str, Any] = {"window": most}
    if llm.max_tokens > most // 2:
        changed["max_tokens"] = most // 2
    LOG.warning(
        "teacher: %s has %d positions: %s",
        llm.model,
        most,
        ", ".join(f"{name}={value} in place of {getattr(llm, name)}" for name, value in changed.items()),
    )
    return replace(llm, **changed)


def without_limit(llm: Llm) -> list[str]:
    """vLLM's flag that lifts the limit of replies which the folder's generation_config.json sets, if it is below
    `max_tokens`: the server holds every request to it and does not say so."""
    folder = folder_of(llm.model)
    limit = model_limits.longest_reply(folder) if folder is not None else None
    if limit is None or limit >= llm.max_tokens:
        return []
    LOG.info(
        "teacher: generation_config.json allows replies of %d tokens, max_tokens=%d is used", limit, llm.max_tokens
    )
    return ["--override-generation-config", json.dumps({"max_new_tokens": llm.max_tokens})]


def remedy(log: str) -> str:
    """What to do about a vLLM that ended as its log says; "" if nothing is known."""
    if (match := _TOO_LONG.search(log)) is None:
        return ""
    return (
        f"the model has {match[2]} positions, window={match[1]} was given: give window={match[2]} and a max_tokens= "
        "of at most half of it"
    )
