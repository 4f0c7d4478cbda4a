"""nemo_kcpt: teach an LLM a body of documents with NeMo 2 and Megatron-Core.

Importing this package imports nothing else and changes nothing; see `docs/` and `kcpt --help`.
"""

__version__ = "0.1.0"
