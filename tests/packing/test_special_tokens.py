"""Special tokens of folders that name them in special_tokens_map.json alone, as transformers reads them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.hf.special_tokens import SPECIAL_TOKENS
from nemo_kcpt.hf.tokenizer import PackTokenizer, tokenizer_inputs

MESSAGES = [{"role": "user", "content": "再現率は？"}]


def legacy(source: Path, out: Path, said: dict[str, Any], **more: Any) -> Path:
    """A folder without `added_tokens_decoder` whose map says `said`."""
    shutil.copytree(source, out)
    config = read_json(out / "tokenizer_config.json")
    config.pop("added_tokens_decoder", None)
    config["chat_template"] = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    write_json(out / "tokenizer_config.json", {**config, **more})
    write_json(out / "special_tokens_map.json", said)
    return out


@pytest.mark.parametrize("form", ["text", "mapping"])
@pytest.mark.parametrize("decoder", [False, True])
def test_the_map_stands_above_the_configuration_of_an_older_folder(
    tmp_path: Path, tokenizer_folder: Path, form: str, decoder: bool
) -> None:
    from transformers import AutoTokenizer

    config = read_json(tokenizer_folder / "tokenizer_config.json")
    token = config["unk_token"] if config.get("unk_token") else config["pad_token"]
    said = {"eos_token": token if form == "text" else {"content": token, "lstrip": False}}
    more = {"added_tokens_decoder": {}} if decoder else {}
    folder = legacy(tokenizer_folder, tmp_path / "legacy", said, **more)
    ours, theirs = PackTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert ours.token_id("eos_token") == theirs.eos_token_id
    assert (theirs.eos_token == token) is not decoder
    assert ours.render(MESSAGES) == theirs.apply_chat_template(MESSAGES, tokenize=False)
    for role in SPECIAL_TOKENS:
        assert ours.token_id(role) == getattr(theirs, f"{role}_id"), role
    assert ("special_tokens_map.json" in tokenizer_inputs(folder)) is not decoder


@pytest.mark.parametrize(
    "more",
    [
        {"additional_special_tokens": ["<unk>"]},
        {"extra_special_tokens": {"image_token": "<unk>"}},
        {"additional_special_tokens": [], "extra_special_tokens": {}},
    ],
)
def test_a_template_sees_further_tokens(tmp_path: Path, tokenizer_folder: Path, more: dict[str, Any]) -> None:
    from transformers import AutoTokenizer

    template = "{{ additional_special_tokens }}|{{ image_token }}|{{ pad_token }}"
    folder = legacy(tokenizer_folder, tmp_path / "more", {}, **more)
    write_json(
        folder / "tokenizer_config.json", read_json(folder / "tokenizer_config.json") | {"chat_template": template}
    )
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(MESSAGES, tokenize=False)
    assert PackTokenizer(folder).render(MESSAGES) == theirs


def test_a_template_sees_the_tokens_that_transformers_5_writes(tmp_path: Path, tokenizer_folder: Path) -> None:
    """Version 5 gives a template the tokens that a model names (<unk> here), and not the further ones."""
    more = {"extra_special_tokens": ["<pad>"], "model_specific_special_tokens": {"image_token": "<unk>"}}
    template = "{{ extra_special_tokens }}{{ additional_special_tokens }}|{{ image_token }}|{{ pad_token }}"
    folder = legacy(tokenizer_folder, tmp_path / "new", {}, **more)
    write_json(
        folder / "tokenizer_config.json", read_json(folder / "tokenizer_config.json") | {"chat_template": template}
    )
    assert PackTokenizer(folder).render(MESSAGES) == "|<unk>|<pad>"


def test_a_map_that_says_the_same_changes_no_fingerprint(tmp_path: Path, tokenizer_folder: Path) -> None:
    config = read_json(tokenizer_folder / "tokenizer_config.json")
    folder = legacy(tokenizer_folder, tmp_path / "same", {"eos_token": {"content": config["eos_token"]}})
    assert "special_tokens_map.json" not in tokenizer_inputs(folder)


def test_a_token_that_is_not_in_the_vocabulary_and_a_map_that_is_none_are_named(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    folder = legacy(tokenizer_folder, tmp_path / "a", {"eos_token": "<nowhere>"})
    with pytest.raises(BadInput, match="eos_token is '<nowhere>'"):
        PackTokenizer(folder).token_id("eos_token")
    write_json(folder / "special_tokens_map.json", ["<s>"])
    with pytest.raises(BadInput, match="special_tokens_map.json: expected a mapping"):
        PackTokenizer(folder)
