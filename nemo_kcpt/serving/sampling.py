"""Sampled answers: how, and from which seed each."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_kcpt.files import sha256_text


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Temperature and nucleus (Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration"), and a seed."""

    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    @property
    def options(self) -> dict[str, float]:
        """By the names that engines have for them."""
        return {"temperature": self.temperature, "top_p": self.top_p}

    def seed_of(self, name: str) -> int:
        """The seed of one answer, whatever is sampled beside it: below 2³¹."""
        return int(sha256_text(f"{self.seed} {name}")[:8], 16) >> 1
