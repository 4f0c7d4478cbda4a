"""Read documents, clean and check them, and hold some papers out.

Reads JSON Lines, Parquet, Hugging Face data sets (a save_to_disk folder or a hub name), a folder of Markdown or text
files, and SQuAD-style JSON. Writes papers.jsonl (paper_id, title, text, source, license, meta), split.json
(seed, heldout, train) and, where duplicates were dropped, duplicates.jsonl.

Held out means: the question-answer and keyword data of a paper never reach training; its text does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.corpus.papers import Checks, Fields, papers
from nemo_kcpt.corpus.readers import READERS, Place, choose_format, content_hash
from nemo_kcpt.corpus.split import draw_heldout, heldout_count, read_heldout_list
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import shaping, stage


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt corpus`."""

    documents: str = MISSING
    """File, folder, or name of a data set on the Hugging Face hub."""
    out: Path = Path(MISSING)
    """Folder for papers.jsonl and split.json."""
    format: str = "auto"
    """auto, jsonl, parquet, datasets, text or squad; auto goes by file names."""
    text_field: str = "text"
    """Field that holds a document's text."""
    id_field: str = ""
    """Field that holds its id; empty: paper_id, id or doc_id, whichever is there, else made from the text's hash."""
    title_field: str = ""
    """Field that holds its title; empty: title if it is there."""
    license: str = ""
    """Licence of documents that carry none in a field `license`."""
    hf_split: str = ""
    """Split of a Hugging Face data set that has several."""
    hf_revision: str = ""
    """Revision of a data set on the hub; give one, so that the same documents are read again later."""
    nfc: bool = False
    """Normalise text to Unicode NFC (composed characters); off, since it also changes some CJK characters."""
    duplicates: str = "refuse"
    """What to do about documents with exactly the same text: refuse, or drop all but the first."""
    empty: str = "refuse"
    """What to do about documents without text: refuse or drop."""
    bad_characters: str = "refuse"
    """What to do about NUL and lone surrogates: refuse, or repair (NUL removed, U+FFFD for a surrogate)."""
    seed: int = 1
    """Seed of the draw of held-out papers."""
    heldout_fraction: float | None = None
    """Share of papers to hold out; 0.1 if none of the three heldout keys is given, 0 for none."""
    heldout_count: int | None = None
    """Number of papers to hold out."""
    heldout_list: Path | None = None
    """File with the ids to hold out, one a line, or an earlier split.json."""

    def __post_init__(self) -> None:
        for key, allowed in (
            ("format", ("auto", *READERS)),
            ("duplicates", ("refuse", "drop")),
            ("empty", ("refuse", "drop")),
            ("bad_characters", ("refuse", "repair")),
        ):
            if getattr(self, key) not in allowed:
                raise ValueError(f"{key}: '{getattr(self, key)}' is not one of {', '.join(allowed)}")
        ways = [key for key in ("heldout_fraction", "heldout_count", "heldout_list") if getattr(self, key) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)}: give one of them, they contradict each other")
        if self.heldout_fraction is not None and not 0 <= self.heldout_fraction < 1:
            raise ValueError(f"heldout_fraction: {self.heldout_fraction} is not a share from 0 up to 1")
        if self.heldout_count is not None and self.heldout_count < 0:
            raise ValueError(f"heldout_count: {self.heldout_count} is negative")


def _heldout(config: Config, paper_ids: list[str]) -> set[str]:
    if config.heldout_list is not None:
        return read_heldout_list(config.heldout_list, set(paper_ids))
    fraction = 0.1 if config.heldout_fraction is None else config.heldout_fraction
    count = heldout_count(len(paper_ids), fraction=fraction, count=config.heldout_count)
    return draw_heldout(paper_ids, count, config.seed)


def run(config: Config, redo: bool = False) -> None:
    """Make papers.jsonl and split.json unless they are there."""
    place = Place(name=config.documents, split=config.hf_split, revision=config.hf_revision)
    format = choose_format(place) if config.format == "auto" else config.format
    if format != "datasets" and not place.path.exists():
        raise BadInput(f"{place.path}: no such file or folder (documents=)")
    shape = {**shaping(config, "documents", "heldout_list"), "format": format, "content": content_hash(place, format)}
    inputs = {} if config.heldout_list is None else {"heldout_list": config.heldout_list}
    with stage("corpus", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("corpus: %s is finished", config.out)
            return
        fields = Fields(text=config.text_field, paper_id=config.id_field, title=config.title_field)
        checks = Checks(
            license=config.license,
            nfc=config.nfc,
            drop_duplicates=config.duplicates == "drop",
            drop_empty=config.empty == "drop",
            repair=config.bad_characters == "repair",
        )
        paper_ids: list[str] = []

        def with_ids() -> Iterator[dict[str, Any]]:
            for paper in papers(READERS[format](place), fields, checks):
                paper_ids.append(paper["paper_id"])
                yield paper
            checks.raise_if_refused(place.name)

        write_jsonl(config.out / "papers.jsonl", with_ids())
        heldout = _heldout(config, paper_ids)
        split = {"seed": config.seed, "heldout": sorted(heldout), "train": sorted(set(paper_ids) - heldout)}
        write_json(config.out / "split.json", split)
        current.add(config.out / "papers.jsonl", config.out / "split.json")
        if checks.duplicates:
            write_jsonl(config.out / "duplicates.jsonl", checks.duplicate_records())
            current.add(config.out / "duplicates.jsonl")
        current.counts = {
            "papers": len(paper_ids),
            "heldout": len(heldout),
            "characters": checks.characters,
            "dropped_duplicates": len(checks.duplicates),
            "dropped_empty": checks.empty_count,
            "repaired": checks.unusable_count,
        }
        LOG.info("corpus: %d papers, %d characters, %d held out", len(paper_ids), checks.characters, len(heldout))
        if dropped := len(checks.duplicates) + checks.empty_count:
            LOG.info(
                "corpus: dropped %d duplicates and %d without text", dropped - checks.empty_count, checks.empty_count
            )
