"""What a mixture's folder holds beside weights and config: tokenizer, model card, licences."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.agreement import Model
from nemo_kcpt.checkpoints.card import USAGE, out_name, usage
from nemo_kcpt.checkpoints.origin import base_of
from nemo_kcpt.files import atomic_write
from nemo_kcpt.hf.chat_template import ADDITIONAL, SEPARATE
from nemo_kcpt.hf.special_tokens import SPECIAL_MAP
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG
from nemo_kcpt.pages import environment

COPIED = (
    "tokenizer.json",
    "tokenizer_config.json",
    SPECIAL_MAP,
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    SEPARATE,
    "generation_config.json",
)
"""Files that are taken as they are. Code in a folder is none of them."""


def copy_tokenizer(models: Sequence[Model], out: Path) -> list[Path]:
    """Copy the tokenizer, chat template and generation config of one model.

    Args:
        models: those with a tokenizer, which is the same in all; A first. The last one with a chat template is taken,
            but never that which is subtracted, else the first.
        out: folder to write into.

    Returns:
        The files.
    """
    tokenizers = {id(model): PackTokenizer(model.folder) for model in models}
    templated = [model for model in models if model.role != "minus" and tokenizers[id(model)].has_template]
    if not models:
        LOG.warning("convert mix: no tokenizer in the models' folders, so the mixture has none")
        return []
    taken = [*models[:1], *templated][-1]
    texts = {tokenizers[id(model)].chat_template for model in templated}
    if len(texts) > 1:
        LOG.warning("convert mix: chat templates differ; that of %s is taken", taken.folder)
    paths = [path for name in COPIED if (path := taken.folder / name).is_file()]
    paths += sorted((taken.folder / ADDITIONAL).glob("*.jinja"))
    copies = [out / path.relative_to(taken.folder) for path in paths]
    for path, copy in zip(paths, copies):
        copy.parent.mkdir(exist_ok=True)
        with path.open("rb") as source, atomic_write(copy, "wb") as stream:
            shutil.copyfileobj(source, stream)
    return copies


def _licences(models: Mapping[str, Model]) -> tuple[dict[str, str], dict[str, str]]:
    """Each model's licence by role, as its card has it, and the licence files; of two texts under one name both."""
    named: dict[str, str] = {}
    files: dict[str, str] = {}
    for role, model in models.items():
        base = base_of(model.folder, None)
        named[role] = base.licence or ""
        for name, text in base.licence_files.items():
            if files.get(name, text) != text:
                name = f"{name}.{role.replace(' ', '-')}"
            files[name] = text
    return named, files


def write_mix_card(
    formula: str, models: Mapping[str, Model], hashes: Mapping[str, str], types: Mapping[str, str], out: Path
) -> list[Path]:
    """Write the model card, `README.md`, and the models' licence files, into a folder that has its other files.

    Args:
        formula: what was mixed, in words.
        models: by the key that named each.
        hashes: of their contents, by the same keys.
        types: of the tensors, by name.
        out: the folder.

    Returns:
        The files.
    """
    import math

    import yaml

    licences, files = _licences(models)
    rows = [
        {"role": role, "name": model.folder.resolve().name, "sha256": hashes[role], "licence": licences[role]}
        for role, model in models.items()
    ]
    known = set(licences.values())
    front: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["nemo_kcpt", "merge"],
        "base_model": list(dict.fromkeys(row["name"] for row in rows)),
        "base_model_relation": "merge",
    } | ({"license": known.pop()} if len(known) == 1 and known != {""} else {})
    tokenizer = (out / "tokenizer.json").is_file()
    form = opened.form if tokenizer and (opened := PackTokenizer(out)).has_template else None
    first = next(iter(models.values()))
    text = (
        environment(Path(__file__).parent, markdown=True)
        .get_template("mix_card.md.j2")
        .render(
            name=out_name(out),
            formula=formula,
            rows=rows,
            weights=sum(math.prod(first.sizes[name]) for name in types),
            dtypes=sorted(set(types.values())),
            tokenizer=tokenizer,
            licences=sorted(files),
        )
    )
    text = text.replace(USAGE, usage("", form))
    text = f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\n{text}"
    for name, content in {"README.md": text, **files}.items():
        with atomic_write(out / name) as stream:
            stream.write(content)
    return [out / name for name in ("README.md", *files)]
