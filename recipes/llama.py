"""The recipes: one for each entry of the catalogue (`nemo_kcpt/planning/catalogue.py`).

What they take (`nemo_kcpt/planning/recipe_arguments.py`) and what follows from it (`planned.py` beside it) is the same
for Megatron-Bridge;
:func:`nemo_kcpt_recipes.common.training` puts it into NeMo's words. So another model or length is a line in the
catalogue.
"""

import inspect
from collections.abc import Callable
from typing import Any

import nemo_run as run
from nemo.collections import llm

from nemo_kcpt.logs import LOG
from nemo_kcpt.planning.catalogue import FINETUNE, RECIPES, Entry
from nemo_kcpt.planning.planned import plan_training
from nemo_kcpt.planning.recipe_arguments import meanings, signature, title
from nemo_kcpt_recipes import common


def recipe(entry: Entry) -> Callable[..., run.Partial]:
    """The function of a catalogue entry, registered under its name."""
    takes = signature(entry).replace(return_annotation=run.Partial)

    def function(*positional: Any, **named: Any) -> run.Partial:
        plan = plan_training(entry, **takes.bind(*positional, **named).arguments)
        if not plan.from_scratch:
            LOG.info("%s: %s", entry.name, plan.rope_reason)
        return common.training(plan)

    function.__name__ = function.__qualname__ = entry.name
    lines = [f"    {name}: {text}" for name, text in meanings(entry).items()]
    function.__doc__ = inspect.cleandoc("\n".join([title(entry), "", "Args:", *lines]))
    function.__annotations__ = {name: parameter.annotation for name, parameter in takes.parameters.items()}
    function.__signature__ = takes  # type: ignore[attr-defined]
    target = llm.finetune if entry.task == FINETUNE else llm.pretrain
    registered: Callable[..., run.Partial] = run.cli.factory(function, target=target, name=entry.name)
    return registered


EVERY = {name: recipe(entry) for name, entry in RECIPES.items()}
GPU_RECIPES = {name: function for name, function in EVERY.items() if RECIPES[name].on_gpus}
globals().update(EVERY)
