"""A text without what is no letter or digit."""

from __future__ import annotations

import re

from nemo_kcpt.text.raised import nfkc


def bare(text: str) -> str:
    """The letters and digits of a text, for comparing."""
    return re.sub(r"[\W_]", "", nfkc(text)).casefold()
