"""Exported folders as people use them: the card's code under transformers 4 and 5 and in vLLM; templates."""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.checkpoints.card import QUESTION
from nemo_kcpt.checkpoints.origin import Origin, Training, read_origin, write_origin
from nemo_kcpt.conversion.stage import Config, run
from nemo_kcpt.conversion.verify import token_ids
from nemo_kcpt.conversion.verify.prompts import ids_of, prompt_ids
from nemo_kcpt.conversion.verify.sides import open_side
from nemo_kcpt.environments import serve_python
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json, write_jsonl
from nemo_kcpt.hf.chat_template import PLAIN, given_template
from nemo_kcpt.hf.load import load_causal_lm, load_tokenizer
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.serving.vllm_engine import worker_environment
from tests.conversion.checkpoints import imported
from tests.conversion.hf_models import save_model
from tests.conversion.hf_tokenizers import save_tokenizer
from tests.thinking_models import save_tokenizer as save_thinking

ROWS = {"vocab_size": 336, "head_dim": 32, "max_position_embeddings": 256}
"""More than the tokenizer has entries, and a head size that vLLM has."""
USER = [{"role": "user", "content": "What was trained?"}]
TRAINING = Training(
    recipe="kcpt",
    steps=3,
    pack="ab" * 32,
    mode="anchored",
    seq_length=64,
    tokens=192,
    system="",
    template_date="2026-11-30",
)
DATED = "{{ bos_token }}Today: {{ strftime_now('%d %b %Y') }}{% for m in messages %}<user>{{ m.content }}{% endfor %}"


def export(folder: Path, out: Path, *trainings: Training, **more: Any) -> Path:
    """The folder imported, trained so often, and exported."""
    checkpoint = out.with_name(f"{out.name}-checkpoint")
    imported(folder, checkpoint)
    write_origin(checkpoint, Origin(base=read_origin(checkpoint).base, trainings=[*trainings]))
    run(Config(checkpoint=checkpoint, out=out, check=False, **more))
    return out


def model(folder: Path, **config: Any) -> Path:
    return save_tokenizer(save_model(folder, **ROWS), **config)


def thinking(folder: Path, template: str) -> Path:
    """A model with one of the templates that have a form without thoughts."""
    return save_thinking(save_model(folder, **ROWS | {"vocab_size": 540}), "qwen", template)


def code(folder: Path) -> list[str]:
    """The card's blocks of Python."""
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)


def said(folder: Path, program: str) -> str:
    """What a block prints, run inside the folder by this environment."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stdout(StringIO()) as printed:
            exec(compile(program, "README.md", "exec"), {})
    finally:
        os.chdir(before)
    return printed.getvalue()


def greedy(folder: Path, ids: list[int], count: int = 64) -> str:
    import torch

    model = load_causal_lm(folder)
    given = torch.tensor([ids])
    output = model.generate(given, attention_mask=torch.ones_like(given), max_new_tokens=count)
    return str(load_tokenizer(folder).decode(output[0, len(ids) :], skip_special_tokens=True))


def test_the_cards_code_runs_and_asks_as_training_did(tmp_path: Path) -> None:
    training = replace(TRAINING, system='Answer "shortly".\n短く。')
    out = export(model(tmp_path / "base"), tmp_path / "out", training)
    messages = [
        {"role": "system", "content": training.system},
        {"role": "user", "content": "What is reported, and in "},
    ]
    messages[1]["content"] += "which document?"
    expected = greedy(out, PackTokenizer(out).prompt_ids(messages))
    assert said(out, code(out)[0]) == f"{expected}\n"
    card = (out / "README.md").read_text()
    assert "Training put the system message above before each question" in card
    assert (
        "Its chat template is that of the tokenizer." in card
        and json.dumps(training.system, ensure_ascii=False) in card
    )
    tokenizer = load_tokenizer(out)
    assert list(tokenizer("a", return_tensors="pt")) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize("name", ["qwen3", "harmony", "deepseek-r1", "deepseek-v3.1"])
def test_the_cards_code_asks_a_model_that_thinks_as_training_did(name: str, tmp_path: Path) -> None:
    """By a switch of its template, or by what the template writes before a reply."""
    out = export(thinking(tmp_path / "base", name), tmp_path / "out", replace(TRAINING, system="短く。"))
    tokenizer = PackTokenizer(out)
    messages = [{"role": "system", "content": "短く。"}, {"role": "user", "content": QUESTION}]
    assert tokenizer.form.thinks
    assert said(out, code(out)[0]) == f"{greedy(out, tokenizer.prompt_ids(messages))}\n"
    assert "an answer without a thought before it" in (out / "README.md").read_text()
    if tokenizer.form.cut:
        assert "llm.generate([prompt]" in code(out)[1]
    else:
        assert f"chat_template_kwargs={dict(tokenizer.form.options)!r}" in code(out)[1]


def test_a_base_model_without_a_template_is_exported_and_its_card_says_so(tmp_path: Path) -> None:
    base = model(tmp_path / "base", chat_template=None)
    out = export(base, tmp_path / "out", replace(TRAINING, mode="raw", system=""))
    assert "It has no chat template: it was trained on texts alone" in (out / "README.md").read_text()
    assert (
        said(out, code(out)[0])
        == greedy(out, ids_of(PackTokenizer(out), ["What is reported, and in which document?"])[0]) + "\n"
    )


def test_the_template_that_training_was_given_goes_along(tmp_path: Path) -> None:
    base = model(tmp_path / "base", chat_template=None)
    pairs = replace(TRAINING, chat_template=given_template(PLAIN))
    out = export(base, tmp_path / "out", pairs, replace(TRAINING, mode="raw", system=None))
    assert (out / "chat_template.jinja").read_text() == given_template(PLAIN)
    assert PackTokenizer(out).prompt_ids(USER) == load_tokenizer(out).apply_chat_template(
        USER, add_generation_prompt=True
    )
    assert "is the one that was given for training." in (out / "README.md").read_text()


def test_verify_reads_a_checkpoint_with_the_template_and_date_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_ids, "serve_python", lambda: None)
    base = model(tmp_path / "base", chat_template=None)
    out = export(base, tmp_path / "out", replace(TRAINING, chat_template=DATED))
    a, b = open_side("A", tmp_path / "out-checkpoint"), open_side("B", out)
    assert a.tokenizer == base and prompt_ids(["What?"], a, b, 0).ids == prompt_ids(["What?"], b, b, 0).ids
    part = token_ids.compare_token_ids(a, b, None, ["What?"])
    assert part.state == "passed" and part.numbers["comparisons"][0]["sequences"] > 10, part.lines()


def test_a_dated_template_keeps_the_date_of_the_training(tmp_path: Path) -> None:
    named = [{"name": "default", "template": DATED}, {"name": "tool_use", "template": "T" + DATED}]
    base = model(tmp_path / "base", chat_template=named)
    out = export(base, tmp_path / "out", TRAINING)
    text = load_tokenizer(out).apply_chat_template(USER, tokenize=False)
    assert text == "<s>Today: 30 Nov 2026<user>What was trained?" == PackTokenizer(out).render(USER)
    assert PackTokenizer(base, day="2026-11-30").prompt_ids(USER) == PackTokenizer(out).prompt_ids(USER)
    tools = load_tokenizer(out).apply_chat_template(USER, tokenize=False, tools=[{"type": "function"}])
    assert tools == f"T{text}" and "chat_template" not in read_json(out / "tokenizer_config.json")
    assert "with the training's date, 2026-11-30, where it would write today's" in (out / "README.md").read_text()


def test_special_tokens_of_version_5_are_written_for_both(tmp_path: Path) -> None:
    config = {"tokenizer_class": "TokenizersBackend", "backend": "tokenizers", "model_input_names": ["token_type_ids"]}
    base = model(tmp_path / "base", extra_special_tokens=["<pad>", "</s>"], **config)
    out = export(base, tmp_path / "out")
    tokenizer = load_tokenizer(out)
    assert tokenizer.additional_special_tokens == ["<pad>", "</s>"] and tokenizer("a<pad>b").input_ids[1] == 2
    written = read_json(out / "tokenizer_config.json")
    assert "extra_special_tokens" not in written and written["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert written["model_input_names"] == ["input_ids", "attention_mask"]


def test_what_was_measured_and_rules_of_decoding_stand_on_the_card(tmp_path: Path) -> None:
    base = model(tmp_path / "base")
    write_json(base / "generation_config.json", {"eos_token_id": 1, "repetition_penalty": 1.2})
    (tmp_path / "scores").mkdir()
    records = [
        {"question_id": f"q{number}", "model": name, "exact_match": float(number < right), "judge": None}
        for name, right in (("base", 1), ("trained_1", 6))
        for number in range(8)
    ]
    write_jsonl(tmp_path / "scores/scores.jsonl", records)
    write_json(tmp_path / "scores/manifest.json", {"format": 1, "stage": "score", "fingerprint": "x", "outputs": {}})
    with pytest.raises(BadInput, match="field config is missing"):
        export(base, tmp_path / "out", scores=tmp_path / "scores")
    out = export(base, tmp_path / "other", scores=tmp_path / "scores/scores.jsonl")
    card = (out / "README.md").read_text()
    assert r"| trained\_1 | exact\_match | 8 | 0.750 |" in card and r"| base | exact\_match | 8 | 0.125 |" in card
    assert "unless told otherwise: repetition\\_penalty = 1.2. Evaluation" in card


SERVED = """
import io, os, re, sys, json
from contextlib import redirect_stdout

import torch, transformers, vllm
from functools import partial
from transformers import AutoModelForCausalLM, AutoTokenizer

# Start-up of seconds, beside other work on the machine; by itself vLLM rounds float32 and takes nearly all memory.
vllm.LLM = partial(vllm.LLM, dtype="float32", enforce_eager=True, kv_cache_memory_bytes=64 << 20, max_num_seqs=2,
                   gpu_memory_utilization=0.05)
found = {"version": transformers.__version__}
for folder in sys.argv[1:]:
    os.chdir(folder)
    model = AutoModelForCausalLM.from_pretrained(".", dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(".")
    with torch.no_grad():
        logits = model(**tokenizer("What was trained?<pad>", return_tensors="pt")).logits[0, -1, :8]
    said = []
    for program in re.findall(r"```python\\n(.*?)```", open("README.md").read(), re.DOTALL):
        with redirect_stdout(io.StringIO()) as printed:
            # vLLM remembers tokenizers and configs by their folder's name, here "." for every folder.
            exec(compile(program.replace('LLM(".")', f"LLM({folder!r})"), "README.md", "exec"), {})
        said.append(printed.getvalue())
    found[folder] = {"rope": model.config.rope_parameters, "logits": logits.tolist(), "said": said}
    found[folder]["ids"] = tokenizer("What was trained?<pad>").input_ids
print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(serve_python() is None, reason="no serve environment; make setup-serve")
def test_version_5_and_vllm_say_what_version_4_says(tmp_path: Path) -> None:
    import torch

    scaling = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling["original_max_position_embeddings"] = 32
    sizes = ROWS | {"rope_theta": 500_000, "rope_scaling": scaling}
    chat = save_tokenizer(save_model(tmp_path / "a", **sizes), extra_special_tokens=["<pad>"], chat_template=DATED)
    text = save_tokenizer(save_model(tmp_path / "b", **ROWS), adds_bos=True, chat_template=None)
    folders = [
        export(chat, tmp_path / "chat", replace(TRAINING, system="短く。")),
        export(text, tmp_path / "text", replace(TRAINING, mode="raw")),
        *(export(thinking(tmp_path / name, name), tmp_path / f"{name}-out", TRAINING) for name in ("qwen3", "harmony")),
    ]
    done = subprocess.run(
        [str(serve_python()), "-I", "-c", SERVED, *map(str, folders)],
        env=worker_environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["version"].startswith("5.")
    for folder in folders:
        theirs, here, tokenizer = found[str(folder)], load_causal_lm(folder), load_tokenizer(folder)
        assert theirs["ids"] == tokenizer("What was trained?<pad>").input_ids
        assert theirs["rope"]["rope_theta"] == here.config.rope_theta
        assert theirs["rope"].get("factor") == (here.config.rope_scaling or {}).get("factor")
        with torch.no_grad():
            ours = here(**tokenizer("What was trained?<pad>", return_tensors="pt")).logits[0, -1, :8]
        assert torch.allclose(torch.tensor(theirs["logits"]), ours, atol=1e-4)
        expected = said(folder, code(folder)[0])
        five, vllm = theirs["said"]
        assert five == expected
        # vLLM's log is printed before it, and it leaves out halves of characters, which random weights like to write.
        assert vllm.replace("\ufffd", "").rstrip().endswith(expected.replace("\ufffd", "").rstrip())
