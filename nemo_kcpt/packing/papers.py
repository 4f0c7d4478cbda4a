"""Papers with their instruction data as token ids, made by all cores in the order of the corpus.

Each process tokenises whole papers and finds the passage that each pair is about, so that what goes between processes
are arrays. Memory stays at a few hundred papers whatever the corpus's size; of the instruction data 8 bytes a record
are held (where it is in its file).
"""

from __future__ import annotations

import json
import os
import random
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.corpus.names import name_form
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.hf.tokenizer import Messages, PackTokenizer, with_system
from nemo_kcpt.logs import LOG
from nemo_kcpt.packing.passages import passage_borders, possible_borders, supporting_passages
from nemo_kcpt.processes import pool
from nemo_kcpt.records.files import PAPERS, SYNTHETIC
from nemo_kcpt.records.kinds import is_heldout

CHUNK = 400_000
"""Characters of text and pairs that a process takes at a time."""
SMALL = 2_000_000
"""Bytes of input up to which starting processes costs more than they save."""


@dataclass(frozen=True, kw_only=True)
class TokenisedPair:
    """A conversation: `ids` int32 [n]; `borders` are where instruction and reply take turns, `first_is_reply` who
    begins; `support` the tokens of its paper's text that it is about, (-1, -1) if none is known."""

    kind: str
    ids: NDArray[np.int32]
    borders: NDArray[np.int32]
    first_is_reply: bool = False
    support: tuple[int, int] = (-1, -1)

    def is_reply(self, place: int) -> bool:
        """Whether the token at `place` belongs to a reply."""
        turns = int(np.searchsorted(self.borders, place, side="right"))
        return bool(turns % 2) != self.first_is_reply


@dataclass(frozen=True, kw_only=True)
class TokenisedPaper:
    """A paper's text and its pairs.

    `ids` int32 [n] is the text with its begin and end tokens; `passages` int32 [p + 1] are the borders of its passages,
    0 … n, and `borders` where else it may be divided without cutting a sentence.
    """

    paper_id: str
    ids: NDArray[np.int32]
    passages: NDArray[np.int32]
    borders: NDArray[np.int32]
    pairs: list[TokenisedPair] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Of the text and all pairs."""
        return len(self.ids) + sum(len(pair.ids) for pair in self.pairs)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What shapes the tokens.

    `passage_tokens`: a passage's most, 0 for texts that need not be divided and have no pairs; `support_tokens`: the
    most of the neighbouring passages that one pair is about; `bos`, `eos`: whether a text begins and ends with the
    tokenizer's tokens; `system`: a message before each pair or sample that has none; `template`: a chat template
    instead of the tokenizer's own, `day` the date that templates write.
    """

    tokenizer: Path
    system: str = ""
    passage_tokens: int = 0
    support_tokens: int = 0
    bos: bool = True
    eos: bool = True
    template: str = ""
    day: str = DATE


@dataclass(frozen=True)
class Source:
    """A paper as it is in the files, and its records of synthetic.jsonl; `place` names it in messages."""

    place: str
    paper: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]] = ()

    def checked(self) -> Source:
        """Itself, if text and pairs are text."""
        check_text(self.paper["text"], f"{self.place}: text")
        for record in self.records:
            for number, pair in enumerate(record["pairs"], start=1):
                for name in ("instruction", "output"):
                    check_text(pair.get(name), f"{self.place}: {name} of pair {number} of kind {record['kind']}")
        return self

    @property
    def size(self) -> int:
        """Characters."""
        pairs = (pair for record in self.records for pair in record["pairs"])
        return len(self.paper["text"]) + sum(len(pair["instruction"]) + len(pair["output"]) for pair in pairs)


def pair_messages(pair: Mapping[str, str]) -> Messages:
    """An instruction-output pair as the two messages of a conversation."""
    return ({"role": "user", "content": pair["instruction"]}, {"role": "assistant", "content": pair["output"]})


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
        """Read the file once, keeping where each record stands that may be trained on.

        Args:
            path: synthetic.jsonl.
            heldout: papers whose questions and keywords are kept out.
            shuffle_seed: shuffle a paper's records with it; None keeps the file's order.
            kinds: those to keep; empty for all.

        Raises:
            BadInput: no record is of one of the kinds.
        """
        excluded = {form for paper_id in heldout for form in (paper_id, name_form(str(paper_id)))}
        found = set()
        places: dict[str, array[int]] = {}
        for offset, record in _with_offsets(path):
            found.add(record["kind"])
            kept_out = is_heldout(record) and excluded & {record["paper_id"], name_form(str(record["paper_id"]))}
            if not kept_out and (not kinds or record["kind"] in kinds):
                places.setdefault(record["paper_id"], array("q")).append(offset)
        if absent := sorted(set(kinds) - found):
            raise BadInput(f"{path}: kinds: no record of '{absent[0]}'; there are {', '.join(sorted(found))}")
        return cls(path, places, shuffle_seed)

    def of(self, paper_id: str) -> list[dict[str, Any]]:
        """A paper's records, in the file's order or shuffled by seed and paper; of its id the form does not matter."""
        places = list(self.places.get(self.known(paper_id), ()))
        if self.shuffle_seed is not None:
            random.Random(f"{self.shuffle_seed} {paper_id}").shuffle(places)
        with self.path.open("rb") as stream:
            records = []
            for place in places:
                stream.seek(place)
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
        found = records.of(paper["paper_id"]) if records is not None else []
        unknown.discard(records.known(paper["paper_id"]) if records is not None else "")
        yield Source(f"{papers}, line {number}, paper {paper['paper_id']}", paper, found).checked()
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


@lru_cache(maxsize=2)
def _tokenizer(folder: Path, template: str, day: str) -> PackTokenizer:
    return PackTokenizer(folder, template, day)


def tokenise(chunk: Sequence[Source], settings: Settings) -> list[TokenisedPaper]:
    """Tokenise some papers."""
    tokenizer = _tokenizer(settings.tokenizer, settings.template, settings.day)
    if not settings.passage_tokens:
        return _whole(chunk, tokenizer, settings)
    texts = tokenizer.texts_with_starts([source.paper["text"] for source in chunk])
    pairs_of_all = (pair for source in chunk for record in source.records for pair in record["pairs"])
    chats = iter(tokenizer.chats([with_system(pair_messages(pair), settings.system) for pair in pairs_of_all]))
    begin = _special(tokenizer, "bos_token", settings.bos)
    end = _special(tokenizer, "eos_token", settings.eos)
    result = []
    for source, text in zip(chunk, texts):
        characters, before = source.paper["text"], len(begin)
        levels = [b[b < len(text.ids)] + before for b in possible_borders(characters, text.starts)]
        # An empty paper has no text: begin and end alone would teach that documents are empty.
        ids = np.concatenate([begin, text.ids, end]) if len(text.ids) else text.ids
        passages = passage_borders(levels, len(ids), settings.passage_tokens)
        cuts = [int(text.starts[min(max(cut - before, 0), len(text.starts) - 1)]) for cut in passages[1:-1]]
        spoken = [characters[a:b] for a, b in zip([0, *cuts], [*cuts, len(characters)])] if len(ids) else []
        pairs = [(record["kind"], pair) for record in source.records for pair in record["pairs"]]
        said = [(pair["instruction"], pair["output"]) for _, pair in pairs]
        most = max(1, settings.support_tokens // settings.passage_tokens)
        supports = supporting_passages(spoken, said, most) if spoken else [None] * len(pairs)
        result.append(
            TokenisedPaper(
                paper_id=source.paper["paper_id"],
                ids=ids,
                passages=passages,
                borders=np.unique(np.concatenate(levels[:-1])),
                pairs=[
                    _pair(kind, chat, (-1, -1) if best is None else (int(passages[best[0]]), int(passages[best[1]])))
                    for (kind, _), chat, best in zip(pairs, chats, supports)
                ],
            )
        )
    return result


def _whole(chunk: Sequence[Source], tokenizer: PackTokenizer, settings: Settings) -> list[TokenisedPaper]:
    """Texts alone, in one passage each; without the tokens' places this takes a third less time."""
    begin = _special(tokenizer, "bos_token", settings.bos)
    end = _special(tokenizer, "eos_token", settings.eos)
    result = []
    for source, text in zip(chunk, tokenizer.text_ids([source.paper["text"] for source in chunk])):
        ids = np.concatenate([begin, text, end]) if len(text) else text
        passages = np.array([0, len(ids)] if len(ids) else [0], dtype=np.int32)
        result.append(TokenisedPaper(paper_id=source.paper["paper_id"], ids=ids, passages=passages, borders=passages))
    return result


def _pair(kind: str, chat: Any, support: tuple[int, int]) -> TokenisedPair:
    turns = np.flatnonzero(np.diff(chat.reply)) + 1
    return TokenisedPair(
        kind=kind,
        ids=chat.ids,
        borders=turns.astype(np.int32),
        first_is_reply=bool(len(chat.reply) and chat.reply[0]),
        support=support,
    )


def tokenise_samples(chunk: Sequence[Mapping[str, Any]], settings: Settings) -> list[TokenisedPair]:
    """Tokenise some samples of an instruction-tuning set (`sft/*.jsonl`); `kind` is their origin.

    A sample of several replies makes one for each where the template writes earlier ones in another form.
    """
    tokenizer = _tokenizer(settings.tokenizer, settings.template, settings.day)
    parts = [
        (sample["origin"], part)
        for sample in chunk
        for part in tokenizer.per_reply(with_system(sample["messages"], settings.system))
    ]
    chats = tokenizer.chats([part for _, part in parts])
    return [_pair(origin, chat, (-1, -1)) for (origin, _), chat in zip(parts, chats)]


def _special(tokenizer: PackTokenizer, name: str, wanted: bool) -> NDArray[np.int32]:
    token = tokenizer.token_id(name) if wanted else None
    return np.array([] if token is None else [token], dtype=np.int32)


def check_text(text: Any, place: str) -> None:
    """Refuse what is not text, naming its place."""
    if not isinstance(text, str):
        raise BadInput(f"{place}: expected text, found {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"{place}: character {error.start} is half of a surrogate pair ({text[error.start]!a}), which is not text; "
            "mend the file it comes from, or clean it with kcpt corpus"
        ) from None


def checked_messages(messages: Any, place: str) -> list[dict[str, str]]:
    """The messages of a conversation.

    Raises:
        BadInput: they are none; names `place`.
    """
    if not isinstance(messages, list) or not messages:
        raise BadInput(f"{place}: messages: expected a list of {{role, content}}")
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(x), str) for x in ("role", "content")):
            raise BadInput(f"{place}: messages: expected {{role, content}}, found {str(message)[:80]}")
        check_text(message["content"], f"{place}: messages")
    return messages


def in_parallel(chunks: Iterable[Any], work: Any, settings: Settings, workers: int) -> Iterator[Any]:
    """`work(chunk, settings)` for each chunk, in order; by processes if `workers` is over 1."""
    if workers <= 1:
        yield from (work(chunk, settings) for chunk in chunks)
        return
    waiting: deque[Future[Any]] = deque()
    # The processes are the parallelism.
    with pool(workers, environment={"TOKENIZERS_PARALLELISM": "false"}) as executor:
        for chunk in chunks:
            waiting.append(executor.submit(work, chunk, settings))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def workers_for(size: int, wanted: int) -> int:
    """Processes for an input of `size` bytes; `wanted` 0 means all cores this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if size < SMALL else wanted or available


def chunked(items: Iterable[Any], size: Any, most: int = CHUNK) -> Iterator[list[Any]]:
    """Lists of items whose sizes come to about `most`."""
    chunk: list[Any] = []
    total = 0
    for item in items:
        chunk.append(item)
        total += size(item)
        if total >= most:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk
