"""Pack stores as training data: windows that either backend reads, and NeMo's data modules over them."""

from importlib.util import find_spec

if find_spec("nemo") is not None:  # in Megatron-Bridge's environment it is not
    from nemo_kcpt.data.packed import InstructionDataModule, PackedPretrainingDataModule

    __all__ = ["InstructionDataModule", "PackedPretrainingDataModule"]
