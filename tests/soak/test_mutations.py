"""Every fault of tests/mutations/ is noticed by the tests that are named with it."""

from __future__ import annotations

import pytest

from tests.mutations import run


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_every_fault_is_noticed() -> None:
    assert run.main([]) == 0
