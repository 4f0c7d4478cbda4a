"""An export or import that dies at any of its writes leaves no target or a whole one, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.checkpoints import export, importing
from nemo_kcpt.conversion import stage
from tests.conversion import checkpoints
from tests.conversion.hf_models import save_model
from tests.conversion.hf_tokenizers import save_tokenizer
from tests.crash import crash_everywhere

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 100}


@pytest.fixture
def hf(tmp_path: Path) -> Path:
    folder = save_tokenizer(save_model(tmp_path / "hf", **SIZES))
    (folder / "LICENSE").write_text("a licence")
    return folder


def die_everywhere(place: Path, work: Callable[[], None], **more: Any) -> list[str]:
    """In `place`, which holds the target and what stands beside it while it is made."""

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a fork has none of its parent's threads, and would wait for them
    try:
        return crash_everywhere(place, work, **more)
    finally:
        torch.set_num_threads(threads)


def test_an_export(hf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No shard that is whole is written again."""
    checkpoint = checkpoints.imported(hf, tmp_path / "checkpoint")
    out, paid = tmp_path / "place/out", tmp_path / "paid"
    note_calls(monkeypatch, export, "write_safetensors", paid, lambda path, *_: path.name)
    config = stage.Config(checkpoint=checkpoint, out=out, check=False, max_shard_gb=2e-5)
    points = die_everywhere(tmp_path / "place", lambda: stage.run(config), paid=paid, under_way=1, least=50)
    assert sum(point.startswith("os.rename model-0") for point in points) > 2


def test_an_import(hf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No layer that is whole is written again: at most the tensors of one are read twice."""
    out, paid = tmp_path / "place/out", tmp_path / "paid"
    note_calls(monkeypatch, importing, "fuse", paid, lambda shape, part, *_: f"{part.name} {part.layer}")
    config = importing.Config(hf=hf, out=out)
    die_everywhere(tmp_path / "place", lambda: importing.run(config, False), paid=paid, under_way=8, least=25)


def note_calls(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, paid: Path, label: Callable[..., str]) -> None:
    whole = getattr(module, name)

    def noted(*given: Any, **more: Any) -> Any:
        with paid.open("a") as stream:
            stream.write(label(*given) + "\n")
        return whole(*given, **more)

    monkeypatch.setattr(module, name, noted)
