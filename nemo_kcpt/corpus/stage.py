"""Read documents of any kind, clean them, drop duplicates, and hold papers out.

Reads JSON Lines, CSV, Parquet, Hugging Face data sets (a folder or a name on the hub), folders of Markdown, text, HTML
and PDF files, and SQuAD-style JSON. Writes papers.jsonl (paper_id, title, text, source, license, meta, language,
sections, references), split.json (seed, heldout, train), documents.parquet (what became of every document),
dropped.jsonl (those left out and why), questions.jsonl (questions that people asked, where the input has any),
flaws.jsonl (what is wrong in papers that were kept, if anything) and the data sheet (datasheet.html, datasheet.md,
datasheet.json).

Held out means: the question-answer and keyword data of a paper never reach training; its text does.

    kcpt corpus input=papers/ out=runs/mine/corpus
    kcpt corpus --config conf/corpus/j-research-corpus.yaml out=runs/anlp/corpus
    kcpt corpus input=papers/ out=runs/mine/corpus --diff 2024/A1-2.pdf     # before and after cleaning
    kcpt corpus input=papers/ out=runs/mine/corpus --shard 0/4              # on each of four machines: 0/4 … 3/4
    kcpt corpus input=papers/ out=runs/mine/corpus --merge                  # then once
    kcpt corpus input=papers/ out=runs/mine/corpus launcher=ray             # on all machines of a Ray cluster
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.cleaning import STEPS
from nemo_kcpt.corpus.config import OCR
from nemo_kcpt.corpus.config import Config as Config
from nemo_kcpt.corpus.datasheet import write_datasheet
from nemo_kcpt.corpus.diff import show
from nemo_kcpt.corpus.merge import Rules, merge
from nemo_kcpt.corpus.on_ray import on_ray
from nemo_kcpt.corpus.parts import check_complete, make_parts
from nemo_kcpt.corpus.split import Draw
from nemo_kcpt.corpus.unread import count_unread
from nemo_kcpt.documents.memory import files_stay
from nemo_kcpt.files import canonical_json, sha256_text
from nemo_kcpt.logs import LOG
from nemo_kcpt.readers import Piece, Place, Reader, added_of, choose_readers, content_hash, divide
from nemo_kcpt.runs import Shard, exclusive, hash_input, shaping, stage

__doc__ += "\nCleaning steps, in the order in which they run; switch off by name with without=[…]:\n" + "".join(
    f"    {name:20s} {(step.__doc__ or '').strip().splitlines()[0]}\n" for name, step in STEPS.items()
)

READING = 4
"""Raised when the same bytes give other papers, so that what an earlier version left half done is read anew."""
PARTS = "parts"
"""Folder, below `out`, of what has been read and cleaned so far; it goes when the corpus is done."""
OUTPUTS = ("papers.jsonl", "split.json", "documents.parquet", "dropped.jsonl", "questions.jsonl", "flaws.jsonl")
RUNNING = (
    "input",
    "workers",
    "shard",
    "merge",
    "diff",
    "fresh_split",
    "ocr_base_url",
    "ocr_api_key_env",
    "ocr_concurrency",
    "ocr_timeout",
    "launcher",
)
"""Keys that do not shape a result, or whose content enters the fingerprint instead of their text."""


def run(config: Config, redo: bool = False) -> None:
    """Make the corpus unless it is there; or read a shard of it; or show what cleaning does to a document."""
    place = config.place()
    with files_stay():
        chosen = choose_readers(place, config.format)
        content = "" if config.diff else content_hash(place, chosen)
    settings = config.settings()
    if config.diff:
        show(config.diff, place, chosen, settings, out=config.out)
        return
    inputs = _inputs(config)
    parts = config.out / PARTS / _identity(config, place, chosen, content, inputs)[:16]
    if config.shard:
        shard = Shard.parse(config.shard)
        with exclusive(parts / f"shard-{shard.index}-of-{shard.of}"):
            pieces = list(divide(place, chosen))
            _read_pictures(config, place, pieces[shard.index :: shard.of])
            make_parts(place, pieces, settings, parts, workers=config.workers, shard=shard.index, shards=shard.of)
        LOG.info("corpus: shard %s is done; when all are: the same command with --merge instead", config.shard)
        return
    shape = {**shaping(config, *RUNNING), "format": "+".join(reader.name for reader in chosen), "content": content}
    shape |= plugins.used(added_of(chosen))
    earlier = _earlier_split(config, redo)
    with stage("corpus", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("corpus: %s is finished", config.out)
            shutil.rmtree(parts, ignore_errors=True)  # a run that was killed while it deleted them
            return
        pieces = list(divide(place, chosen))
        if config.merge:
            check_complete(len(pieces), parts)
        else:
            _read_pictures(config, place, pieces)
        launch = on_ray if config.launcher == "ray" else None
        make_parts(place, pieces, settings, parts, workers=config.workers, launch=launch)
        current.counts = merge(place.name, parts, config.out, _rules(config, earlier))
        with files_stay():
            current.counts["unread"] = count_unread(place, chosen)
        current.add(*(path for name in OUTPUTS if (path := config.out / name).is_file()))
        current.add(
            *write_datasheet(
                config.out, name=place.name, config=current.config, counts=current.counts, seed=config.seed
            )
        )
        _tell(current.counts)
    # Not before the manifest is there: a run that is killed while it deletes them could not make the corpus again.
    shutil.rmtree(config.out / PARTS)


def _read_pictures(config: Config, place: Place, pieces: Sequence[Piece]) -> None:
    """Ask the vision model, if there is one, for pages that are pictures."""
    if not config.ocr:
        return
    from nemo_kcpt.corpus.ocr import read_pictures

    name = f"journal-{config.shard.replace('/', '-of-')}.sqlite" if config.shard else "journal.sqlite"
    read_pictures(
        place,
        pieces,
        config.ocr_model(),
        config.ocr_dpi,
        config.out / OCR,
        journal=name,
        workers=config.workers or os.cpu_count() or 1,
    )


def _inputs(config: Config) -> dict[str, Path]:
    named = {"heldout_list": config.heldout_list, "keep_split": config.keep_split}
    if config.tokenizer is not None:
        named["tokenizer"] = config.tokenizer / "tokenizer.json"
    return {name: path for name, path in named.items() if path is not None}


def _identity(config: Config, place: Place, chosen: Sequence[Reader], content: str, inputs: Mapping[str, Path]) -> str:
    """Identity of the parts: what is read, how, and what shapes a paper."""
    settings, shaped = config.settings(), vars(config)
    tokenizer = hash_input(inputs["tokenizer"]) if "tokenizer" in inputs else ""
    how: list[Any] = [READING, place.encoding, place.follow_links, place.max_bytes, [reader.name for reader in chosen]]
    if place.ocr:
        how.append([shaped[name] for name in ("ocr", "ocr_dpi", "ocr_max_tokens", "ocr_extra_body")])
    if used := added_of(chosen):
        how.append(plugins.used(used))
    return sha256_text(canonical_json([content, how, {**vars(settings), "tokenizer": tokenizer}]))


def _earlier_split(config: Config, redo: bool) -> Path | None:
    """The split whose papers keep their sides: the one named, or with --redo that of the out folder."""
    if config.fresh_split or config.heldout_list is not None:
        return None
    own = config.out / "split.json"
    return config.keep_split or (own if redo and own.is_file() else None)


def _rules(config: Config, earlier: Path | None) -> Rules:
    draw = Draw(
        seed=config.seed,
        fraction=0.1 if config.heldout_fraction is None else config.heldout_fraction,
        count=config.heldout_count,
        names=config.heldout_list,
        earlier=earlier,
        stratified=bool(config.stratify_field),
    )
    return Rules(
        duplicates=config.duplicates,
        near_duplicates=config.near_duplicates,
        same_side=config.same_side,
        max_bad=config.max_bad,
        draw=draw,
    )


def _tell(counts: Mapping[str, Any]) -> None:
    LOG.info("corpus: %d papers, %d characters, %d held out", counts["papers"], counts["characters"], counts["heldout"])
    gone = {
        "with the same text": counts["dropped_duplicates"],
        "nearly the same": counts["dropped_near_duplicates"],
        "filtered": counts["filtered"],
        "bad": counts["bad"],
    }
    if left_out := ", ".join(f"{count} {what}" for what, count in gone.items() if count):
        LOG.info("corpus: left out: %s; see dropped.jsonl", left_out)
    if counts["kept_sides"]:
        LOG.info("corpus: %d papers keep their side of the earlier split", counts["kept_sides"])
