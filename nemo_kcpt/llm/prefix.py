"""How much of the prompts a server's prefix cache answers: blocks of 16 tokens that an earlier prompt began with.

vLLM hashes a prompt in full blocks, each with all that precedes it (Kwon et al. 2023, "Efficient Memory Management
for Large Language Model Serving with PagedAttention", and vLLM's automatic prefix caching).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

BLOCK = 16


class Shared(NamedTuple):
    """Tokens of a paper's prompts."""

    tokens: int
    """In all prompts."""
    cached: int
    """In full blocks that an earlier prompt began with: read from the cache instead of computed."""

    @property
    def share(self) -> float:
        """Cached tokens of all, from 0 to 1."""
        return self.cached / self.tokens if self.tokens else 0.0


def shared_tokens(prompts: Iterable[Sequence[int]], block: int = BLOCK) -> Shared:
    """Count what a cache that forgets nothing finds, the prompts asked one after another.

    Args:
        prompts: token ids of each prompt, in the order of the calls.
        block: tokens in a block.
    """
    seen: set[int] = set()
    tokens = cached = 0
    for prompt in prompts:
        tokens += len(prompt)
        chain, hit = 0, True
        for start in range(0, len(prompt) - block + 1, block):
            chain = hash((chain, *prompt[start : start + block]))
            hit = hit and chain in seen
            cached += block * hit
            seen.add(chain)
    return Shared(tokens, cached)
