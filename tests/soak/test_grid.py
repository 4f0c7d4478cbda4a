"""The tiny experiment, killed ten times: the test of tests/grid/test_grid_run.py, with an hour to do it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.grid import test_grid_run


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_ten_times_it_ends_with_the_same_report(tmp_path: Path) -> None:
    test_grid_run.test_killed_ten_times_it_ends_with_the_same_report(tmp_path)
