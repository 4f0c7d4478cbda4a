"""Code that a folder brings along is read and never run: what it needs is in tokenizer.json and config, or refused."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.checkpoints.hf_tokenizer import write_tokenizer
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.hf.load import load_causal_lm, load_tokenizer
from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests.own_code import DECODES, with_own_model, with_own_tokenizer
from tests.thinking_models import save_tokenizer

TEXT = "再現率は83.7％。</s>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tokenizer(tmp_path / "model", "unigram", "harmony")


@pytest.fixture
def canary(tmp_path: Path) -> Any:
    """Where the folder's code leaves a mark; there is none in the end."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists()


@pytest.mark.parametrize("kind", [DECODES, "PreTrainedTokenizerFast:save_vocabulary", "PreTrainedTokenizer:_tokenize"])
def test_ids_are_those_of_tokenizer_json(
    kind: str, folder: Path, canary: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = PackTokenizer(folder).text_ids([TEXT])[0].tolist()
    with_own_tokenizer(folder, canary, kind)
    with caplog.at_level(logging.WARNING):
        assert PackTokenizer(folder).text_ids([TEXT])[0].tolist() == before
    assert "tokenization_own.OwnTokenizer in tokenizer_config.json), which is never run" in caplog.text
    assert load_tokenizer(folder).encode(TEXT, add_special_tokens=False, split_special_tokens=True) == before


@pytest.mark.parametrize("method", ["_tokenize", "build_inputs_with_special_tokens", "__call__"])
def test_a_class_that_makes_other_ids_is_refused(method: str, folder: Path, canary: Path) -> None:
    with_own_tokenizer(folder, canary, f"PreTrainedTokenizerFast:{method}")
    with pytest.raises(
        BadInput, match=rf"(?s)makes ids otherwise than tokenizer\.json says: .*own\.py overrides {method}"
    ):
        PackTokenizer(folder)
    with pytest.raises(BadInput, match="take auto_map out"):
        load_tokenizer(folder)


def test_a_base_in_the_same_file_counts(folder: Path, canary: Path) -> None:
    with_own_tokenizer(folder, canary, "PreTrainedTokenizerFast:_tokenize")
    code = folder / "tokenization_own.py"
    code.write_text(code.read_text() + "\n\nclass Lower(OwnTokenizer):\n    pass\n")
    config = read_json(folder / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", config | {"auto_map": ["tokenization_own.Lower", None]})
    with pytest.raises(BadInput, match="overrides _tokenize"):
        PackTokenizer(folder)


def test_without_tokenizer_json_it_is_refused(folder: Path, canary: Path) -> None:
    with_own_tokenizer(folder, canary)
    (folder / "tokenizer.json").unlink()
    for load in (PackTokenizer, load_tokenizer):
        with pytest.raises(BadInput, match=r"never run, and there is no tokenizer\.json"):
            load(folder)


@pytest.mark.parametrize("code", [None, "class (", "\0"])
def test_code_that_is_not_there_or_cannot_be_read(
    code: str | None, folder: Path, canary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with_own_tokenizer(folder, canary)
    (folder / "tokenization_own.py").unlink()
    if code is not None:
        (folder / "tokenization_own.py").write_text(code)
    with caplog.at_level(logging.WARNING):
        PackTokenizer(folder)
    assert "nobody looked at it" in caplog.text


@pytest.mark.parametrize("base", ["LlamaTokenizerFast", "PreTrainedTokenizerFast"])
def test_an_export_names_no_code_and_keeps_what_the_class_does(
    base: str, folder: Path, canary: Path, tmp_path: Path
) -> None:
    """A class of Llama's puts `<s>` first by its code; that goes into tokenizer.json."""
    from transformers import AutoTokenizer

    with_own_tokenizer(folder, canary, f"{base}:_decode")
    out = tmp_path / "out"
    out.mkdir()
    write_tokenizer(folder, out, 512)
    config = read_json(out / "tokenizer_config.json")
    assert "auto_map" not in config and not list(out.glob("*.py"))
    begins = AutoTokenizer.from_pretrained(out).encode("再現率")[0] == PackTokenizer(out).token_id("bos_token")
    assert begins == (base == "LlamaTokenizerFast")


def test_a_model_of_a_known_type_is_read_by_transformers_own_class(
    tmp_path: Path, canary: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.conversion.hf_models import save_model

    folder = save_model(tmp_path / "model")
    plain = load_causal_lm(Path(shutil.copytree(folder, tmp_path / "plain")))
    with_own_model(folder, canary)
    with caplog.at_level(logging.WARNING):
        model = load_causal_lm(folder)
    assert "read as transformers' own class for model_type 'llama'" in caplog.text
    assert type(model) is type(plain) and model.config.hidden_size == plain.config.hidden_size
    with_own_model(folder, canary, "OwnForCausalLM")
    with pytest.raises(BadInput, match="never run, and transformers has no class OwnForCausalLM"):
        load_causal_lm(folder)


def test_a_model_of_an_unknown_type_is_refused_with_its_code(tmp_path: Path, canary: Path) -> None:
    from tests.conversion.hf_models import save_model

    folder = with_own_model(save_model(tmp_path / "model"), canary)
    write_json(folder / "config.json", read_json(folder / "config.json") | {"model_type": "own"})
    with pytest.raises(BadInput, match="model_type 'own' is not known to transformers"):
        load_causal_lm(folder)


def test_an_import_does_without_the_code_or_refuses_it(tmp_path: Path, canary: Path) -> None:
    from nemo_kcpt.checkpoints.hf_folder import HfFolder
    from tests.conversion.hf_models import save_model

    folder = save_model(tmp_path / "model")
    shape = HfFolder(folder).shape
    assert HfFolder(with_own_model(folder, canary)).shape == shape
    with pytest.raises(BadInput, match="never run, and transformers has no class OwnForCausalLM"):
        HfFolder(with_own_model(folder, canary, "OwnForCausalLM"))
