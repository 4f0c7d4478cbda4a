"""What NeMo makes of a checkpoint of Megatron-Bridge: its model for comparisons, and a checkpoint of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.origin import read_origin
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.model_shape import read_hf_shape
from tests import forks
from tests.conversion.hf_models import save_model
from tests.conversion.hf_tokenizers import save_tokenizer


def loaded(checkpoint: str) -> Any:
    """In a fork: what NeMo makes of the context."""
    from nemo.lightning.io import load_context

    return load_context(Path(checkpoint)).model.config.rotary_base


def started(checkpoint: str) -> str:
    """In a fork: what a training of NeMo's says to a checkpoint in its folder."""
    from nemo_kcpt.errors import BadInput
    from nemo_kcpt.training.resume import KcptAutoResume

    try:
        KcptAutoResume(resume_from_directory=str(Path(checkpoint).parent))._find_trainer_ckpt_path()
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_from_hugging_face_by_the_bridge_to_nemo(tmp_path: Path) -> None:
    hf = save_tokenizer(save_model(tmp_path / "hf", vocab_size=331, rope_theta=12_345.0))
    bridge, nemo = tmp_path / "run/iter_0000001", tmp_path / "nemo"
    forks.command(["kcpt", "convert", "import", hf, "--to", bridge, "backend=bridge"], log=tmp_path / "log")
    forks.command(["kcpt", "convert", "switch", bridge, "--to", nemo], log=tmp_path / "log")
    assert read_shape(find_checkpoint(nemo)) == read_shape(bridge) == read_hf_shape(hf)
    assert read_origin(nemo) == read_origin(bridge)
    assert forks.call(loaded, str(nemo), log=tmp_path / "log") == 12_345
    for a, b in ((hf, bridge), (bridge, nemo)):
        words = ["kcpt", "convert", "verify", a, b, "vllm=false", f"out={tmp_path}/verify.json"]
        forks.command(words, log=tmp_path / "log")
        found = read_json(tmp_path / "verify.json")
        assert found["passed"] and "logits" not in found["not_checked"] and "weights" not in found["not_checked"]
        assert found["parts"]["logits"]["argmax_equal"] == found["parts"]["logits"]["positions"] > 20
    assert found["a"]["kind"] == "Megatron-Bridge checkpoint" and found["b"]["kind"] == "NeMo checkpoint"
    refused = forks.call(started, str(bridge), log=tmp_path / "log")
    assert "a checkpoint of Megatron-Bridge, where one of NeMo is needed; `kcpt convert switch" in refused
