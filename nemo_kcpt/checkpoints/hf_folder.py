"""The weights of a Hugging Face model folder: checked against its `config.json`, then read one tensor at a time."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.checkpoints.hf_weights import HfWeights, by, some
from nemo_kcpt.checkpoints.mapping import hf_sizes
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape, read_hf_shape


class HfFolder(HfWeights):
    """A checked Hugging Face model.

    Args:
        folder: with `config.json` and safetensors.

    Raises:
        BadInput: see :class:`HfWeights` and `read_hf_shape`; tensors missing, unknown, or of another size than
            `config.json` says.
    """

    def __init__(self, folder: Path) -> None:
        self.shape: ModelShape = read_hf_shape(folder)
        super().__init__(folder)
        self._compare(self.sizes)

    def _compare(self, sizes: dict[str, tuple[int, ...]]) -> None:
        config = self.folder / "config.json"
        own = sum(len(weight.sources) * weight.copies(self.shape) for weight in self.shape.family.layer)
        # Before they are listed: the numbers may be anything.
        if self.shape.num_layers * (self.shape.num_moe_experts or 1) > len(sizes):
            raise BadInput(
                f"{self.folder}: {len(sizes)} tensors for {self.shape.num_layers} layers, of which {config} makes each "
                f"{own}; one of the two is of another model, or damaged"
            )
        expected = hf_sizes(self.shape)
        missing = [name for name in expected if name not in sizes]
        if missing == ["lm_head.weight"]:
            raise BadInput(
                f"{self.folder}: no lm_head.weight, but {config} says tie_word_embeddings=false; set it to true if the "
                "embedding serves as output layer too, else the weights are incomplete: download them again"
            )
        if missing:
            raise BadInput(f"{self.folder}: {some(missing)} missing, of the tensors that {config} asks for")
        extra = [name for name in sizes if name not in expected]
        if self.shape.tied and "lm_head.weight" in extra:
            extra.remove("lm_head.weight")
            self._check_tied(config)
        if extra:
            raise BadInput(
                f"{self.folder}: {some(extra)} in it, which a {self.shape.family.title} as in {config} does not have; "
                "it is of another architecture, or holds adapters that must be merged first"
            )
        for name, size in expected.items():
            if sizes[name] != size:
                raise BadInput(
                    f"{self.places[name]}: {name} is {by(sizes[name])}, {config} makes it {by(size)}; "
                    "one of the two files is of another model"
                )

    def _check_tied(self, config: Path) -> None:
        import torch

        if not torch.equal(self.read("lm_head.weight"), self.read("model.embed_tokens.weight")):
            raise BadInput(
                f"{config}: tie_word_embeddings=true, but lm_head.weight differs from model.embed_tokens.weight; "
                "set it to false to keep both, or delete lm_head.weight"
            )
