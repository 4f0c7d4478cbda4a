"""A pack that dies at any of its writes ends like one that did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.packing import stage as pack_stage
from tests.crash import crash_everywhere
from tests.packing.test_pack import folders  # noqa: F401 - a fixture


@pytest.mark.usefixtures("folders")
def test_a_pack(folders: dict[str, Path], tokenizer_folder: Path, tmp_path: Path) -> None:  # noqa: F811
    """Anchored: its tokens wait in a spool, then four files are published."""
    config = pack_stage.Config(
        mode="anchored", seq_length=64, tokenizer=tokenizer_folder, **{**folders, "out": tmp_path / "out"}
    )
    points = crash_everywhere(tmp_path / "out", lambda: pack_stage.run(config), least=20)
    assert {point.split(" ", 1)[1] for point in points} >= {"tokens.bin", "tokens.idx", "windows.parquet"}
