"""The judge's prompts: a system message and one user message, in Japanese and English (templates/*.j2).

The user message shows the passages first, the same for all questions about a paper so that a server's prefix cache
serves them, then question, reference and answer, and what is wanted last. Each of these stands between fences with a
nonce of its own (judge/fences.py). What is shown is made harmless and, where it is very long, shortened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from nemo_kcpt.files import sha256_text
from nemo_kcpt.llm.fences import fenced, harmless, nonce_for, shortened
from nemo_kcpt.llm.request import Messages

TEMPLATES = Path(__file__).resolve().parent / "templates"
LANGUAGES = ("ja", "en")
MOST: Mapping[str, int] = {"question": 4_000, "reference": 8_000, "answer": 8_000}
"""Characters that are shown of each; longer ones lose their middle."""
LONGEST_ID = 200


@dataclass(frozen=True)
class Case:
    """What is to be judged."""

    question: str
    reference: str
    answer: str
    passages: Sequence[tuple[str, str]]
    """(paper_id, text)."""
    whole: bool = False
    """The passages are the whole of one paper."""


def messages(case: Case, secret: str, language: str) -> Messages:
    """The request about a case.

    Args:
        case: as it was read; nothing in it is trusted.
        secret: the run's, from which the fences' nonces are made.
        language: one of `LANGUAGES`.
    """
    texts = {name.upper(): _harmless_excerpt(name, getattr(case, name)) for name in MOST}
    for number, (paper_id, text) in enumerate(case.passages, 1):
        texts[f"PASSAGE {number}"] = f"paper_id: {_id(paper_id)}\n{harmless(text)}"
    pieces = {name: fenced(name, text, nonce_for(secret, name, text, texts.values())) for name, text in texts.items()}
    user = _template("user", language).render(
        question=pieces.pop("QUESTION"),
        reference=pieces.pop("REFERENCE"),
        answer=pieces.pop("ANSWER"),
        passages=list(pieces.values()),
        whole=case.whole,
    )
    system = _template("system", language).render()
    return {"role": "system", "content": system.strip()}, {"role": "user", "content": user.strip()}


def reminder(language: str) -> str:
    """What is said when a reply could not be read."""
    return "\n\n" + _template("reminder", language).render().strip()


def prompts_sha256() -> str:
    """Identity of the templates, for fingerprints."""
    return sha256_text("\0".join(path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.j2"))))


def cut_names(case: Case) -> list[str]:
    """Which of question, reference and answer lose their middle."""
    return [name for name, most in MOST.items() if len(harmless(getattr(case, name))) > most]


def _harmless_excerpt(name: str, text: str) -> str:
    return shortened(harmless(text), MOST[name])[0]


def _id(paper_id: str) -> str:
    return shortened(" ".join(harmless(paper_id).split()), LONGEST_ID)[0].replace("\n", " ")


@cache
def _template(name: str, language: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((TEMPLATES / f"{name}.{language}.j2").read_text(encoding="utf-8"))
