"""Train a recipe with Megatron-Bridge: the program that `kcpt train RECIPE backend=bridge` starts on each rank.

    .venv-bridge/bin/python -m nemo_kcpt.bridge.train RECIPE --arguments '{"pack": "…"}' [optimizer.lr=1e-4 …]

`--arguments` are the recipe's own, as JSON; the words after them override fields of the Bridge's ConfigContainer, in
Hydra's syntax. Several ranks are started by `python -m torch.distributed.run`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.bridge import stand_ins
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.planning.training import TrainingPlan
from nemo_kcpt.threads import settle, wait_briefly


def train(plan: TrainingPlan, overrides: Sequence[str] = (), callbacks: Sequence[Any] = ()) -> None:
    """Train, or continue from the newest checkpoint in the plan's folder; returns when the last step is done.

    Args:
        plan: of a recipe.
        overrides: of fields of the Bridge's ConfigContainer, in Hydra's syntax.
        callbacks: more of them, of the Bridge's kind.

    Raises:
        BadInput: weights that nobody gave, of another model or of another layout; a checkpoint of another pack; an
            override that is none.
    """
    stand_ins.put_in_place()
    from nemo_kcpt import cpu_backend
    from nemo_kcpt.cpu_backend.bridge import OVERRIDES

    if cpu_backend.activate(OVERRIDES):
        settle()
    from megatron.bridge.training.pretrain import pretrain
    from megatron.bridge.utils.instantiate_utils import register_allowed_target_prefix

    from nemo_kcpt.bridge import checkpoints, start
    from nemo_kcpt.bridge.config import container
    from nemo_kcpt.bridge.cpu_speed import CpuSpeed
    from nemo_kcpt.bridge.forward import forward_step
    from nemo_kcpt.bridge.metrics import Metrics

    register_allowed_target_prefix("nemo_kcpt.bridge")
    start.compile_nothing()
    start.own_rendezvous()
    config = container(plan, start.weights(plan))
    start.override(config, overrides)
    resumed = checkpoints.newest(Path(config.checkpoint.save))
    config.checkpoint.load = None if resumed is None else str(resumed)
    start.check(config, plan)
    metrics = Metrics(Path(plan.dir), plan.lora)
    Path(plan.dir).mkdir(parents=True, exist_ok=True)
    own = [CpuSpeed(plan.rounded_products), metrics, checkpoints.History(plan.recipe)]
    pretrain(config, forward_step, callbacks=[*own, *callbacks])
    done = checkpoints.newest(Path(config.checkpoint.save))
    metrics.finish(0 if done is None else int(done.name.removeprefix("iter_")), config.train.train_iters)


def main(words: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 the input cannot be used."""
    options = argparse.ArgumentParser(prog="python -m nemo_kcpt.bridge.train", description=__doc__)
    options.add_argument("recipe")
    options.add_argument("--arguments", type=json.loads, default={}, help="the recipe's arguments, as JSON")
    options.add_argument("overrides", nargs="*", help="fields of the ConfigContainer, as optimizer.lr=1e-4")
    asked = options.parse_args(words)
    wait_briefly()
    logging.basicConfig(level=logging.WARNING)
    from nemo_kcpt.planning.planned import plan_training

    try:
        train(plan_training(asked.recipe, **asked.arguments), asked.overrides)
    except BadInput as error:
        return _failed(error, 2)
    except KcptError as error:
        return _failed(error, 1)
    return 0


def _failed(error: Exception, code: int) -> int:
    if os.environ.get("RANK", "0") == "0":
        print(f"kcpt train: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
