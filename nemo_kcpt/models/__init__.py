"""Models of all families on Megatron-Core; where NeMo is, importing any module of them imports it (12-16 s)."""

from importlib.util import find_spec

if find_spec("nemo") is not None:  # in Megatron-Bridge's environment it is not
    # NeMo finds them on the model's class, which a checkpoint names.
    from nemo_kcpt.models import connectors as connectors
