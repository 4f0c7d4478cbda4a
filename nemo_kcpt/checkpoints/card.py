"""The model card of an exported folder: what it is, how it is used, what was measured, and whose licence it carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.adapters import Lora
from nemo_kcpt.checkpoints.origin import LICENCES, Origin, Training
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write
from nemo_kcpt.hf.chat_template import writes_date
from nemo_kcpt.hf.load import decoding_rules
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.hf.thinking import Form
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.pages import environment
from nemo_kcpt.records.files import SCORES
from nemo_kcpt.stats.statistics import bootstrap_interval

USAGE = "<!-- usage -->"
"""Where in the template the code goes: it is shown as it is, while the template's values are escaped."""
QUESTION = "What is reported, and in which document?"
METRICS = ("combined", "judge", "exact_match", "bertscore_sent", "bertscore_doc")


def _asked(said: list[str], form: Form) -> tuple[list[str], list[str]]:
    """Lines that make a prompt with the chat template, for transformers and for vLLM, in the form of the training."""
    inputs = 'inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")'
    if form.cut:
        reply = json.dumps({"role": "assistant", "content": "REPLY"})
        options = "".join(f", {name}={value!r}" for name, value in form.options.items())
        text = [
            f"messages = [{', '.join([*said, reply])}]",
            f'text = tokenizer.apply_chat_template(messages, tokenize=False{options}).rpartition("REPLY")[0]',
        ]
        ids = 'prompt = {"prompt_token_ids": tokenizer(text, add_special_tokens=False)["input_ids"]}'
        generate = "outputs = llm.generate([prompt], sampling, use_tqdm=False)"
        return [*text, inputs], ["tokenizer = llm.get_tokenizer()", *text, ids, generate]
    messages = f"messages = [{', '.join(said)}]"
    options = "".join(f", {name}={value!r}" for name, value in form.options.items())
    kwargs = f", chat_template_kwargs={dict(form.options)!r}" if form.options else ""
    prompt = f"text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False{options})"
    return [messages, prompt, inputs], [messages, f"outputs = llm.chat(messages, sampling, use_tqdm=False{kwargs})"]


def usage(system: str, form: Form | None) -> str:
    """Code that asks the model, with transformers 4.57 or 5 and with vLLM, run inside its folder.

    Args:
        system: message before the question; empty: none.
        form: how its chat template is asked; None where it has none.
    """
    said = [f'{{"role": "system", "content": {json.dumps(system, ensure_ascii=False)}}}'] if system else []
    said.append(f'{{"role": "user", "content": {json.dumps(QUESTION)}}}')
    if form is not None:
        asked, through_vllm = _asked(said, form)
    else:
        asked = [f'inputs = tokenizer({json.dumps(QUESTION)}, return_tensors="pt")']
        through_vllm = [f"outputs = llm.generate([{json.dumps(QUESTION)}], sampling, use_tqdm=False)"]
    lines = [
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "."  # of this model',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        'model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")',
        *asked,
        "output = model.generate(**inputs, max_new_tokens=64, do_sample=False)",
        'print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))',
        "```",
        "",
        "With vLLM:",
        "",
        "```python",
        "from vllm import LLM, SamplingParams",
        "",
        'llm, sampling = LLM("."), SamplingParams(temperature=0, max_tokens=64)',
        *through_vllm,
        "print(outputs[0].outputs[0].text)",
        "```",
    ]
    return "\n".join(lines)


def measured(scores: Path) -> list[dict[str, Any]]:
    """Each model's means in a folder of `kcpt score`, with 95 % intervals over questions.

    Raises:
        BadInput: there is no scores.jsonl, or no score in it.
    """
    grouped: dict[tuple[str, str], list[float]] = {}
    for record in SCORES.read(scores):
        for metric in METRICS:
            value = record.get(metric)
            if isinstance(value, int | float):
                grouped.setdefault((str(record["model"]), metric), []).append(float(value))
    if not grouped:
        raise BadInput(f"{scores}: no score in it; give the folder of a finished kcpt score")
    rows = []
    for (model, metric), values in grouped.items():
        low, high = bootstrap_interval(values)
        mean = sum(values) / len(values)
        rows.append({"model": model, "metric": metric, "questions": len(values), "mean": f"{mean:.3f}"})
        rows[-1]["interval"] = f"{low:.3f} to {high:.3f}"
    return rows


def _template(out: Path, training: Training | None) -> dict[str, Any]:
    """What the card says of the chat template in `out`."""
    if not (out / "tokenizer.json").is_file():
        return {"tokenizer": False, "template": False, "given": False, "date": None, "form": None}
    tokenizer = PackTokenizer(out)
    templated = tokenizer.has_template
    dated = templated and writes_date(tokenizer.chat_template)
    given = training is not None and training.chat_template is not None
    date = training.template_date if dated and training is not None else None
    form = tokenizer.form if templated else None
    return {"tokenizer": True, "template": templated, "given": given, "date": date, "form": form}


def write_card(
    shape: ModelShape, origin: Origin, averaged: Sequence[str], out: Path, dtype: str, scores: Path | None = None
) -> list[Path]:
    """Write the model card, `README.md`, and the base model's licence files, into a folder that has its other files.

    Args:
        shape: of the model.
        origin: where its weights come from.
        averaged: names of the checkpoints whose mean it is.
        out: the folder.
        dtype: of its weights.
        scores: folder of `kcpt score` whose means the card shows.

    Raises:
        BadInput: a licence file's name is none, or `scores` holds no score.
    """
    import yaml

    licences = origin.base.licence_files if origin.base else {}
    for name in licences:
        if Path(name).name != name or not any(fnmatch(name, pattern) for pattern in LICENCES):
            raise BadInput(
                f"origin.json of the checkpoint: '{name}' is no name of a licence file; the checkpoint may be hostile. "
                "Use one from a source you trust"
            )
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["nemo_kcpt"]}
    if origin.base is not None:
        front |= {"base_model": origin.base.name} | ({"license": origin.base.licence} if origin.base.licence else {})
    last = origin.conversations
    chat = _template(out, last)
    template = environment(Path(__file__).parent, markdown=True).get_template("model_card.md.j2")
    text = template.render(
        name=out_name(out),
        shape=shape,
        base=origin.base,
        trainings=origin.trainings,
        averaged=averaged,
        dtype=dtype,
        licences=sorted(licences),
        chat=chat,
        conversations=last,
        rules=decoding_rules(out),
        scores=measured(scores) if scores is not None else [],
    )
    system = (last.system or "") if last is not None and chat["template"] else ""
    text = text.replace(USAGE, usage(system, chat["form"]))
    text = f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\n{text}"
    paths = []
    for name, content in {"README.md": text, **licences}.items():
        paths.append(out / name)
        with atomic_write(paths[-1]) as stream:
            stream.write(content)
    return paths


def write_adapter_card(lora: Lora, origin: Origin, out: Path) -> Path:
    """Write `README.md` of a folder with adapters alone."""
    import yaml

    front: dict[str, Any] = {"library_name": "peft", "pipeline_tag": "text-generation", "tags": ["nemo_kcpt", "lora"]}
    if origin.base is not None:
        front |= {"base_model": origin.base.name} | ({"license": origin.base.licence} if origin.base.licence else {})
    template = environment(Path(__file__).parent, markdown=True).get_template("adapter_card.md.j2")
    text = template.render(name=out_name(out), lora=lora, base=origin.base, trainings=origin.trainings)
    with atomic_write(out / "README.md") as stream:
        stream.write(f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\n{text}")
    return out / "README.md"


def out_name(folder: Path) -> str:
    """The name that a folder under way is going to have."""
    return folder.name.removeprefix(".").removesuffix(".partial")
