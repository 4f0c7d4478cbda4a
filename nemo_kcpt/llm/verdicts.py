"""What a judge replied, as a verdict: by JSON alone, strictly.

No verdict is looked for in prose or in a thought: a reply may quote the candidate's answer, and whatever is in that
answer must not become the verdict. Nothing is repaired but backslashes inside of a reason (TeX's,
synthesis/escapes.py), which cannot move its borders. What is anything but one object of the form asked for is
unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.llm.escapes import meant
from nemo_kcpt.llm.fences import shortened, visible
from nemo_kcpt.llm.request import UnreadableReply, distinct
from nemo_kcpt.text.thoughts import UNFINISHED, rests, starts_with_thought

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "verdict": {"type": "integer", "enum": [0, 1]}},
    "required": ["reason", "verdict"],
    "additionalProperties": False,
}
"""Schema of the reply, in the form that OpenAI's structured output takes (strict). The reason is thought before the
verdict is given, so it comes first."""
LONGEST_REASON = 2000
"""Characters of a reason that are kept."""
SHOWN = 60

PLACEHOLDERS = ("…", "...", "判定の理由", "the reason for the grade")
"""What is in the prompts in place of a reason."""
_FENCES = ("```", "```json")


@dataclass(frozen=True)
class Verdict:
    """A readable reply."""

    judge: int
    """1: the answer is factual; 0: it is not."""
    reason: str


def read_verdict(reply: str) -> Verdict:
    """The verdict of a reply: one JSON object {"reason": text, "verdict": 0 or 1}, after the thought if there is any,
    bare or in one ```json fence. The text "0" or "1" is taken for the number; nothing else is.

    Raises:
        UnreadableReply: it has any other form; names what is wrong.
    """
    value = read_object(reply)
    if list(value) != ["reason", "verdict"] and list(value) != ["verdict", "reason"]:
        raise UnreadableReply(f"the keys are {_excerpt(list(value))}, expected reason and verdict alone")
    verdict, reason = value["verdict"], value["reason"]
    if not (type(verdict) is int and verdict in (0, 1)) and verdict not in ("0", "1"):
        raise UnreadableReply(f"verdict is {_excerpt(verdict)}, expected 0 or 1")
    if not isinstance(reason, str) or not reason.strip():
        raise UnreadableReply(f"reason is {_excerpt(reason)}, expected a text")
    if is_placeholder(reason):
        raise UnreadableReply(f"reason is {_excerpt(reason)}, copied from the prompt", "placeholder")
    return Verdict(int(verdict), shortened(visible(reason.strip()), LONGEST_REASON)[0])


def read_object(reply: str) -> Mapping[str, Any]:
    """The one JSON object of a reply, after the thought if there is any, bare or in one ```json fence; no key twice.

    Where the thought ends several times, the object is after the last mark, but for marks in the object's own
    texts.

    Raises:
        UnreadableReply: it has any other form; names what is wrong.
    """
    faults: list[UnreadableReply] = []
    for rest in (reply, *rests(reply)):
        try:
            return _object(rest.strip())
        except UnreadableReply as error:
            faults.append(error)
    if starts_with_thought(rests(reply)[0]):
        raise UnreadableReply(f"the thought does not end; the reply begins with {_excerpt(reply)}", UNFINISHED)
    raise faults[1]  # of what is after the last mark


def is_placeholder(reason: str) -> bool:
    """Whether a reason is what stood in its place in the prompt."""
    return reason.strip().rstrip("。").casefold() in PLACEHOLDERS


def _object(text: str) -> Mapping[str, Any]:
    first, _, rest = text.partition("\n")
    if first.rstrip() in _FENCES and rest.endswith("```"):
        text = rest[:-3].strip()
    if not text:
        raise UnreadableReply("the reply is empty")
    try:
        value = json.loads(meant(text).text, object_pairs_hook=distinct, parse_constant=_no_constant)
    except UnreadableReply:
        raise
    except (ValueError, RecursionError) as error:
        raise UnreadableReply(
            f"not one JSON object ({_excerpt(str(error))}); it begins with {_excerpt(text)}"
        ) from None
    if not isinstance(value, dict):
        raise UnreadableReply(f"a {type(value).__name__}, expected one JSON object; it begins with {_excerpt(text)}")
    return value


def _no_constant(name: str) -> None:
    raise UnreadableReply(f"{name} is not JSON")


def _excerpt(value: Any) -> str:
    text = visible(ascii(value) if not isinstance(value, str) else repr(value))
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
