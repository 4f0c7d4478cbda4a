"""`kcpt plan` and `kcpt recipes` as they are called."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt.cli import main
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.planning.catalogue import RECIPES


def plan(tmp_path: Path, *words: str) -> dict:
    file = tmp_path / "plan.json"
    assert main(["plan", "model=llm-jp-3-13b", f"json={file}", *words]) == 0
    return json.loads(file.read_text())


def test_a_plan_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(tmp_path, "nodes=2", "tokens=2e9", "top=3")
    shown = capsys.readouterr().out
    assert "128 windows a step, 7,630 steps" in shown and "2 × 8 GPUs of 80 GB" in shown
    assert (found["steps"], found["global_batch_size"], found["parameters"]) == (
        7630,
        128,
        KNOWN["llm-jp-3-13b"].parameters(),
    )
    best = found["plans"][0]
    assert best["name"] in shown and best["total_gb"] == pytest.approx(sum(best["memory_gb"].values()), abs=0.01)
    assert best["hours"] == pytest.approx(7630 * 524_288 / best["tokens_per_second"] / 3600, rel=1e-3)
    assert best["gpu_hours"] == pytest.approx(best["hours"] * 16, rel=1e-3)
    assert len([line for line in shown.splitlines() if re.search(r"DP\d+ mb", line)]) == 3


@pytest.mark.parametrize(
    "words",
    [["seq_length=16384", "pipeline_parallel=2"], ["model=llm-jp-4-32b-a3b", "nodes=4", "pipeline_parallel=2"]],
    ids=["dense", "experts"],
)
def test_the_formulas_are_shown_with_numbers_that_give_the_sums(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan(tmp_path, *words, "--explain")
    shown = capsys.readouterr().out
    if len(words) == 3:
        assert "of which a token meets 3.83" in shown and "to experts and back" in shown and " EP8 " in shown
    terms = re.findall(r"^ {4} +([\d.]+)  .*?: \S.* = ([\d.·e+]+)(?: / ([\d·]+))?$", shown, re.MULTILINE)
    assert len(terms) > 15
    for value, above, below in terms:
        product = 1.0
        for factor in above.split("·"):
            product *= float(factor)
        for factor in (below or "1").split("·"):
            product /= float(factor)
        assert float(value) == pytest.approx(product / 1e9, abs=6e-4)


def test_no_column_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(tmp_path, "nodes=4", "top=1000")
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert all(f"  {one['name']} " in shown for one in found["plans"] if not one["refused"])


def test_hours_are_those_of_whole_windows_where_the_length_does_not_divide_the_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = plan(tmp_path, "seq_length=3000", "nodes=3", "--explain")
    best, tokens = found["plans"][0], found["steps"] * found["global_batch_size"] * 3000
    assert found["global_batch_size"] * 3000 < 524_288
    assert best["hours"] == pytest.approx(tokens / best["tokens_per_second"] / 3600, abs=1e-3)
    assert f"= {best['hours']:.2f} hours" in capsys.readouterr().out


def test_a_refused_layout_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(tmp_path, "gpus=1", "--refused")
    shown = capsys.readouterr().out
    assert "0 of 15 layouts fit" in shown and "the GPU has 80; most is optimizer" in shown


def test_megatron_s_formula_is_another_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = plan(tmp_path), plan(tmp_path, "formula=megatron")
    assert set(theirs["plans"][0]["memory_gb"]) == {"weights and optimizer", "activations"}
    assert ours["plans"][0]["layout"] == theirs["plans"][0]["layout"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=llm-jp-3-14b"], "neither a folder nor a known model; did you mean"),
        (["model=llm-jp-3-13b", "gpu=h101"], "gpu: 'h101' is not known"),
        (["model=llm-jp-3-13b", "mfu=45"], "mfu: 45.0 was given"),
        (["model=llm-jp-3-13b", "gpus=0"], "gpus: 0 was given"),
        (["model=llm-jp-3-13b", "tokens_per_step=0"], "tokens_per_step: 0 was given; a positive number"),
        (["model=llm-jp-3-13b", "memory_gb=-5"], "memory_gb: -5.0 was given; a positive number"),
        (["model=llm-jp-3-13b", "top=-1"], "top: -1 was given; a positive number"),
        (["model=llm-jp-4-32b-a3b", "lora=8"], "lora: a mixture of experts takes no adapters yet"),
        (["model=llm-jp-4-32b-a3b", "formula=megatron"], "formula=megatron: is that of a dense model"),
        (["model=llm-jp-4-32b-a3b", "expert_parallel=0"], "expert_parallel=0 does not divide 8 GPUs"),
        (["model=llm-jp-3-13b", "formula=nvidia"], "'nvidia' is not one of ours, megatron"),
    ],
)
def test_bad_keys_are_named(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_s_model_is_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(KNOWN["smollm2-135m"].hf_config()))
    assert main(["plan", f"model={tmp_path}", "nodes=1", "gpus=1", "top=1"]) == 0
    assert "0.13 billion weights" in capsys.readouterr().out


def test_all_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", "format=json"]) == 0
    listed = {row["recipe"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(RECIPES)
    assert listed["kcpt_llmjp3_13b_4k"]["steps"] == "3,816" and listed["kcpt_llmjp3_13b_4k"]["1 × 8 GPUs"]
    assert main(["recipes"]) == 0
    assert "kcpt_sft_llmjp3_1_8b_16k" in capsys.readouterr().out


def test_planning_loads_neither_torch_nor_nemo() -> None:
    code = (
        "import sys; from nemo_kcpt.cli import main; main(['plan', 'model=llm-jp-3-13b']); main(['recipes']);"
        "print('heavy:', [name for name in ('torch', 'nemo', 'megatron', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout.rstrip().endswith("heavy: []"), done.stderr
