"""The wordings that there are, by language."""

from __future__ import annotations

from nemo_kcpt.fiction.wording import Wording
from nemo_kcpt.fiction.wording_en import EN
from nemo_kcpt.fiction.wording_ja import JA


def wording_for(language: str) -> Wording:
    """The wording of `language` (ja or en)."""
    known = {"ja": JA, "en": EN}
    if language not in known:
        raise ValueError(f"no wording for language {language!r}: expected ja or en")
    return known[language]
