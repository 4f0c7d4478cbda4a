"""What a server says when it does not answer, read: how long to wait, and whether it is the model that was asked."""

from __future__ import annotations

import email.utils
import re
import time
from typing import TYPE_CHECKING, Any

from nemo_kcpt.errors import KcptError
from nemo_kcpt.llm.request import TeacherFault

if TYPE_CHECKING:
    from nemo_kcpt.llm.journal import Journal

_DATED = r"[-@:](\d{3,8}|\d{4}-\d{2}(-\d{2})?)"
"""What a service adds to a model's name: gpt-4o is answered by gpt-4o-2024-08-06, gpt-4 by gpt-4-0613."""


def passing(name: str, message: str, wait: float = 0.0) -> TeacherFault:
    """A fault that may pass, after `wait` seconds if the server said so."""
    return TeacherFault(name, message, passes=True, wait=wait)


def retry_after(headers: Any) -> float:
    """Seconds that a server asks for, by Retry-After (seconds or a date) or retry-after-ms; 0 if it does not say."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        value = headers.get("retry-after", "").strip()
        if not value:
            return 0.0
        try:
            seconds = float(value)
        except ValueError:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0
    return max(0.0, seconds) if seconds < float("inf") else 0.0


SERVED = ("any", "exact")
"""Whether a server may answer under another name than the one that was asked for."""


def check_served_model(value: str) -> None:
    """
    Raises:
        ValueError: it is none of `SERVED`.
    """
    if value not in SERVED:
        raise ValueError(f"served_model: '{value}' is not one of {', '.join(SERVED)}")


def refuse_names(journal: Journal, model: str, served_model: str, key: str = "model") -> None:
    """Refuse a journal with replies under another name than the one asked for, where the user takes no other.

    Raises:
        KcptError: served_model=exact, and there are some; they are kept.
    """
    others = [(name, times) for asked, name, times in journal.served() if asked == model and not is_model(name, model)]
    if served_model == "exact" and others:
        name, times = others[0]
        raise KcptError(
            f"{model} was asked, {name} answered {times} times ({journal.path}). Give that name as {key}= if it is the "
            "one meant, or served_model=any to take whatever the server answers with: then the replies that are in the "
            "journal are used, and nothing is asked or paid for again"
        )


def is_model(answered: str, asked: str) -> bool:
    """Whether a model's name in an answer is the one asked for, or its dated release."""
    return answered == asked or re.fullmatch(re.escape(asked.removesuffix("-latest")) + _DATED, answered) is not None
