"""`lora=` of the recipes: what it changes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiddle as fdl
import pytest

from nemo_kcpt.errors import BadInput
from tests import forks
from tests.conversion.hf_models import save_model


@pytest.fixture
def recipe(packs: Path) -> Any:
    from nemo_kcpt_recipes import kcpt_tiny

    def made(**arguments: Any) -> Any:
        return kcpt_tiny(pack=str(packs / "concat"), dir="x", **arguments)

    return made


def test_adapters_are_the_models_transform_and_a_callback(recipe: Any) -> None:
    from nemo_kcpt.training.lora import KcptLora

    found = recipe(lora=8, lora_targets="linear_qkv+linear_fc2", lora_dropout=0.1, lora_embeddings=True)
    lora = fdl.build(found.model.model_transform)
    assert isinstance(lora, KcptLora) and (lora.dim, lora.alpha, lora.dropout) == (8, 16, 0.1)
    assert lora.target_modules == ["linear_qkv", "linear_fc2"] and lora.embeddings
    assert found.trainer.callbacks[-1] is found.model.model_transform
    assert recipe(lora=8, lora_alpha=4).model.model_transform.alpha == 4


def test_without_lora_nothing_changes(recipe: Any) -> None:
    found = recipe()
    assert "model_transform" not in fdl.ordered_arguments(found.model)
    assert not [one for one in found.trainer.callbacks if "Lora" in str(fdl.get_callable(one))]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"lora": -1}, "lora=-1"),
        ({"lora": 4, "lora_alpha": 0.0}, "lora_alpha=0.0"),
        ({"lora": 4, "lora_dropout": 1.0}, "lora_dropout=1.0"),
        ({"lora": 4, "lora_targets": "linear_qv"}, "'linear_qv' is not one of linear_qkv, .*did you mean 'linear_qkv'"),
        ({"lora_alpha": 8.0}, "lora_alpha: needs lora=RANK"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], said: str, recipe: Any) -> None:
    with pytest.raises(BadInput, match=said):
        recipe(**arguments)


@pytest.mark.slow
def test_adapters_too_resume_on_their_own_schedule(packs: Path, tmp_path: Path) -> None:
    hf = save_model(tmp_path / "hf", vocab_size=1024)
    forks.command(["kcpt", "convert", "import", hf, "--to", tmp_path / "base"], log=tmp_path / "import.log")
    folders = f"model='{hf}',pack='{packs}/anchored',dir='{tmp_path}/run',restore='{tmp_path}/base'"
    layout = "tensor_parallel=1,pipeline_parallel=1,context_parallel=1,micro_batch_size=2,recompute='none'"
    words = ["nemo", "llm", "pretrain", "--factory", f"kcpt_model({folders},lora=4,gpus=1,{layout})", "--yes"]
    words += ["data.global_batch_size=4", "log.ckpt.every_n_train_steps=2"]
    forks.command([*words, "trainer.max_steps=2"], log=tmp_path / "log")
    longer = forks.start(forks.console, [*words, "trainer.max_steps=4"], log=tmp_path / "longer.log")
    assert longer.wait() != 0
    assert "run/checkpoints/step=1-last: its learning rate follows another schedule: trainer.max_steps was 2, is 4" in (
        longer.output
    )
