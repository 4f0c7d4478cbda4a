"""The plan of a training from a recipe's name and arguments, without NeMo or the Bridge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.catalogue import FINETUNE, RECIPES
from nemo_kcpt.planning.planned import plan_training
from nemo_kcpt.planning.recipe_arguments import meanings, signature
from tests.tiny_pack import make_pack

NOTHING_HEAVY = """
import sys
from nemo_kcpt.planning.planned import plan_training
plan_training("kcpt_sft_tiny", pack=sys.argv[1])
print([name for name in ("torch", "nemo", "nemo_run", "megatron", "lightning", "transformers") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pack"))


def plan(recipe: str, pack: Path, **given: Any) -> Any:
    return plan_training(recipe, pack=str(pack), **given)


def test_it_imports_no_backend(pack: Path) -> None:
    done = subprocess.run([sys.executable, "-c", NOTHING_HEAVY, str(pack)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("entry", RECIPES.values(), ids=lambda entry: entry.name)
def test_every_argument_says_what_it_is(entry: Any) -> None:
    assert [*meanings(entry)] == [*signature(entry).parameters]
    assert ("steps_like" in signature(entry).parameters) == (entry.on_gpus or entry.task != FINETUNE)


def test_ranks_share_the_windows_of_a_step(pack: Path) -> None:
    one, four = plan("kcpt_tiny", pack), plan("kcpt_tiny", pack, processes=4, tensor_parallel=2)
    assert (one.global_batch_size, one.steps) == (four.global_batch_size, four.steps)
    assert one.layout.micro_batch_size == one.global_batch_size
    assert (four.layout.data_parallel, four.layout.micro_batch_size) == (2, four.global_batch_size // 2)
    assert one.warmup_steps == max(1, one.steps // 20) and one.least_learning_rate == pytest.approx(3e-4)
    assert one.shape.positions == one.seq_length and one.rotary_base == 10_000
    assert "stays the model's own" in one.rope_reason


def test_tuning_takes_its_windows_one_by_one_where_stages_share_the_layers(pack: Path) -> None:
    assert plan("kcpt_sft_tiny", pack, processes=2, pipeline_parallel=2).layout.micro_batch_size == 1
    assert plan("kcpt_tiny", pack, processes=2, pipeline_parallel=2).layout.micro_batch_size > 1


@pytest.mark.parametrize(
    ("recipe", "given", "said"),
    [
        ("kcpt_tinny", {}, "no recipe kcpt_tinny; did you mean 'kcpt_tiny'"),
        ("kcpt_tiny", {"epoch": 1}, "kcpt_tiny has no argument epoch; did you mean 'epochs'"),
        ("kcpt_demo", {"lora": 4}, "kcpt_demo has no argument lora"),
        ("kcpt_model", {}, "kcpt_model: missing a required argument: 'model'; give model=FOLDER"),
        ("kcpt_llmjp3_13b_4k", {}, "is for 4096; take the recipe of that length"),
    ],
)
def test_what_cannot_be_is_said(recipe: str, given: dict[str, Any], said: str, pack: Path) -> None:
    with pytest.raises(BadInput, match=said):
        plan(recipe, pack, **given)
