"""What the fork server imports in Megatron-Bridge's environment: nothing is computed, and nothing is overridden."""

import gc
import importlib

from nemo_kcpt.bridge import stand_ins

gc.disable()  # as in tests/nemo_loaded.py
stand_ins.put_in_place()
for name in ("megatron.bridge.training.pretrain", "nemo_kcpt.bridge.config", "nemo_kcpt.bridge.start"):
    importlib.import_module(name)
gc.freeze()
gc.enable()
