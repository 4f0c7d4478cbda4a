from __future__ import annotations

from collections.abc import Iterator

import pytest

from nemo_kcpt.stats import agreement, statistics


@pytest.fixture(scope="module")
def fewer_resamples() -> Iterator[None]:
    """Intervals of a few hundred resamples: what is tested is what becomes of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "RESAMPLES", 299)
        patch.setattr(agreement, "RESAMPLES", 99)
        yield
