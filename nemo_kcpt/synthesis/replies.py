"""What a teacher answered, as pairs. Strict JSON first; then what models write around it; then a library's repair.

A repaired reply counts only if the repair added and dropped no words: one that was cut off, or whose strings would have
to be guessed, is unreadable, and the teacher is asked again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from nemo_kcpt.synthesis.prompts import MOST, Prompt, paper_name

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_LETTERS = re.compile(r"\w")


class UnreadableReply(ValueError):
    """The reply is not of the form that was asked for."""


def read_reply(
    text: str, prompt: Prompt, paper: Mapping[str, Any], part: int = 0, parts: int = 1
) -> list[dict[str, str]]:
    """The pairs of a reply, each with an instruction that names its paper.

    Raises:
        UnreadableReply: names the fault.
    """
    reply = _loads(text)
    if prompt.form == "output":
        outputs = [reply.get("output")] if isinstance(reply, dict) and "output" in reply else _outputs(reply)
        pairs = [{"instruction": prompt.wording(paper, part, parts), "output": output} for output in outputs]
    else:
        pairs = [dict(pair) if isinstance(pair, dict) else {"": pair} for pair in _list(reply, "pairs")]
    if not pairs:
        raise UnreadableReply(f"the reply has no pairs; it begins with {_shown(text)}")
    if len(pairs) > MOST * prompt.pairs:
        raise UnreadableReply(f"the reply has {len(pairs)} pairs where {prompt.pairs} were wanted")
    read = [_pair(pair, place) for place, pair in enumerate(pairs, 1)]
    for pair in read:
        pair["instruction"] = _named(pair["instruction"], paper, prompt)
    return read


def read_pairs(text: str, *, may_be_none: bool = False) -> list[dict[str, str]]:
    """The pairs of a reply that stands alone, as the template teacher's: strict, and nothing is changed.

    Raises:
        UnreadableReply: names the fault.
    """
    try:
        reply = json.loads(text)
    except ValueError as error:
        raise UnreadableReply(f"the reply is not JSON ({error}); it begins with {_shown(text)}") from None
    pairs = [
        _pair(pair if isinstance(pair, dict) else {}, place) for place, pair in enumerate(_list(reply, "pairs"), 1)
    ]
    if not pairs and not may_be_none:
        raise UnreadableReply(f"the reply has no pairs; it begins with {_shown(text)}")
    return pairs


def _outputs(reply: Any) -> list[Any]:
    return [pair.get("output") if isinstance(pair, dict) else pair for pair in _list(reply, "output")]


def _list(reply: Any, wanted: str) -> list[Any]:
    if isinstance(reply, list):
        return reply
    found = reply.get("pairs") if isinstance(reply, dict) else None
    if not isinstance(found, list):
        had = ", ".join(map(str, reply)) if isinstance(reply, dict) else type(reply).__name__
        raise UnreadableReply(f"the reply has no field '{wanted}' (found: {had or 'nothing'})")
    return found


def _pair(pair: Mapping[str, Any], place: int) -> dict[str, str]:
    read = {}
    for field in ("instruction", "output"):
        value = pair.get(field)
        if not isinstance(value, str) or not _LETTERS.search(value):
            raise UnreadableReply(f"pair {place}: {field} is {_shown(value)}, a text was expected")
        read[field] = value.strip()
    return read


def _named(instruction: str, paper: Mapping[str, Any], prompt: Prompt) -> str:
    """The instruction, with the paper's title before it if it has one and does not stand there."""
    title = str(paper.get("title") or "").strip()
    if not title or _bare(title) in _bare(instruction):
        return instruction
    name = paper_name(paper, prompt.language)
    return f"{name}について、{instruction}" if prompt.language == "ja" else f"About {name}: {instruction}"


def _bare(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


def _loads(text: str) -> Any:
    rest = _THOUGHT.sub("", text).strip()
    for candidate in (rest, *(match[1] for match in _FENCE.finditer(rest)), _braced(rest)):
        try:
            return json.loads(candidate, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            continue
    repaired = _repaired(_braced(rest) or rest)
    if repaired is None:
        raise UnreadableReply(f"the reply is not JSON, or was cut off; it begins with {_shown(text)}")
    return repaired


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _braced(text: str) -> str:
    """From the first bracket to the last one."""
    starts = [place for sign in "{[" if (place := text.find(sign)) >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    return text[min(starts) : end + 1] if starts and end > min(starts) else ""


def _repaired(text: str) -> Any:
    """What json_repair makes of the text, if every word of it was there and none is lost; None otherwise."""
    import json_repair

    if not text or any(text.count(left) != text.count(right) for left, right in ("{}", "[]")):
        return None  # cut off: the library would close what nobody finished
    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError, IndexError):
        return None
    if not isinstance(value, (dict, list)) or not value:
        return None
    kept = "".join(re.findall(r"\w", "".join(_strings(value))))
    there = "".join(re.findall(r"\w", re.sub(r"\\(?:u[0-9a-fA-F]{4}|.)", _unescaped, text)))
    return value if kept == there else None


def _unescaped(match: re.Match[str]) -> str:
    sign = match[0][1:]
    return chr(int(sign[1:], 16)) if sign[0] == "u" and len(sign) == 5 else {"n": "\n", "t": "\t"}.get(sign, sign)


def _strings(value: Any) -> list[str]:
    """Keys and values in order, as they stand in the text."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *_strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    if value is None or isinstance(value, bool):
        return [json.dumps(value)]
    return [str(value)]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
