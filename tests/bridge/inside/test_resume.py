"""A training that is killed and resumed is, to the last bit, the one that was not."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.bridge.runs import plan, train
from tests.tiny_pack import make_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pack"))


class Undisturbed:
    """Trainings that nothing interrupted, each once."""

    def __init__(self, folder: Path, pack: Path) -> None:
        self.folder, self.pack = folder, pack
        self._done: dict[str, Any] = {}

    def __call__(self, ranks: int = 1, **options: Any) -> Any:
        key = f"{sorted(options.items())}"
        if key not in self._done:
            own = self.folder / str(len(self._done))
            self._done[key] = forks.call(train, plan(own, self.pack, **options), log=own / "log", ranks=ranks)
        return self._done[key]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, pack: Path) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"), pack)


@pytest.mark.parametrize("options", [{}, {"distributed": True}, {"distributed": True, "dp": 2}], ids=str)
def test_killed_and_resumed(tmp_path: Path, pack: Path, undisturbed: Undisturbed, options: dict[str, Any]) -> None:
    ranks = options.get("dp", 1)
    asked = plan(tmp_path / "run", pack, **options)
    died = forks.start(train, asked, die_at=random.choice([1, 2, 4, 5]), log=tmp_path / "log", ranks=ranks)
    assert died.wait() != 0
    resumed = forks.call(train, asked, log=tmp_path / "again.log", ranks=ranks)
    assert resumed == undisturbed(ranks, **options)


def test_with_more_ranks_than_before(tmp_path: Path, pack: Path, undisturbed: Undisturbed) -> None:
    """What a rank reads and holds of the optimizer changes; the stream of windows does not."""
    alone = plan(tmp_path / "run", pack, distributed=True)
    died = forks.start(train, alone, die_at=4, log=tmp_path / "log")
    assert died.wait() != 0
    two = replace(alone, layout=replace(alone.layout, data_parallel=2), processes=2)
    losses, _ = forks.call(train, two, log=tmp_path / "again.log", ranks=2)
    assert losses == pytest.approx(undisturbed(distributed=True)[0], rel=1e-6)


def test_a_half_written_checkpoint_is_not_taken(tmp_path: Path, pack: Path, undisturbed: Undisturbed) -> None:
    asked = plan(tmp_path / "run", pack, every=2)
    died = forks.start(train, asked, die_at=5, log=tmp_path / "log")
    assert died.wait() != 0
    (tmp_path / "run/checkpoints/iter_0000004/kcpt_data.json").unlink()
    assert forks.call(train, asked, log=tmp_path / "again.log")[0] == undisturbed()[0]


def test_the_other_sharding_of_the_optimizer(tmp_path: Path, pack: Path, undisturbed: Undisturbed) -> None:
    """The Bridge's default, which went on with AdamW's step at 0 and no word: the loss differed in the third digit."""
    asked = plan(tmp_path / "run", pack, distributed=True)
    other = ["checkpoint.dist_ckpt_optim_fully_reshardable=false"]
    died = forks.start(train, asked, other, die_at=4, log=tmp_path / "log")
    assert died.wait() != 0
    assert forks.call(train, asked, other, log=tmp_path / "again.log") == undisturbed(distributed=True)
