"""A user's file of prompts: a line each, or JSON Lines with a field."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_jsonl_lines, read_text


def read_prompts(path: Path) -> list[str]:
    """Prompts of a file: lines of text that are not blank, or of a `.jsonl` the field `prompt` or `question`.

    Raises:
        BadInput: the file is missing, not UTF-8, has no prompts, or records without such a field.
    """
    if path.suffix == ".jsonl":
        texts = []
        for line, record in read_jsonl_lines(path):
            text = record.get("prompt", record.get("question"))
            if not isinstance(text, str):
                raise BadInput(f"{path}, line {line}: neither 'prompt' nor 'question' with a text (found: {[*record]})")
            texts.append(text)
    else:
        texts = [line for line in read_text(path, "utf-8-sig", newline="").splitlines() if line.strip()]
    if not texts:
        raise BadInput(f"{path}: no prompts in it; expected one a line")
    return texts
