"""Models of all families on Megatron-Core; importing any module of them imports NeMo (12-16 s)."""

from nemo_kcpt.models import connectors as connectors  # NeMo finds them on the model's class, which a checkpoint names
