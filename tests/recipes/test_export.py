"""From a trained checkpoint to Hugging Face: by `kcpt convert`, and by NeMo's own `llm.export_ckpt`."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from torch.distributed.checkpoint.metadata import Metadata

from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.cli import main
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests import forks


def nemos_export(checkpoint: str, out: str) -> None:
    """In a fork: what a user of NeMo calls."""
    from nemo.collections import llm

    llm.export_ckpt(checkpoint, "hf", out)


@pytest.mark.slow
def test_an_export_has_the_models_logits_and_the_tokenizers_ids(packs: Path, trained: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    out = tmp_path / "hf"
    words = ["convert", f"checkpoint={trained}", f"tokenizer={packs}/tokenizer", f"out={out}"]
    forks.command(["kcpt", *words], log=tmp_path / "log")
    parity = read_json(out / "parity.json")
    assert parity["max_abs_diff"] <= 1e-4 and parity["argmax_equal"] == parity["positions"] > 20
    config = read_json(out / "config.json")
    assert (config["rope_theta"], config["max_position_embeddings"], config["vocab_size"]) == (10000, 64, 1024)
    messages = [{"role": "user", "content": "カスミNetの学習データは何件ですか？"}]
    prompt = AutoTokenizer.from_pretrained(out).apply_chat_template(messages, add_generation_prompt=True)
    assert prompt == PackTokenizer(packs / "tokenizer").prompt_ids(messages)
    assert LlamaForCausalLM.from_pretrained(out).num_parameters() > 3_000_000
    before = (out / "model.safetensors").stat().st_mtime_ns
    assert main(words) == 0
    assert (out / "model.safetensors").stat().st_mtime_ns == before

    forks.call(nemos_export, str(find_checkpoint(trained)), str(tmp_path / "nemo"), log=tmp_path / "log")
    assert (tmp_path / "nemo/model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_what_cannot_be_exported_is_named(packs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", f"checkpoint={tmp_path}", f"tokenizer={packs}/tokenizer", f"out={tmp_path}/hf"]) == 2
    assert "no finished checkpoint" in capsys.readouterr().err
    (tmp_path / "weights").mkdir()
    assert main(["convert", f"checkpoint={tmp_path}", f"tokenizer={packs}/tokenizer", f"out={tmp_path}/hf"]) == 2
    assert "half written: its saving was interrupted" in capsys.readouterr().err
    metadata = pickle.dumps(Metadata(state_dict_metadata={}, storage_data={}))
    (tmp_path / "weights" / ".metadata").write_bytes(metadata)
    assert main(["convert", f"checkpoint={tmp_path}", f"tokenizer={packs}/tokenizer", f"out={tmp_path}/hf"]) == 2
    assert "context/model.yaml: missing" in capsys.readouterr().err
