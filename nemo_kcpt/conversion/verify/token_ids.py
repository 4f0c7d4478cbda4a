"""Do two tokenizers give the same ids, and does each give them under transformers 4 (train) and 5 (serve) alike?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nemo_kcpt.conversion.verify.result import Part, not_checked, verdict
from nemo_kcpt.conversion.verify.sides import TOKENIZER, Rendering, Side
from nemo_kcpt.environments import SERVE_REMEDY, serve_python
from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import read_json, read_text, write_json
from nemo_kcpt.hf.chat_template import date_string
from nemo_kcpt.hf.load import has_own_code, tokenizer_options
from nemo_kcpt.processes import die_with_parent
from nemo_kcpt.serving.vllm_engine import worker_environment

NAME = "token_ids"
WORKER = Path(__file__).with_name("tokenizer_worker.py")
PIECE = 2000
"""Characters of a text that are tokenised at a time."""
AROUND = 4
"""Ids that are shown on each side of a difference."""
WRITTEN_OUT = 200
"""Most control tokens of a tokenizer that are written out in a text."""
TEXTS = (
    "継続事前学習（けいぞくじぜんがくしゅう）とは、12,400件の論文で大規模言語モデルを学習し直すことである。\n\n\n"
    "再現率は８３．７％。ＮＦＫＣ：①②③、㍻、㌔、ｶﾀｶﾅ、ﾊﾞｯﾊ、ﬁ、A\u030a。\r\n\t全角\u3000空白\n\n\n\n\n\nと\u00a0タブ\t\t。",
    "Which base model was used?  It's   SmolLM2-135M — isn't it?  (see §3.1, p. 42)\nE = mc²; naïve café; 3.14e-10",
    "def mean(values: list[float]) -> float:\n    if not values:\n        return 0.0\n\treturn sum(values)",
    "😀👩\u200d👩\u200d👧🇯🇵👍🏽 한국어 문장입니다. 这是一个中文句子。 Это русский текст. هذه جملة عربية। यह हिन्दी है।",
    "<s> </s> <pad> <unk> <bos> <eos> <|endoftext|> <|im_start|>user<|im_end|> [INST] [/INST] <0x0A> ▁ </s></s>a</s>b",
    " ",
    "\n",
)
"""What tokenizers like to differ in, beside each one's own control tokens."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Ids of one tokenizer under one version of transformers; see the worker."""

    label: str
    result: dict[str, Any]


def _control_tokens(folder: Path) -> str:
    added = read_json(folder / TOKENIZER).get("added_tokens") or []
    return "".join(f"a {token['content']}b{token['content']}" for token in added[:WRITTEN_OUT])


def built_in_texts(folders: Sequence[Path]) -> list[str]:
    """`TEXTS`, and one for each tokenizer with its own control tokens written out."""
    return [*TEXTS, *(text for text in map(_control_tokens, folders) if text)]


def pieces(path: Path) -> list[str]:
    """A file's text in pieces that are tokenised one by one, so that a difference has a place."""
    text = read_text(path, newline="")
    return [text[start : start + PIECE] for start in range(0, len(text), PIECE)]


def ask(python: Path, given: Sequence[Rendering], texts: Sequence[str], prompts: Sequence[str]) -> dict[str, Any]:
    """The worker's result under another Python.

    Raises:
        KcptError: transformers does not start there.
    """
    with TemporaryDirectory() as temporary:
        request, result = Path(temporary) / "request.json", Path(temporary) / "result.json"
        forms = [rendering.form() for rendering in given]
        tokenizers: list[dict[str, Any]] = [
            {
                "folder": str(rendering.folder),
                "four": tokenizer_options(rendering.folder),
                "generic": has_own_code(rendering.folder),
                "day": rendering.day,
                "rendering": {
                    "chat_template": rendering.template or None,
                    **date_string(rendering.day),
                    **form.options,
                },
                "reply": form.reply,
            }
            for rendering, form in zip(given, forms)
        ]
        write_json(request, {"tokenizers": tokenizers, "texts": texts, "prompts": prompts})
        done = subprocess.run(
            [str(python), "-I", str(WORKER), str(request), str(result)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=worker_environment() | {"USE_TORCH": "0"},  # tokenizers do without; its import takes seconds
            preexec_fn=die_with_parent,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise KcptError(f"transformers does not start under {python} (exit code {done.returncode}): {last[:300]}")
        answers: dict[str, Any] = read_json(result)
    return answers


def _first_difference(kind: str, text: str, ids: Sequence[list[int]], labels: Sequence[str]) -> dict[str, Any]:
    a, b = ids
    index = next((at for at, pair in enumerate(zip(a, b)) if pair[0] != pair[1]), min(len(a), len(b)))
    around = slice(max(0, index - AROUND), index + AROUND + 1)
    return {
        "of": kind,
        "text": text,
        "token": index,
        "ids": {label: sequence[around] for label, sequence in zip(labels, ids)},
    }


def compare(a: Answers, b: Answers, texts: Sequence[str], prompts: Sequence[str]) -> dict[str, Any]:
    """Compare two tokenizers' ids, or one's under two versions.

    Returns:
        `between` the two labels; `sequences` compared, `equal` of them, the `first_difference` or None; `error` where
        one of them could not be loaded.
    """
    result: dict[str, Any] = {"between": [a.label, b.label], "sequences": 0, "equal": 0, "first_difference": None}
    errors = [f"{answers.label}: {answers.result['error']}" for answers in (a, b) if "error" in answers.result]
    if errors:
        return result | {"error": "; ".join(errors)}
    for kind, sources in (("texts", texts), ("plain", texts), ("chats", prompts)):
        mine, theirs = a.result[kind], b.result[kind]
        if (mine is None) != (theirs is None):
            return result | {"error": f"only {(b if mine is None else a).label} has a chat template"}
        for text, ids, other in zip(sources, mine or (), theirs or ()):
            result["sequences"] += 1
            if ids == other:
                result["equal"] += 1
            elif result["first_difference"] is None:
                result["first_difference"] = _first_difference(kind, text, (ids, other), (a.label, b.label))
    return result


def _sentence(comparison: dict[str, Any]) -> str:
    labels = " and ".join(comparison["between"])
    if "error" in comparison:
        return f"{labels}: {comparison['error']}"
    line = f"{labels}: {comparison['equal']} of {comparison['sequences']} sequences equal"
    if difference := comparison["first_difference"]:
        ids = ", ".join(f"{label} …{tokens}…" for label, tokens in difference["ids"].items())
        excerpt = json.dumps(difference["text"][:60], ensure_ascii=False)
        line += f"; first differs at token {difference['token']} of {difference['of']} {excerpt}: {ids}"
    return line


def _passed(comparison: dict[str, Any]) -> bool:
    return "error" not in comparison and comparison["equal"] == comparison["sequences"]


def _answers(
    python: Path | None, given: Sequence[Rendering], texts: Sequence[str], prompts: Sequence[str]
) -> tuple[list[dict[str, Any]], str | None]:
    """The worker's results here and under the serve environment's `python`, and why it gives none."""
    with ThreadPoolExecutor() as pool:
        here = pool.submit(ask, Path(sys.executable), given, texts, prompts)
        there = pool.submit(ask, python, given, texts, prompts) if python else None
        results = [here.result()]
        if there is None:
            return results, None
        try:
            return [*results, there.result()], None
        except KcptError as error:
            return results, str(error)


def compare_token_ids(a: Side, b: Side, text: Path | None, prompts: Sequence[str]) -> Part:
    """Ids of texts and prompts by A's and B's tokenizers, under both environments; passes if all are equal.

    Args:
        a: a side.
        b: the other.
        text: file to tokenise; None: a built-in text.
        prompts: of users, for the chat template.
    """
    tokenizers = {side.name: side.rendering for side in (a, b) if side.rendering is not None}
    if not tokenizers:
        return not_checked(NAME, "neither side has a tokenizer; give tokenizer=")
    different = list(dict.fromkeys(tokenizers.values()))
    folders = list(dict.fromkeys(rendering.folder for rendering in different))
    texts = built_in_texts(folders) if text is None else pieces(text)
    python, missing = serve_python(), []
    if len(tokenizers) < 2:
        missing.append(f"A against B: only {next(iter(tokenizers))} has a tokenizer")
    elif len(different) < 2:
        missing.append(f"A against B: both take the tokenizer in {folders[0]}")
    if python is None:
        missing.append(f"transformers 5: the serve environment is missing: {SERVE_REMEDY}")
    if len(missing) == 2:
        return not_checked(NAME, "; ".join(missing))
    results, reason = _answers(python, different, texts, prompts)
    if reason is not None:
        missing.append(f"transformers 5: {reason}")
    versions = [f"transformers {result['version']}" for result in results]

    def answers(name: str, version: int, label: str) -> Answers:
        return Answers(label=label, result=results[version]["tokenizers"][different.index(tokenizers[name])])

    comparisons = []
    if len(different) == 2:
        for number, version in enumerate(versions):
            mine, theirs = (answers(name, number, f"{name} under {version}") for name in "AB")
            comparisons.append(compare(mine, theirs, texts, prompts))
    if len(versions) == 2:
        own = {rendering: name for name, rendering in reversed(tokenizers.items())}
        for name in sorted(own.values()):
            here, there = (answers(name, number, f"{name} under {version}") for number, version in enumerate(versions))
            comparisons.append(compare(here, there, texts, prompts))
    if not comparisons:
        return not_checked(NAME, "; ".join(missing))
    equal, total = (sum(comparison[key] for comparison in comparisons) for key in ("equal", "sequences"))
    return Part(
        name=NAME,
        state=verdict(all(map(_passed, comparisons))),
        summary=f"{equal} of {total} sequences equal, of {len(texts)} texts and {len(prompts)} prompts",
        details=[*map(_sentence, comparisons), *(f"not checked: {line}" for line in missing)],
        numbers={"comparisons": comparisons, "not_checked": missing, "texts": len(texts), "prompts": len(prompts)},
    )
