"""What a cleaning step is: a function from text to text that says how much it changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Changed(NamedTuple):
    """What one step did; `count` is 0 if and only if the text is the very same."""

    text: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks a Changed for
    """Number of changes."""
    references: tuple[str, ...] = ()
    """Only of the step `references`: the entries taken out of the text, one each."""


Step = Callable[[str], Changed]
