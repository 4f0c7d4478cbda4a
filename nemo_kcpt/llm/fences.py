"""Text of unknown origin in a prompt: between fences that nobody can forge, and without what a server would obey.

A fence carries a nonce: HMAC-SHA256 of the text it encloses, under a secret that is made for a run folder and kept in
its journal. So whoever wrote the text cannot know it, and yet a resumed run makes the same request of the same text.

What a tokenizer takes for the border of a message (`<|im_start|>`, `</s>`, `[INST]`, …) would be one even inside the
fence, since servers look for it in the whole prompt. It stays readable but is written with other brackets, as
‹|im_start|› and ⟦INST⟧. Characters that cannot be seen are named: [U+202E].
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from functools import lru_cache

from nemo_kcpt.files import canonical_json

NONCE = 16
"""Hex digits."""

_UNSEEN = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\ufdd0-\ufdef"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
)
"""Control, zero-width, direction and tag characters, fillers, and those that are none."""
_ONE_UNSEEN = re.compile(f"([{_UNSEEN}])\\1*")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")
"""One variation selector chooses the shape of a letter; several in a row can only hide a message."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_TAG = re.compile(r"[<＜﹤]([^\s<>＜＞﹤﹥]{1,64})[>＞﹥]")
_RUN = re.compile(r"[<＜﹤]{2,}|[>＞﹥]{2,}")
_ROLE = re.compile(r"[\[［](/?[A-Za-z_Ａ-Ｚ]{1,32})[\]］]")
_HEADING = re.compile(
    r"^([ \t]*)([#＃]{1,6})(?=[ \t]*(?:指示|応答|入力|命令|回答|出力|採点|判定|instruction|response|input|output|"
    r"answer|system|user|assistant|human|question|task))",
    re.IGNORECASE | re.MULTILINE,
)
_SPEAKER = re.compile(
    r"^([ \t]*)(human|assistant|system|user|bot|ai|developer|tool)(?=[ \t]*[:：])", re.I | re.MULTILINE
)


def visible(text: str) -> str:
    """The text with unseen characters named, line ends as LF and half characters (lone surrogates) as U+FFFD."""
    text = _LINE_END.sub("\n", _SURROGATE.sub("\ufffd", text))
    return _ONE_UNSEEN.sub(_named, _SELECTORS.sub(lambda match: f"[{len(match[0])} variation selectors]", text))


def _named(match: re.Match[str]) -> str:
    times = f"×{len(match[0])}" if len(match[0]) > 1 else ""
    return f"[U+{ord(match[1]):04X}{times}]"


@lru_cache(maxsize=64)
def harmless(text: str) -> str:
    """The text as it may be in a prompt: visible, and nothing in it is a chat template's or a fence's mark."""
    text = _TAG.sub(r"‹\1›", visible(text))
    text = _RUN.sub(lambda match: ("‹" if match[0][0] in "<＜﹤" else "›") * len(match[0]), text)
    text = _ROLE.sub(r"⟦\1⟧", text)
    text = _HEADING.sub(lambda match: match[1] + "♯" * len(match[2]), text)
    return _SPEAKER.sub(r"\1‹\2›", text)


def shortened(text: str, most: int) -> tuple[str, bool]:
    """The text without its middle if it is longer than `most` characters, with a mark there; and whether it was."""
    if len(text) <= most:
        return text, False
    head = most - most // 2
    return (
        f"{text[:head]}\n[… {len(text) - most:,} characters are left out here …]\n{text[len(text) - most // 2 :]}",
        True,
    )


def nonce_for(secret: str, name: str, text: str, everything: Iterable[str]) -> str:
    """The nonce of a text of a prompt, which occurs nowhere in `everything` that is shown."""
    number = 0
    while True:
        content = canonical_json([number, name, text]).encode("utf-8", "replace")
        nonce = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()[:NONCE]
        if not any(nonce in piece for piece in everything):
            return nonce
        number += 1


def fenced(name: str, text: str, nonce: str) -> str:
    """The text between its two fences, each a line of its own."""
    return f"<<<{name} {nonce}>>>\n{text}\n<<<END {name} {nonce}>>>"
