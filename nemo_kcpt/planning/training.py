"""A training as a recipe settles it, whatever trains it: NeMo's `nemo llm` or Megatron-Bridge."""

from __future__ import annotations

from dataclasses import dataclass

from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.adapters import AdapterPlan
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.rope import reason

SUMMARY = "training.json"
"""A file of a training that has ended: how many steps it has done."""


ADAMW = {
    "optimizer": "adam",
    "weight_decay": 0.1,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "adam_eps": 1e-8,
    "clip_grad": 1.0,
}
"""Fields of Megatron's OptimizerConfig. The figures of llm-jp's public runs (github.com/llm-jp/scripts,
pretrain/installers/v3-megatron-sakura/example/train.sh), and of Llama 2 (Touvron et al. 2023, §2.2)."""


@dataclass(frozen=True, kw_only=True)
class Lora:
    """Low-rank adapters, trained in place of the weights (Hu et al. 2021, LoRA, section 4.1)."""

    rank: int
    alpha: float
    """The adapters' output is multiplied by this over their rank."""
    targets: tuple[str, ...]
    """Linear layers that get them, by Megatron's names."""
    dropout: float = 0.0
    """Share of the adapters' inputs that is left out."""
    embeddings: bool = False
    """Whether the embedding and the output layer are trained whole."""

    @property
    def plan(self) -> AdapterPlan:
        """What the planner's arithmetic is to know of them."""
        return AdapterPlan(rank=self.rank, targets=self.targets, embeddings=self.embeddings)


@dataclass(frozen=True, kw_only=True)
class Distilling:
    """Learning from the distributions of a teacher (`kcpt distill`)."""

    folder: str
    kl_weight: float
    ce_weight: float
    temperature: float


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What is trained on what, how it is divided over ranks, and in how many steps."""

    recipe: str
    """Its name, which goes into checkpoints and the cards of exported models."""
    task: str
    """`pretrain`, or `finetune`: an instruction tuning, whose loss is on responses alone."""
    shape: ModelShape
    """The model as it comes, with the positions and the RoPE base that it has been trained with."""
    pack: str
    """Folder of the windows."""
    dir: str
    """Log, metrics and checkpoints go there."""
    restore: str | None
    """Checkpoint, or folder of another training, whose weights it starts from."""
    from_scratch: bool
    """Whether it may start from random weights."""
    seq_length: int
    """Tokens of a window."""
    rotary_base: float
    """RoPE base to train with."""
    layout: Layout
    """How ranks divide the model and the windows; also the windows of a micro-batch and what is recomputed."""
    nodes: int = 1
    """Machines."""
    processes: int = 1
    """Ranks on each: GPUs, or processes where there is none."""
    global_batch_size: int
    """Windows of a step, over all ranks."""
    steps: int
    """Optimizer steps."""
    learning_rate: float
    """Its highest; it falls to a tenth along a cosine."""
    checkpoint_every: int
    """Steps between checkpoints."""
    bf16: bool
    """Mixed precision with float32 main weights, and the distributed optimizer; float32 where there is no GPU."""
    validation: str | None = None
    """Another pack, on which the loss is measured before each checkpoint."""
    z_loss: float = 0.0
    """Coefficient of the z-loss."""
    rounded_products: bool = False
    """Whether a CPU may round the operands of matrix products to bfloat16."""
    lora: Lora | None = None
    distilling: Distilling | None = None

    @property
    def least_learning_rate(self) -> float:
        """Where the cosine ends."""
        return self.learning_rate / 10

    @property
    def warmup_steps(self) -> int:
        """Steps in which the learning rate rises, a twentieth of all."""
        return max(1, self.steps // 20)

    @property
    def rope_reason(self) -> str:
        """Why it is trained with this RoPE base, in a sentence."""
        return reason(self.shape, self.seq_length, self.rotary_base)
