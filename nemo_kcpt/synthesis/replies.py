"""What a teacher answered, as pairs. Strict JSON first; then what models write around it; then a library's repair.

A thought before the answer is left out (thoughts.py); of several JSON values the last one of the form asked for
counts, since what comes before it is a draft. Backslashes that were no escapes are repaired (escapes.py), and so are
full-width signs outside of strings (wide.py). A repaired reply counts only if the repair added and dropped no words:
one that was cut off, or whose strings would have to be guessed, is unreadable, and the teacher is asked again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.errors import quoted
from nemo_kcpt.llm.escapes import Backslashes, meant
from nemo_kcpt.llm.request import CUT_OFF, UnreadableReply, distinct
from nemo_kcpt.llm.wide import is_wide, narrowed
from nemo_kcpt.synthesis.prompts import MOST, Prompt, paper_name
from nemo_kcpt.text.thoughts import UNFINISHED, opening_of, rests, starts_with_thought

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_BRACKET = re.compile(r"[{\[]")
_LETTERS = re.compile(r"\w")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""C0 without tab and line feed, delete, C1, and half characters: no text has them."""
_EDGES = " \t\n\x85\u2028\u2029\u3000"
_KEY_LEFT = re.compile(r"(?:instruction|output|pairs)[\"”＂'」]?\s*[:：]\s*[\"“＂'「\[［]|\"\s*\+\s*\"")
"""A key of ours inside of a text, or texts that a + joins: the repair took structure for words."""
_CLOSING = "\"'”’＂`"
_DOTS = re.compile(r"\W*(?:…|\.{3}|〜|～)\W*")
MOST_STARTS = 200
"""Brackets that begin nothing after which no further value is looked for."""


@dataclass(frozen=True)
class Reading:
    """What a reply says, and what was repaired to read it."""

    pairs: list[dict[str, str]]
    repaired: tuple[str, ...] = ()
    """What the reply was repaired by: backslashes, full_width, json; empty for a reply in strict JSON."""


def read_reply(
    text: str, prompt: Prompt, paper: Mapping[str, Any], part: int = 0, parts: int = 1, finish_reason: str = ""
) -> Reading:
    """The pairs of a reply, each with an instruction that names its paper.

    Raises:
        UnreadableReply: names the fault.
    """
    reply, repaired = _loads(text, _fits_output if prompt.form == "output" else _fits_pairs, finish_reason in CUT_OFF)
    if prompt.form == "output":
        outputs = [reply.get("output")] if isinstance(reply, dict) and "output" in reply else _outputs(reply)
        pairs = [{"instruction": prompt.wording(paper, part, parts), "output": output} for output in outputs]
    else:
        pairs = [dict(pair) if isinstance(pair, dict) else {"": pair} for pair in _list(reply, "pairs")]
    if not pairs:
        raise UnreadableReply(f"the reply has no pairs; it begins with {quoted(text)}")
    if len(pairs) > MOST * prompt.pairs:
        raise UnreadableReply(f"the reply has {len(pairs)} pairs where {prompt.pairs} were wanted")
    read = [_pair(pair, number) for number, pair in enumerate(pairs, 1)]
    for pair in read:
        pair["instruction"] = _named(pair["instruction"], paper, prompt)
    return Reading(read, repaired)


def read_pairs(text: str, *, may_be_none: bool = False) -> list[dict[str, str]]:
    """The pairs of a reply that stands alone, as the template teacher's: strict, and nothing is changed.

    Raises:
        UnreadableReply: names the fault.
    """
    try:
        reply = json.loads(text, object_pairs_hook=distinct)
    except UnreadableReply:
        raise
    except ValueError as error:
        raise UnreadableReply(f"the reply is not JSON ({error}); it begins with {quoted(text)}") from None
    pairs = [
        _pair(pair if isinstance(pair, dict) else {}, number) for number, pair in enumerate(_list(reply, "pairs"), 1)
    ]
    if not pairs and not may_be_none:
        raise UnreadableReply(f"the reply has no pairs; it begins with {quoted(text)}")
    return pairs


def _outputs(reply: Any) -> list[Any]:
    return [pair.get("output") if isinstance(pair, dict) else pair for pair in _list(reply, "output")]


def _list(reply: Any, wanted: str) -> list[Any]:
    if isinstance(reply, list):
        return reply
    pairs = reply.get("pairs") if isinstance(reply, dict) else None
    if not isinstance(pairs, list):
        had = ", ".join(map(str, reply)) if isinstance(reply, dict) else type(reply).__name__
        raise UnreadableReply(f"the reply has no field '{wanted}' (found: {had or 'nothing'})")
    return pairs


def _pair(pair: Mapping[str, Any], number: int) -> dict[str, str]:
    read = {}
    for field in ("instruction", "output"):
        value = pair.get(field)
        if not isinstance(value, str) or not _LETTERS.search(value):
            copied = isinstance(value, str) and _DOTS.fullmatch(value)
            said = f"pair {number}: {field} is {quoted(value)}, a text was expected"
            raise UnreadableReply(said, "placeholder" if copied else "unreadable")
        value = value.replace("\r\n", "\n").strip(_EDGES)
        if match := _CONTROL.search(value):
            said = f"pair {number}: {field} has U+{ord(match[0]):04X}: {quoted(value[max(0, match.start() - 20) :])}"
            raise UnreadableReply(said, "control_character")
        if starts_with_thought(value):
            raise UnreadableReply(f"pair {number}: {field} begins with a thought: {quoted(value)}", UNFINISHED)
        read[field] = value.strip()
    return read


def _named(instruction: str, paper: Mapping[str, Any], prompt: Prompt) -> str:
    """The instruction, with the paper's title before it if it has one that is not in it."""
    title = str(paper.get("title") or "").strip()
    if not title or _bare(title) in _bare(instruction):
        return instruction
    name = paper_name(paper, prompt.language)
    return f"{name}について、{instruction}" if prompt.language == "ja" else f"About {name}: {instruction}"


def _bare(text: str) -> str:
    return re.sub(r"\W", "", text).casefold()


def _fits_output(value: Any) -> bool:
    if isinstance(value, dict):
        return "output" in value or isinstance(value.get("pairs"), list)
    return (
        isinstance(value, list) and bool(value) and all(isinstance(pair, dict) and "output" in pair for pair in value)
    )


def _fits_pairs(value: Any) -> bool:
    pairs = value.get("pairs") if isinstance(value, dict) else value
    return isinstance(pairs, list) and bool(pairs) and all(isinstance(pair, dict) for pair in pairs)


def _loads(text: str, fits: Callable[[Any], bool], cut: bool) -> tuple[Any, tuple[str, ...]]:
    """The value that a reply stands for, and what was repaired.

    Args:
        text: the reply.
        fits: whether a value has the form asked for.
        cut: the reply ran out of tokens: what is in the middle of it is a draft.
    """
    text, others = text.strip(), []
    for rest in (text, *rests(text)):  # the mark that ends a thought may be inside the answer's strings
        escaped = meant(rest.strip())
        for value in _strict(escaped.text):
            if fits(value):
                return _certain(escaped, value)
            others.append(value)
    rest = rests(text)[0]
    opening = opening_of(rest)
    escaped = meant((rest if opening is None else rest[:opening]).strip())
    if not cut:
        for value in _values(escaped.text):
            if fits(value):
                return _certain(escaped, value)
        for narrow in filter(None, [narrowed(escaped.text) if is_wide(escaped.text) else None]):
            for value in _strict(narrow):
                if fits(value):
                    return _certain(escaped, value, "full_width")
                others.append(value)
        rest = _fenced(escaped.text) or escaped.text
        if not _is_torn(rest) and (value := _repaired(_braced(rest) or rest)) is not None:
            return _certain(escaped, value, "json")
    if opening is not None:
        raise UnreadableReply(f"the thought does not end; the reply begins with {quoted(text)}", UNFINISHED)
    if others:
        return others[0], ()
    raise UnreadableReply(f"the reply is not JSON, or was cut off; it begins with {quoted(text)}")


def _certain(escaped: Backslashes, value: Any, *how: str) -> tuple[Any, tuple[str, ...]]:
    if escaped.doubtful:
        said = f"{escaped.doubtful[0]} may be JSON's escape or TeX's command; in JSON a backslash is written twice"
        raise UnreadableReply(said, "doubtful_escape")
    return value, (*(["backslashes"] if escaped.repaired else []), *how)


def _strict(text: str) -> Iterator[Any]:
    """The value, if the text is JSON; line ends and tabs may be in strings as they are."""
    try:
        value = json.loads(text, object_pairs_hook=distinct, parse_constant=_no_constant, strict=False)
    except UnreadableReply:
        raise
    except (ValueError, RecursionError):
        return
    yield value


def _values(text: str) -> Iterator[Any]:
    """The whole values in a text, the last one first; none that something follows which was to be one, and is torn."""
    decoder = json.JSONDecoder(object_pairs_hook=distinct, parse_constant=_no_constant, strict=False)
    values, position, missed = [], 0, 0
    while missed < MOST_STARTS and (start := _BRACKET.search(text, position)):
        try:
            value, position = decoder.raw_decode(text, start.start())
            values.append(value)
        except UnreadableReply:
            raise
        except (ValueError, RecursionError):
            position, missed = start.end(), missed + 1
            values = [] if start[0] == "{" else values
    if not (missed and _is_torn(text)):  # else what was found may lie inside of something that was cut off
        yield from reversed(values)
    yield from _strict(_fenced(text))


def _fenced(text: str) -> str:
    """What is in the last code fence, if no bracket follows it; else it is a draft."""
    fence = next(reversed(list(_FENCE.finditer(text))), None)
    return fence[1] if fence and not _BRACKET.search(text, fence.end()) else ""


def _is_torn(text: str) -> bool:
    """Whether brackets stay open, or close what was never opened."""
    return any(text.count(left) != text.count(right) for left, right in ("{}", "[]"))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _braced(text: str) -> str:
    """From the first bracket to the last one."""
    starts = [start for sign in "{[" if (start := text.find(sign)) >= 0]
    end = max(text.rfind("}"), text.rfind("]"))
    return text[min(starts) : end + 1] if starts and end > min(starts) else ""


def _repaired(text: str) -> Any:
    """What json_repair makes of the text, if every word of it was there and none is lost; None otherwise."""
    import json_repair

    if not text or _is_torn(text):
        return None  # cut off: the library would close what nobody finished
    try:
        value = json_repair.loads(text, skip_json_loads=True)
    except (ValueError, RecursionError, IndexError):
        return None
    if not isinstance(value, (dict, list)) or not value or (isinstance(value, list) and not _fits_pairs(value)):
        return None
    if any(_KEY_LEFT.search(said) for said in _strings(value)):
        return None
    if any(text.count(sign) != number for sign, number in _brackets(value).items()):
        return None
    if not all(_is_closed(said, text) for said in _strings(value)):
        return None
    kept = "".join(re.findall(r"\w", "".join(_strings(value))))
    there = "".join(re.findall(r"\w", re.sub(r"\\(?:u[0-9a-fA-F]{4}|.)", _unescaped, text, flags=re.DOTALL)))
    return value if kept == there else None


def _unescaped(match: re.Match[str]) -> str:
    sign = match[0][1:]
    return chr(int(sign[1:], 16)) if sign[0] == "u" and len(sign) == 5 else {"n": "\n", "t": "\t"}.get(sign, sign)


def _is_closed(said: str, text: str) -> bool:
    """Whether a text that ends with a quotation mark has another one behind it: else that is what closed it."""
    if said[-1:] not in tuple(_CLOSING):
        return True
    end = re.split(r"[\n\\]", said)[-1][-8:]
    return any(f"{end}{mark}" in re.sub(r"\\(.)", r"\1", text) for mark in _CLOSING)


def _brackets(value: Any) -> Counter[str]:
    """How often each bracket is in the JSON of a value, those in its texts included."""
    counts = Counter(dict.fromkeys("{}[]", 0))
    for text in _strings(value):
        counts.update(sign for sign in text if sign in "{}[]")
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            counts.update("{}" if isinstance(item, dict) else "[]")
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return counts


def _strings(value: Any) -> list[str]:
    """Keys and values in order, as they are in the text."""
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *_strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    if value is None or isinstance(value, bool):
        return [json.dumps(value)]
    return [str(value)]
