"""Conversations that a model has with itself: the prompts that it is asked to make up, and which are kept.

A chat model that is given its template up to where a user's turn begins makes up that turn, and then answers it:
prompts and answers as its instruction tuning had them (Xu et al. 2024, "Magpie: Alignment Data Synthesis from Scratch
by Prompting Aligned LLMs with Nothing", arXiv:2406.08464). A base model continues from its first token.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.tokenizer import Messages, PackTokenizer
from nemo_kcpt.text.language import language_of

_HERE = "\ue010"
"""Stands for the user's words while the template is rendered (a private-use character)."""
GRAM = 4
LEAST_DISTINCT = 0.5
"""Share of different runs of GRAM tokens below which a text repeats itself."""
BROKEN = "\ufffd"
_REFUSALS = re.compile(
    r"^\W*(i'?m sorry|i am sorry|sorry,|i apologi[sz]e|i can(no|')t\b|i'm (unable|not able)|i am (unable|not able)"
    r"|as an ai\b|申し訳|すみませんが|ごめんなさい|お答えできません|回答できません|AIとして)",
    re.IGNORECASE,
)
FAULTS = ("empty", "too_short", "unfinished", "broken", "repeated", "refused", "duplicate")
"""Why a prompt or an answer is left out."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Where a template puts a user's words: what is before them, and the text (no control token) that ends them."""

    header: str
    end: str


def user_turn(tokenizer: PackTokenizer, system: Messages) -> Turn:
    """The turn of the tokenizer's chat template, after `system` messages.

    Raises:
        BadInput: the template does not write the user's words as they are.
    """
    messages = [*system, {"role": "user", "content": _HERE}]
    header, separator, rest = tokenizer.render(messages, add_generation_prompt=True).partition(_HERE)
    if not separator:
        raise BadInput(f"{tokenizer.folder}: its chat template does not write a user's message as it is")
    following = tokenizer.template_ids(rest)
    stop = next((index for index, token in enumerate(following) if token in tokenizer.control_ids), len(following))
    return Turn(header=header, end=tokenizer.decode(following[:stop]).strip())


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A sampled text: its words, and whether they came to an end before the limit."""

    text: str
    tokens: Sequence[int]
    ended: bool


def spoken(tokenizer: PackTokenizer, token_ids: Sequence[int], finish_reason: str, end: str = "") -> Spoken:
    """What was sampled, up to the first control token, or to the text `end` that a template writes after it."""
    stop = next((index for index, token in enumerate(token_ids) if token in tokenizer.control_ids), None)
    kept = list(token_ids[:stop])
    text, separator, _ = tokenizer.decode(kept).partition(end) if end else (tokenizer.decode(kept), "", "")
    return Spoken(text=text.strip(), tokens=kept, ended=stop is not None or bool(separator) or finish_reason == "stop")


def _repeats(tokens: Sequence[int]) -> bool:
    grams = [tuple(tokens[start : start + GRAM]) for start in range(len(tokens) - GRAM + 1)]
    return len(grams) >= 2 * GRAM and len(set(grams)) < LEAST_DISTINCT * len(grams)


def fault(said: Spoken, least: int, *, must_end: bool = True, refusals: bool = False) -> str:
    """Why a text is left out, one of :data:`FAULTS`; empty where it is not.

    Args:
        said: the text.
        least: fewest tokens.
        must_end: whether it must have ended before the limit.
        refusals: whether an answer that only declines is left out.
    """
    if not said.text:
        return "empty"
    if must_end and not said.ended:
        return "unfinished"
    if len(said.tokens) < least:
        return "too_short"
    if BROKEN in said.text:
        return "broken"
    if _repeats(said.tokens):
        return "repeated"
    return "refused" if refusals and _REFUSALS.match(said.text) else ""


def same_form(text: str) -> str:
    """The form in which duplicates are compared: NFKC, lower case, letters and digits alone."""
    return re.sub(r"\W+", "", unicodedata.normalize("NFKC", text).casefold())


def spread(texts: Sequence[str], lengths: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """How different the texts are: for the manifest.

    Distinct-n is the share of different runs of n among all (Li et al. 2016, "A Diversity-Promoting Objective Function
    for Neural Conversation Models", §5); of words, or of characters where a language has no blanks.
    """
    words = [re.findall(r"[a-zA-Z']+|\d+|\w", text.casefold()) for text in texts]
    result: dict[str, Any] = {f"distinct_{n}": _distinct(words, n) for n in (1, 2, 3)}
    result |= {name: _quantiles(values) for name, values in lengths.items()}
    languages = Counter(language_of(text) or "unknown" for text in texts)
    return {**result, "languages": dict(sorted(languages.items()))}


def _distinct(texts: Iterable[Sequence[str]], n: int) -> float:
    grams = [tuple(words[start : start + n]) for words in texts for start in range(len(words) - n + 1)]
    return round(len(set(grams)) / max(1, len(grams)), 4)


def _quantiles(lengths: Sequence[int]) -> dict[str, float]:
    ordered = sorted(lengths) or [0]
    named = (("p10", 0.1), ("median", 0.5), ("p90", 0.9))
    quantiles = {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in named}
    return {"mean": round(sum(ordered) / len(ordered), 1), **quantiles}
