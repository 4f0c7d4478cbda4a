"""What an export does, without NeMo: whoever calls it brings what compares the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.checkpoints.adapter_folder import write_adapter
from nemo_kcpt.checkpoints.adapters import Adapters, Lora, Merged, base_of_adapters, read_lora
from nemo_kcpt.checkpoints.card import write_adapter_card, write_card
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.export import Average, write_configs, write_tokenizer_of, write_weights
from nemo_kcpt.checkpoints.finished import (
    check_complete,
    find_checkpoint,
    finished_checkpoints,
    identity,
    training_checkpoints,
)
from nemo_kcpt.checkpoints.origin import Origin, read_origin
from nemo_kcpt.checkpoints.safetensors_file import TYPES
from nemo_kcpt.checkpoints.target import appearing, check_space
from nemo_kcpt.config import MISSING, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_file, sha256_text, write_json
from nemo_kcpt.hf.families import added_of
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.hf.tokenizer import tokenizer_inputs
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.runs import LATER, Stage, later, shaping

PARITY = "parity.json"
KEEP = "keep"
Compare = Callable[[Path, Path, ModelShape], dict[str, Any] | None]
SPARE_BYTES = 64 << 20
"""Beside the tensors' bytes: headers, tokenizer, configs."""
LAST = "-last"
"""NeMo's name for the newest checkpoint, which may be beside the same one under its own name."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert export`."""

    checkpoint: Path = Path(MISSING)
    """A checkpoint of either backend, or a training folder, whose newest finished checkpoint is taken."""
    out: Path = Path(MISSING)
    """Hugging Face folder to write; --to is short for it."""
    tokenizer: Path | None = None
    """Hugging Face tokenizer folder that the model was trained with; default: that of the model once imported."""
    dtype: str = KEEP
    """keep (the checkpoint's), float32, bfloat16 or float16."""
    average: int = 1
    """Checkpoints to average in float32: the last ones of a training folder."""
    max_shard_gb: float = 5.0
    """Size of a weights file; an interrupted export resumes at the first unfinished one."""
    check: bool = True
    """Compare logits with the Megatron model; needs NeMo, and is left out where memory for both models is short."""
    tolerance: float = 1e-4
    """Largest absolute difference of a logit that passes, float32."""
    scores: Path | None = None
    """Folder of kcpt score whose means go into the model card; an export that is there needs --redo for it."""
    adapter: bool = later(False)
    """Adapters alone are exported of a training with lora=, as PEFT and vLLM load them beside the base model."""
    base: Path | None = field(default=None, metadata=LATER)
    """Checkpoint that a training with lora= started from, where it is no longer at its place."""


def _sources(path: Path, wanted: int) -> list[Path]:
    """The checkpoints to export, the newest last."""
    if wanted < 1:
        raise BadInput(f"average: {wanted} was given, the number of checkpoints must be at least 1")
    if wanted == 1:
        return [find_checkpoint(path)]
    folder = training_checkpoints(path)
    # One state may be in two folders, under its own name and as the last.
    checkpoints = list(
        {checkpoint.name.removesuffix(LAST): checkpoint for checkpoint in finished_checkpoints(folder)}.values()
    )
    if len(checkpoints) < wanted:
        names = ", ".join(checkpoint.name for checkpoint in checkpoints) or "none"
        raise BadInput(
            f"{folder}: average={wanted} was given, and there are {len(checkpoints)} finished checkpoints in it "
            f"({names}); give a training's folder and at most that number. A training keeps more with "
            "log.ckpt.save_top_k=N (-1: all)"
        )
    for checkpoint in checkpoints[-wanted:]:
        check_complete(checkpoint)
    return checkpoints[-wanted:]


def _adapters(config: Config, sources: list[Path]) -> tuple[Lora, Path] | None:
    """The adapters of a checkpoint and the base that they go with; None where its weights are whole."""
    lora = read_lora(sources[-1])
    if lora is None:
        for key in ("adapter", "base"):
            if getattr(config, key):
                raise BadInput(f"{key}: {sources[-1]} holds no adapters but whole weights; leave it out")
        return None
    if len(sources) > 1:
        raise BadInput(f"average: {sources[-1]} holds adapters, of which no mean is taken; export one checkpoint")
    return lora, base_of_adapters(sources[-1], lora, config.base)


def _shape(sources: list[Path]) -> ModelShape:
    shape = read_shape(sources[-1])
    for other in sources[:-1]:
        if differing := shape.differences(read_shape(other)):
            raise BadInput(f"{other}: cannot be averaged with {sources[-1].name}: {', '.join(differing)}")
    return shape


def _tokenizer(config: Config, origin: Origin) -> Path | None:
    """The tokenizer folder given, or that of the imported base model if it is still there and still the same."""
    if config.tokenizer is not None:
        return config.tokenizer
    if origin.base is None or not (Path(origin.base.folder) / "tokenizer.json").is_file():
        return None
    folder = Path(origin.base.folder)
    if origin.tokenizer_json is not None and sha256_file(folder / "tokenizer.json") != origin.tokenizer_json:
        raise BadInput(
            f"{folder}/tokenizer.json: is another one than the weights were trained with; give tokenizer= the folder "
            "that the packs were made with"
        )
    return folder


def _dtypes(readers: list[CheckpointReader]) -> list[str]:
    return sorted({str(kind).removeprefix("torch.") for reader in readers for kind in reader.dtypes})


def _dtype(readers: list[CheckpointReader], wanted: str) -> str:
    dtypes = _dtypes(readers)
    choices = (KEEP, *TYPES)
    if wanted not in choices:
        raise BadInput(f"dtype: '{wanted}' is not one of {', '.join(choices)}; {nearest(wanted, choices)}")
    if wanted != KEEP:
        return wanted
    if len(dtypes) != 1 or dtypes[0] not in TYPES:
        raise BadInput(
            f"{readers[-1].folder}: its tensors are of {', '.join(dtypes)}; give dtype= one of {choices[1:]}"
        )
    return dtypes[0]


def run(config: Config, redo: bool = False, *, bare: bool = False, compare: Compare | None = None) -> None:
    """Export unless it is done.

    Args:
        config: what to export.
        redo: make it again though it is there.
        bare: write weights and configs alone where there is no tokenizer.
        compare: what `config.check` asks for, given the checkpoint, the folder and the model's shape; None leaves it
            out. It returns the contents of parity.json, or None where it could not compare.

    Raises:
        BadInput: there is no checkpoint, tokenizer or room.
    """
    sources = _sources(config.checkpoint, config.average)
    checkpoint, shape = sources[-1], _shape(sources)
    origin = read_origin(checkpoint)
    tokenizer = _tokenizer(config, origin)
    if tokenizer is None and not bare:
        raise BadInput(
            f"{checkpoint}: it does not say which tokenizer belongs to it, or that folder is gone; give tokenizer= the "
            "Hugging Face folder that the packs were made with"
        )
    adapted = _adapters(config, sources)
    whole = sources if adapted is None or config.adapter else [adapted[1]]
    readers = [CheckpointReader(source) for source in whole]
    dtype = _dtype(readers, config.dtype)
    inputs: dict[str, Path | str] = {
        "checkpoint": sha256_text("; ".join(map(identity, sources))),
        **(tokenizer_inputs(tokenizer) if tokenizer else {}),
        **({"scores": config.scores} if config.scores is not None else {}),
        **({"base": adapted[0].base_weights} if adapted else {}),
    }
    keys = shaping(config) | plugins.used(added_of(shape))
    with appearing("convert", config.out, config=keys, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("convert: %s is finished", config.out)
            return
        folder = current.out
        if adapted and config.adapter:
            _write_adapter(current, shape, Adapters(checkpoint, adapted[0]), origin, tokenizer, dtype)
            return
        there = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        check_space(folder, shape.parameters() * TYPES[dtype][1] + SPARE_BYTES - there, "the export")
        reader: Any = readers[0] if len(readers) == 1 else Average(readers)
        reader = Merged(readers[0], Adapters(checkpoint, adapted[0])) if adapted else reader
        with progress() as bar:
            task, done = bar.add_task("export: million weights", total=round(shape.parameters() / 1e6)), 0

            def seen(weights: int) -> None:
                nonlocal done
                done += weights
                bar.update(task, completed=round(done / 1e6))

            largest = int(config.max_shard_gb * 1e9)
            current.add(*write_weights(reader.read, shape, folder, dtype, largest, seen))
        current.add(*write_configs(shape, tokenizer, origin, folder, dtype))
        averaged = [source.name for source in sources] if len(sources) > 1 else []
        current.add(*write_card(shape, origin, averaged, folder, dtype, config.scores))
        if config.check and compare is not None and tokenizer is not None:
            if len(sources) > 1 or _dtypes(readers) != [dtype] or (adapted and dtype != "float32"):
                LOG.info("convert: logits are compared only of weights that are exported as they are")
            elif (compared := compare(checkpoint, folder, shape)) is not None:
                write_json(folder / PARITY, compared)
                current.add(folder / PARITY)
        current.counts |= {"lora": asdict(adapted[0])} if adapted else {}
        current.counts["origin"] = {"trainings": len(origin.trainings), "base": origin.base and origin.base.name}
    LOG.info("convert: %s, %.1f million weights in %s", config.out, shape.parameters() / 1e6, dtype)


def _write_adapter(
    current: Stage, shape: ModelShape, adapters: Adapters, origin: Origin, tokenizer: Path | None, dtype: str
) -> None:
    """What `adapter=true` asks for: the adapters, the tokenizer, a card."""
    folder, base = current.out, origin.base.folder if origin.base else ""
    current.add(*write_adapter(shape, adapters, base, folder, dtype))
    if tokenizer is not None:
        current.add(*write_tokenizer_of(origin, tokenizer, folder, shape.positions))
    current.add(write_adapter_card(adapters.lora, origin, folder))
    current.counts |= {"lora": asdict(adapters.lora)}
    LOG.info("convert: adapters of rank %d, in %s", adapters.lora.rank, dtype)
