"""What a start of NeMo costs its seconds for. Imported once, by the process that `tests/forks.py` forks."""

import gc
import importlib

gc.disable()  # else a sixth of the time
for name in ("nemo_run.cli.api", "nemo.collections.llm", "nemo_kcpt_recipes"):
    importlib.import_module(name)
gc.freeze()  # Megatron collects garbage at each save: all of NeMo's objects would be copied into every fork
gc.enable()
