"""Requests and tokens per minute, as a server allows them: a bucket that fills evenly and is never in debt for long."""

from __future__ import annotations

import asyncio
import time


class PerMinute:
    """Lets a number of units pass in a minute, first come, first served."""

    def __init__(self, limit: float) -> None:
        """`limit` units a minute; 0: any number."""
        self.limit = limit
        self._free_at = time.monotonic()
        self._burst = 1.0
        """Seconds of the limit that may pass at once."""

    async def take(self, units: float = 1) -> None:
        """Wait until `units` may pass."""
        if not self.limit:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now - self._burst)
        wait = self._free_at - now
        self._free_at += 60 * units / self.limit
        if wait > 0:
            await asyncio.sleep(wait)

    def give_back(self, units: float) -> None:
        """Units that were taken but not used."""
        if self.limit:
            self._free_at -= 60 * units / self.limit
