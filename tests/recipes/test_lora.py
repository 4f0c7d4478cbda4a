"""`lora=` of the recipes: what it changes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiddle as fdl
import pytest

from nemo_kcpt.errors import BadInput


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
        ({"lora_alpha": 8.0}, "lora_alpha: goes with lora=RANK"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], said: str, recipe: Any) -> None:
    with pytest.raises(BadInput, match=said):
        recipe(**arguments)
