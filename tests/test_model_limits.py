"""What a model's folder says of its limits, by configs as they are in use, and what teacher=vllm makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.files import write_json
from nemo_kcpt.hf import limits as model_limits
from nemo_kcpt.llm.fitting import fitted, remedy, without_limit
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.synthesis.config import Config


def folder(path: Path, config: dict[str, Any], **files: dict[str, Any]) -> Path:
    path.mkdir(exist_ok=True)
    write_json(path / "config.json", config)
    for name, content in files.items():
        write_json(path / f"{name}.json", content)
    return path


@pytest.mark.parametrize(
    ("config", "tokenizer", "most"),
    [
        ({"max_position_embeddings": 8192}, {}, 8192),
        ({"max_position_embeddings": 8192}, {"model_max_length": 512}, 8192),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 2.0}}, {}, 8192),
        ({"max_position_embeddings": 4096, "rope_scaling": {"rope_type": "dynamic", "factor": 4}}, {}, 16384),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, {}, 131072),
        ({"max_position_embeddings": 32768, "rope_scaling": {"type": "yarn", "factor": 4.0}}, {}, 32768),
        ({"max_position_embeddings": 4096, "rope_parameters": {"rope_type": "linear", "factor": 2.0}}, {}, 8192),
        ({"text_config": {"max_position_embeddings": 2048}, "model_type": "x"}, {}, 2048),
        ({"n_positions": 1024}, {}, 1024),
        ({}, {}, None),
    ],
)
def test_positions(tmp_path: Path, config: dict[str, Any], tokenizer: dict[str, Any], most: int | None) -> None:
    assert model_limits.positions(folder(tmp_path / "m", config, tokenizer_config=tokenizer)) == most


def test_arithmetic(tmp_path: Path) -> None:
    for config, dtype in (({"torch_dtype": "bfloat16"}, "bfloat16"), ({"dtype": "float16"}, "float16"), ({}, None)):
        assert model_limits.dtype(folder(tmp_path / "m", config)) == dtype


def vllm(model: Path, **fields: Any) -> Llm:
    return Config(corpus=Path("c"), out=Path("o"), teacher="vllm", model=str(model), **fields).llm()


@pytest.mark.parametrize(
    ("positions", "given", "window", "max_tokens"),
    [
        (8192, {}, 8192, 4096),
        (8192, {"max_tokens": 1024}, 8192, 1024),
        (131072, {}, 32768, 8192),
        (16384, {"window": 12000}, 12000, 8192),
        (8192, {"window": 0}, 0, 8192),
    ],
)
def test_the_smaller_window_is_taken(
    tmp_path: Path,
    positions: int,
    given: dict[str, Any],
    window: int,
    max_tokens: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = vllm(folder(tmp_path / "m", {"max_position_embeddings": positions}), **given)
    found = fitted(config)
    assert (found.window, found.max_tokens) == (window, max_tokens)
    assert bool(caplog.records) == (found != config) and fitted(found) == found


def test_a_limit_of_replies_in_the_folder_is_lifted(tmp_path: Path) -> None:
    limited = folder(tmp_path / "m", {}, generation_config={"max_new_tokens": 512})
    assert without_limit(vllm(limited)) == ["--override-generation-config", '{"max_new_tokens": 8192}']
    assert without_limit(vllm(limited, max_tokens=256)) == [] == without_limit(vllm(folder(tmp_path / "n", {})))


def test_what_vllm_says_of_too_long_a_window_is_put_into_words() -> None:
    said = (
        "ValueError: User-specified max_model_len (32768) is greater than the derived max_model_len "
        "(max_position_embeddings=8192 or model_max_length=None in config.json)."
    )
    assert remedy(said).startswith("the model has 8192 positions, window=32768 was given: give window=8192")
    assert remedy("CUDA out of memory") == ""
