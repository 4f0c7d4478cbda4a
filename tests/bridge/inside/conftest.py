"""Tests of code that runs in Megatron-Bridge's environment: `tests/bridge/test_inside.py` starts them there."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("megatron") and find_spec("nemo") is None else ["test_*.py"]
