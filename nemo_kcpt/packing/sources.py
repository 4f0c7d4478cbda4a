"""Papers with the records about them that may be trained on: the one door by which instruction data reach a pack.

Of the instruction data 8 bytes a record are held (where it is in its file).
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.names import name_form
from nemo_kcpt.errors import BadInput
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import PAPERS, SYNTHETIC
from nemo_kcpt.records.kinds import is_heldout


@dataclass(frozen=True)
class Source:
    """A paper as it is in the files, and its records of synthetic.jsonl; `where` names it in messages."""

    where: str
    paper: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]] = ()

    def checked(self) -> Source:
        """Itself, if text and pairs are text."""
        check_text(self.paper["text"], f"{self.where}: text")
        for record in self.records:
            for number, pair in enumerate(record["pairs"], start=1):
                for name in ("instruction", "output"):
                    check_text(pair.get(name), f"{self.where}: {name} of pair {number} of kind {record['kind']}")
        return self

    @property
    def size(self) -> int:
        """Characters."""
        pairs = (pair for record in self.records for pair in record["pairs"])
        return len(self.paper["text"]) + sum(len(pair["instruction"]) + len(pair["output"]) for pair in pairs)


@dataclass(frozen=True)
class Records:
    """The records of synthetic.jsonl by paper, read when they are asked for; held-out ones cannot be asked for.

    This is the only door by which instruction data reach a pack, so no option can let held-out pairs in.
    """

    path: Path
    places: Mapping[str, array[int]]
    shuffle_seed: int | None = None

    @classmethod
    def index(
        cls, path: Path, heldout: Iterable[str], shuffle_seed: int | None = None, kinds: Sequence[str] = ()
    ) -> Records:
        """Read the file once, keeping where each record is that may be trained on.

        Args:
            path: synthetic.jsonl.
            heldout: papers whose questions and keywords are kept out.
            shuffle_seed: shuffle a paper's records with it; None keeps the file's order.
            kinds: those to keep; empty for all.

        Raises:
            BadInput: no record is of one of the kinds.
        """
        excluded = {form for paper_id in heldout for form in (paper_id, name_form(str(paper_id)))}
        present = set()
        places: dict[str, array[int]] = {}
        for offset, record in _with_offsets(path):
            present.add(record["kind"])
            kept_out = is_heldout(record) and excluded & {record["paper_id"], name_form(str(record["paper_id"]))}
            if not kept_out and (not kinds or record["kind"] in kinds):
                places.setdefault(record["paper_id"], array("q")).append(offset)
        if absent := sorted(set(kinds) - present):
            raise BadInput(f"{path}: kinds: no record of '{absent[0]}'; there are {', '.join(sorted(present))}")
        return cls(path, places, shuffle_seed)

    def of(self, paper_id: str) -> list[dict[str, Any]]:
        """A paper's records, in the file's order or shuffled by seed and paper; of its id the form does not matter."""
        places = list(self.places.get(self.known(paper_id), ()))
        if self.shuffle_seed is not None:
            random.Random(f"{self.shuffle_seed} {paper_id}").shuffle(places)
        with self.path.open("rb") as stream:
            records = []
            for offset in places:
                stream.seek(offset)
                records.append(json.loads(stream.readline()))
        return records

    def known(self, paper_id: str) -> str:
        """The id under which the file has the records of a paper."""
        return paper_id if paper_id in self.places else self._by_form.get(name_form(str(paper_id)), paper_id)

    @cached_property
    def _by_form(self) -> dict[str, str]:
        return {name_form(str(paper_id)): paper_id for paper_id in self.places}


def _with_offsets(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Records with the byte at which their line begins."""
    checked = SYNTHETIC.lines(path)
    following = next(checked, None)
    with path.open("rb") as stream:
        offset = 0
        for number, raw in enumerate(stream, start=1):
            if following is not None and following[0] == number:
                yield offset + (3 if raw.startswith(b"\xef\xbb\xbf") else 0), following[1]
                following = next(checked, None)
            offset += len(raw)


def sources(papers: Path, records: Records | None) -> Iterator[Source]:
    """The papers of papers.jsonl in order, with the records that may be trained on.

    Raises:
        BadInput: a text or pair is not text (half of a surrogate pair, a missing field); names file, line and paper. Or
            no record is about any of the papers.
    """
    unknown = set(records.places) if records is not None else set()
    before = len(unknown)
    for number, paper in PAPERS.lines(papers):
        own = records.of(paper["paper_id"]) if records is not None else []
        unknown.discard(records.known(paper["paper_id"]) if records is not None else "")
        yield Source(f"{papers}, line {number}, paper {paper['paper_id']}", paper, own).checked()
    if unknown and records is not None:
        examples = ", ".join(sorted(unknown)[:3])
        if len(unknown) == before:
            raise BadInput(
                f"{records.path}: none of its {before} paper_ids ({examples}, …) is in {papers}; give the corpus that "
                "these pairs were written about"
            )
        LOG.warning(
            "pack: %s: pairs about %d papers that are not in %s are left out (%s, …)",
            records.path,
            len(unknown),
            papers,
            examples,
        )


def check_text(text: Any, where: str) -> None:
    """Refuse what is not text, naming its place."""
    if not isinstance(text, str):
        raise BadInput(f"{where}: expected text, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{where}: character {error.start} is half of a surrogate pair ({text[error.start]!a}), which is not text; "
            "mend the file it comes from, or clean it with kcpt corpus"
        ) from None
