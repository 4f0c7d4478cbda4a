"""The `context/` folder of a checkpoint that no training wrote: what NeMo builds the model from when it loads it.

NeMo's importers let NeMo write it, whose imports take longer than a model of a billion weights. What NeMo writes for
ours is the same each time but for the options of the model's config: `context_files/` holds what it wrote, and the
options of the model at hand go into it. tests/conversion/test_context.py holds the files equal, byte by byte, to those
that NeMo writes, and makes `context_files/` again.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from nemo_kcpt.files import atomic_write
from nemo_kcpt.hf.megatron_options import config_options
from nemo_kcpt.hf.model_shape import ModelShape

if TYPE_CHECKING:
    from torch import dtype

IO, MODEL = "io.json", "model.yaml"
CONFIG, OPTIMIZER, NAMES = "kcpt_llama_config_1", "optimizer_config_1", "tuple_1"
"""In `io.json`: the model's config, NeMo's default optimizer, and the names of the config's given options."""
PLACE = "<root>.model.config.params_dtype"


def _template(name: str) -> str:
    return (files("nemo_kcpt.checkpoints") / "context_files" / name).read_text(encoding="utf-8")


def _io(options: dict[str, Any], kind: str) -> str:
    """fiddle's graph of what NeMo is to build, in which an object that is in several places names them all.

    The template has every option there is, in the order that fiddle writes them in, and weights in float32, which the
    default optimizer's types are as well.
    """
    graph = json.loads(_template(IO))
    config = graph["objects"][CONFIG]
    attributes = {f"Attr(name='{name}')": name for name in options}
    config["items"] = [[attribute, value] for attribute, value in config["items"] if attribute in attributes]
    for attribute, value in config["items"]:
        if attributes[attribute] != "params_dtype":
            value["value"] = options[attributes[attribute]]
        elif kind != "float32":
            value |= {"name": kind, "paths": [PLACE]}
            for _, other in graph["objects"][OPTIMIZER]["items"]:
                other["paths"] = [path for path in other["paths"] if path != PLACE]
    names = [attributes[attribute] for attribute, _ in config["items"]]
    graph["objects"][NAMES]["items"] = [[f"Index(index={number})", name] for number, name in enumerate(names)]
    return json.dumps(graph)


def _model(options: dict[str, Any], kind: str) -> str:
    """All options of the config, those that are not given with their defaults."""
    model = yaml.safe_load(_template(MODEL))
    model["config"] |= options | {"params_dtype": {"_call_": False, "_target_": f"torch.{kind}"}}
    return yaml.safe_dump(model)


def write_context(shape: ModelShape, dtype: dtype, folder: Path) -> list[Path]:
    """Write `io.json` and `model.yaml` as NeMo's own serialisation would.

    Args:
        shape: the model; its positions and RoPE base are those of the config.
        dtype: of the weights; where there is a GPU, NeMo builds the model in it.
        folder: to write.

    Returns:
        The files.
    """
    kind = str(dtype).removeprefix("torch.")
    types = {"fp16": kind == "float16", "bf16": kind == "bfloat16", "params_dtype": kind}
    options = types | config_options(shape, shape.positions, shape.rotary_base)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {IO: _io(options, kind), MODEL: _model(options, kind)}
    for name, text in texts.items():
        with atomic_write(folder / name) as stream:
            stream.write(text)
    return [folder / name for name in texts]
