"""What a server's message says, and what it thought."""

from __future__ import annotations

from typing import Any


def content_of(message: Any) -> str | None:
    """The text of a message; None if it has none.

    A thought in a field of its own is no content. Where there is nothing else, the thought did not end, or the server
    took the answer for a part of it: then it is given as a thought that was opened (text/thoughts.py), so that it
    is distinguished from an empty reply and never taken for an answer.
    """
    content = getattr(message, "content", None)
    if isinstance(content, list):  # parts, of which some are thoughts (Mistral)
        parts = [
            part if isinstance(part, dict) else vars(part)
            for part in content
            if hasattr(part, "__dict__") or isinstance(part, dict)
        ]
        content = "".join(str(part.get("text") or "") for part in parts if part.get("type") in ("text", "output_text"))
    if isinstance(content, str) and content.strip():
        return content
    if thought := _thought_of(message):
        return f"<think>{thought}"
    return content if isinstance(content, str) else None


def _thought_of(message: Any) -> str:
    """A thought in a field of its own; empty if there is none."""
    thoughts = (getattr(message, field, None) for field in ("reasoning_content", "reasoning"))
    return next((thought for thought in thoughts if isinstance(thought, str) and thought.strip()), "")
