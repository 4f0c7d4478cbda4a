"""The faults of this folder can be put in: each text that one replaces appears once in its file."""

from __future__ import annotations

from pathlib import Path

from tests.mutations.run import mutations


def test_each_text_appears_once(root: Path) -> None:
    wrong = {
        mutation.name: (root / mutation.file).read_text(encoding="utf-8").count(mutation.old)
        for _, mutation in mutations()
        if (root / mutation.file).read_text(encoding="utf-8").count(mutation.old) != 1
    }
    assert not wrong
