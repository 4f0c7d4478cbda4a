"""What a start of NeMo costs its seconds for. Imported once, by the process that `tests/forks.py` forks."""

import gc

import nemo_run.cli.api  # noqa: F401
from nemo.collections import llm  # noqa: F401

import nemo_kcpt_recipes  # noqa: F401

gc.freeze()  # Megatron collects garbage at each save: all of NeMo's objects would be copied into every fork
