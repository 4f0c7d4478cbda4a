"""Where a checkpoint's weights come from: `origin.json` in it, written by imports and trainings, read by exports.

It holds what the exported folder should carry on from the base model (name, licence, generation config), and what each
training was on, in their order. It is plain JSON and travels with the checkpoint, whatever becomes of the folders.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json

ORIGIN = "origin.json"
LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*")
TRANSFORMERS_OWN = ("transformers_version", "_from_model_config")
LONGEST_LICENCE = 1 << 18
"""In bytes; a longer file is none."""


@dataclass(frozen=True, kw_only=True)
class Base:
    """The Hugging Face model that was imported."""

    name: str
    folder: str
    """Where it was, absolute."""
    licence: str | None = None
    """Its model card's `license`, as on the hub: apache-2.0, other, …"""
    licence_files: dict[str, str] = field(default_factory=dict)
    """Names and texts."""
    generation_config: dict[str, Any] = field(default_factory=dict)
    tokenizer_json: str | None = None
    """SHA-256 of its `tokenizer.json`."""
    weights: str | None = None
    """See `weights_identity.py`; None of an import of before."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of the weights."""

    recipe: str
    steps: int
    pack: str
    """Fingerprint of the pack."""
    mode: str
    seq_length: int
    tokens: int
    """Seen in these steps, padding included."""
    tokenizer_json: str | None = None
    """SHA-256 of the `tokenizer.json` that the pack was made with."""
    system: str | None = None
    """System message before each pair, as kcpt pack had it, empty for none; None: not known."""
    chat_template: str | None = None
    """The chat template of the pack's pairs; None where it is the tokenizer's own."""
    template_date: str | None = None
    """The date that the template writes, as 2024-07-26."""
    lora: str | None = None
    """Where adapters were trained and not the weights: which."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A checkpoint's history. `base` is None where the first training began with random weights."""

    base: Base | None = None
    trainings: list[Training] = field(default_factory=list)

    @property
    def tokenizer_json(self) -> str | None:
        """SHA-256 of the `tokenizer.json` that the weights go with, if that is known."""
        known = [training.tokenizer_json for training in self.trainings if training.tokenizer_json]
        return known[-1] if known else self.base.tokenizer_json if self.base else None

    @property
    def conversations(self) -> Training | None:
        """The last training that saw conversations, whose template and system message the weights know."""
        return next((training for training in reversed(self.trainings) if training.mode != "raw"), None)


def _card(folder: Path) -> dict[str, Any]:
    """The front matter of a folder's model card."""
    import yaml

    card = folder / "README.md"
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines() if card.is_file() else []
    if not lines or lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        return {}
    end = next(number for number, line in enumerate(lines[1:], start=1) if line.strip() == "---")
    try:
        content = yaml.safe_load("\n".join(lines[1:end]))
    except yaml.YAMLError:
        return {}
    return content if isinstance(content, dict) else {}


def base_of(folder: Path, tokenizer_json: str | None) -> Base:
    """What an import keeps of a Hugging Face folder beside weights and config."""
    licences = sorted({path for pattern in LICENCES for path in folder.glob(pattern) if path.is_file()})
    generation = folder / "generation_config.json"
    config = read_json(generation) if generation.is_file() else {}
    if not isinstance(config, dict):
        raise BadInput(f"{generation}: expected an object, found a {type(config).__name__}")
    licence = _card(folder).get("license")
    return Base(
        name=folder.resolve().name,
        folder=str(folder.resolve()),
        licence=licence if isinstance(licence, str) else None,
        licence_files={
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in licences
            if path.stat().st_size <= LONGEST_LICENCE
        },
        generation_config={key: value for key, value in config.items() if key not in TRANSFORMERS_OWN},
        tokenizer_json=tokenizer_json,
    )


def write_origin(checkpoint: Path, origin: Origin) -> Path:
    """Write a checkpoint's `origin.json`; returns it."""
    write_json(checkpoint / ORIGIN, asdict(origin))
    return checkpoint / ORIGIN


def _known(kind: type, content: Any) -> Any:
    names = {attribute.name for attribute in fields(kind)}
    return kind(**{key: value for key, value in content.items() if key in names})


def read_origin(checkpoint: Path) -> Origin:
    """A checkpoint's `origin.json`; an empty history where it has none.

    Raises:
        BadInput: it is damaged.
    """
    path = checkpoint / ORIGIN
    if not path.is_file():
        return Origin()
    content = read_json(path)
    try:
        base = content["base"]
        return Origin(
            base=None if base is None else _known(Base, base),
            trainings=[_known(Training, training) for training in content["trainings"]],
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path}: not the history of a checkpoint of ours ({error}); copy the checkpoint again, or delete this "
            "file to export without it"
        ) from None
