"""What an export says whose logits differ from the checkpoint's by more than the tolerance."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemo_kcpt.checkpoints.adapters import Lora, write_lora
from nemo_kcpt.conversion import stage
from nemo_kcpt.errors import KcptError


@pytest.fixture
def differing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison itself, which takes both models, is a stub here: it finds a difference."""
    parity: Any = ModuleType("nemo_kcpt.conversion.verify.parity")
    parity.logit_parity = lambda *_: {"max_abs_diff": 1.2e-4, "argmax_equal": 198, "positions": 198}
    monkeypatch.setitem(sys.modules, parity.__name__, parity)
    monkeypatch.setattr(stage, "PackTokenizer", lambda _: None)
    monkeypatch.setattr(stage, "ids_of", lambda *_: [])


@pytest.mark.usefixtures("differing")
def test_whole_weights_are_to_be_reported_and_merged_adapters_looked_at(tmp_path: Path) -> None:
    config = stage.Config(checkpoint=tmp_path, out=tmp_path / "out", tokenizer=tmp_path)
    with pytest.raises(KcptError, match=r"1.20e-04 \(argmax equal at 198 of 198 .*not trusted; report it with"):
        stage._compare(config, tmp_path, tmp_path)
    lora = Lora(
        rank=2, alpha=2.0, dropout=0.0, targets=["linear_qkv"], embeddings=False, base="/base", base_weights="0"
    )
    write_lora(tmp_path, lora)
    with pytest.raises(KcptError, match=r"not trusted; merged adapters .* every argmax equal give tolerance=5e-4"):
        stage._compare(config, tmp_path, tmp_path)
