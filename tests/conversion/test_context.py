"""The context of an import, which is written without NeMo, against the one that NeMo writes.

`.venv/bin/python tests/conversion/test_context.py` makes `nemo_kcpt/checkpoints/context_files/` again.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nemo_kcpt.checkpoints.context import IO, MODEL, write_context
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import RopeScaling, shape_from_hf
from tests import forks
from tests.conversion.hf_models import KINDS, SIZES

SCALING = RopeScaling(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_positions=8192)
EVERY_OPTION = replace(KNOWN["llm-jp-4-32b-a3b"], rope_scaling=SCALING, sliding_window=16, query_scalar=18.0)
SHAPES = {name: shape_from_hf({**SIZES, **config}) for name, config in KINDS.items()}
SHAPES |= KNOWN | {"every option": EVERY_OPTION}
TYPES = (torch.float32, torch.bfloat16, torch.float16)
PAIRS = [(name, TYPES[number % 3]) for number, name in enumerate(SHAPES)]
PAIRS += [(name, kind) for name in ("every option", "llm-jp-3-13b") for kind in TYPES if (name, kind) not in PAIRS]
"""Every shape in one type, and two in all three: what a context says of its type has nothing to do with the shape."""


def nemos(pairs: list[tuple[str, torch.dtype]], folder: Path) -> None:
    """Has NeMo write the context of each shape in its type, as its importers do."""
    from nemo import lightning as nl
    from nemo.lightning.io.pl import TrainerContext

    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.models.llama import KcptLlamaConfig, KcptLlamaModel

    for name, kind in pairs:
        shape = SHAPES[name]
        options = config_options(shape, shape.positions, shape.rotary_base)
        types = {"bf16": kind == torch.bfloat16, "fp16": kind == torch.float16, "params_dtype": kind}
        strategy = nl.MegatronStrategy(ckpt_save_optimizer=False, always_save_context=True)
        trainer = nl.Trainer(devices=1, accelerator="cpu", strategy=strategy)
        model = KcptLlamaModel(KcptLlamaConfig(**options, **types))
        where = folder / name / str(kind)
        TrainerContext(model=model, trainer=trainer, extra={}).io_dump(where, yaml_attrs=["model"])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_it_is_nemos_byte_by_byte(tmp_path: Path) -> None:
    forks.call(nemos, PAIRS, tmp_path / "nemo", log=tmp_path / "log")
    for name, kind in PAIRS:
        written = write_context(SHAPES[name], kind, tmp_path / "own" / name / str(kind))
        expected = contents(tmp_path / "nemo" / name / str(kind))
        assert {path.name: path.read_bytes() for path in written} == expected, (name, kind)


if __name__ == "__main__":
    templates = Path(__file__).resolve().parents[2] / "nemo_kcpt/checkpoints/context_files"
    with tempfile.TemporaryDirectory() as made:
        sources = {IO: "every option", MODEL: "llm-jp-3-13b"}
        nemos([(name, torch.float32) for name in sources.values()], Path(made))
        for file, name in sources.items():
            (templates / file).write_bytes((Path(made) / name / str(torch.float32) / file).read_bytes())
