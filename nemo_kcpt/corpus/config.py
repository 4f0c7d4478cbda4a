"""Keys of `kcpt corpus`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.cleaning import STEPS
from nemo_kcpt.config import MISSING, check_least, nearest
from nemo_kcpt.corpus.papers import Settings
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.readers import Place
from nemo_kcpt.runs import LATER, Shard, later

OCR = "ocr"
"""Folder, below `out`, of the journal of a vision model and of what it read; it stays, since it was paid for."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt corpus`."""

    input: str = MISSING
    """File, folder, or name of a data set on the Hugging Face hub."""
    out: Path = Path(MISSING)
    """Folder for papers.jsonl, split.json and the data sheet."""
    format: str = "auto"
    """auto (by file names), or one of the formats of docs/corpus.md, or one that an installed package adds."""
    text_field: str = "text"
    """Field that holds a document's text."""
    id_field: str = ""
    """Field that holds its id; empty: paper_id, id or doc_id, whichever is there, else made from the text's hash."""
    title_field: str = ""
    """Field that holds its title; empty: title if it is there, else found in the text."""
    license_field: str = "license"
    """Field that holds its licence."""
    license: str = ""
    """Licence of documents that carry none."""
    hf_split: str = ""
    """Split of a Hugging Face data set that has several."""
    hf_revision: str = ""
    """Revision of a data set on the hub; give one, so that the same documents are read again later."""
    encoding: str = "auto"
    """Encoding of text files; auto: recognised (UTF-8, UTF-16, CP932, EUC-JP, ISO-2022-JP, others), never guessed."""
    follow_links: bool = False
    """Read files that links in the folder point to outside of it."""
    max_document_mb: int = 64
    """A single document (a line, row or file) larger than this many MiB is bad."""
    max_bad: int = 0
    """Bad documents (unreadable, empty, without a field, …) that are left out and listed; one more is an error."""
    without: list[str] = field(default_factory=list)
    """Cleaning steps to switch off, of those listed above, as [nfkc,references]; all: no cleaning."""
    languages: list[str] = field(default_factory=list)
    """Keep only documents in these languages, as [ja,en]; empty keeps all."""
    licenses: list[str] = field(default_factory=list)
    """Keep only documents under these licences, as ['CC BY 4.0',MIT]; empty keeps all."""
    min_characters: int = 1
    """Leave out documents with fewer characters after cleaning."""
    max_characters: int = 0
    """Leave out documents with more characters after cleaning; 0: no limit."""
    duplicates: str = "drop"
    """Documents with exactly the same text: drop all but the first, or refuse."""
    near_duplicates: float = 0.8
    """Similarity (Jaccard, 5 characters or words) from which on only the longest document is kept; 0 keeps all."""
    same_side: float = 0.5
    """Documents at least so similar stay on one side of the split; 0 looks at titles and identifiers only."""
    same_paper_fields: list[str] = field(default_factory=lambda: ["doi", "arxiv_id", "translation_of"])
    """Fields whose equal values mean the same paper, or that hold the id of another edition."""
    tokenizer: Path | None = None
    """Folder of a Hugging Face tokenizer (tokenizer.json) to count tokens with."""
    seed: int = 1
    """Seed of the draw of held-out papers."""
    heldout_fraction: float | None = None
    """Share of papers to hold out; 0.1 if none of the three heldout keys is given, 0 for none."""
    heldout_count: int | None = None
    """Number of papers to hold out."""
    heldout_list: Path | None = None
    """File with the ids to hold out, one a line, or an earlier split.json."""
    stratify_field: str = ""
    """Hold out the same share of every value of this field."""
    keep_split: Path | None = None
    """An earlier split.json: its papers keep their sides. With --redo, that of the out folder unless fresh_split."""
    fresh_split: bool = False
    """Draw a new split even if the out folder holds an earlier one."""
    ocr: str = later("")
    """Vision model that reads pages which are only pictures, by its name on a server; empty: they are only named."""
    ocr_base_url: str = later("")
    """Address of the vision model's server, as http://localhost:8000/v1; empty: OPENAI_BASE_URL, else OpenAI's own."""
    ocr_api_key_env: str = later("OPENAI_API_KEY")
    """Environment variable with the key of the vision model's server; servers without keys need none."""
    ocr_dpi: int = later(200)
    """Dots per inch at which pages are drawn for the vision model, 4,096 pixels a side at most."""
    ocr_max_tokens: int = later(8192)
    """Tokens that the vision model may write about a page."""
    ocr_extra_body: dict[str, Any] = field(default_factory=dict, metadata=LATER)
    """More fields of the request to the vision model; null leaves one out, as {max_tokens: null}."""
    ocr_concurrency: int = later(8)
    """Pages that the vision model reads at once."""
    ocr_timeout: float = later(300)
    """Seconds until a request for a page times out and is made again."""
    workers: int = 0
    """Processes that read and clean; 0: one a core, with launcher=ray one for each CPU of the cluster."""
    launcher: str = later("")
    """ray: read and clean on the Ray cluster that RAY_ADDRESS names, else on the one that runs here; empty: here."""
    shard: str = ""
    """i/n: read and clean only the i-th of n equal parts, counted from 0, on this machine; --merge unites them."""
    merge: bool = False
    """Unite the shards in the out folder."""
    diff: str = ""
    """Show this document before and after cleaning, and write nothing."""

    def __post_init__(self) -> None:
        if self.duplicates not in ("drop", "refuse"):
            raise ValueError(f"duplicates: '{self.duplicates}' is not one of drop, refuse")
        for name in self.without:
            if name not in (*STEPS, "all"):
                raise ValueError(f"without: no cleaning step '{name}'; {nearest(name, [*STEPS, 'all'])}")
        if self.launcher not in ("", "ray"):
            raise ValueError(f"launcher: '{self.launcher}' is not ray; omit it to read on this machine")
        if self.launcher and self.shard:
            raise ValueError("shard and launcher: Ray shares the work by itself; omit shard=")
        ways = [key for key in ("heldout_fraction", "heldout_count", "heldout_list") if getattr(self, key) is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)}: give one of them, they contradict each other")
        if self.heldout_fraction is not None and not 0 <= self.heldout_fraction < 1:
            raise ValueError(f"heldout_fraction: {self.heldout_fraction} is not a share from 0 up to 1")
        for key in ("heldout_count", "max_bad", "min_characters", "max_characters", "workers"):
            if (getattr(self, key) or 0) < 0:
                raise ValueError(f"{key}: {getattr(self, key)} is negative")
        for key in ("near_duplicates", "same_side"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"{key}: {getattr(self, key)} is not a similarity from 0 to 1")
        check_least(self, ocr_dpi=36, ocr_max_tokens=1, ocr_concurrency=1, ocr_timeout=1)
        if self.max_document_mb < 1:
            raise ValueError(f"max_document_mb: {self.max_document_mb} is not a size in MiB from 1")
        if self.shard:
            Shard.parse(self.shard)
        if self.shard and self.merge:
            raise ValueError("shard and merge: first every shard, then --merge")

    def place(self) -> Place:
        """Where the documents are."""
        return Place(
            name=self.input,
            split=self.hf_split,
            revision=self.hf_revision,
            encoding=self.encoding,
            follow_links=self.follow_links,
            max_bytes=self.max_document_mb << 20,
            ocr=str(self.out / OCR / "texts") if self.ocr else "",
        )

    def ocr_model(self) -> Llm:
        """The vision model of `ocr`."""
        return Llm(
            model=self.ocr,
            key="ocr",
            base_url=self.ocr_base_url,
            api_key_env=self.ocr_api_key_env,
            max_tokens=self.ocr_max_tokens,
            concurrency=self.ocr_concurrency,
            timeout=self.ocr_timeout,
            extra_body=self.ocr_extra_body,
            structured="none",
        )

    def settings(self) -> Settings:
        """What shapes a paper."""
        steps = () if "all" in self.without else tuple(name for name in STEPS if name not in self.without)
        return Settings(
            text_field=self.text_field,
            id_field=self.id_field,
            title_field=self.title_field,
            license_field=self.license_field,
            license=self.license,
            steps=steps,
            languages=tuple(self.languages),
            licenses=tuple(self.licenses),
            min_characters=self.min_characters,
            max_characters=self.max_characters,
            stratify_field=self.stratify_field,
            same_paper_fields=tuple(self.same_paper_fields),
            tokenizer=str(self.tokenizer or ""),
            compare=self.near_duplicates > 0 or self.same_side > 0,
        )
