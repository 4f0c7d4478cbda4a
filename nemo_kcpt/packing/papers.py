"""Papers with their instruction data as token ids, made by all cores in the order of the corpus.

Each process tokenises whole papers and finds the passage that each pair is about, so that what goes between processes
are arrays. Memory stays at a few hundred papers whatever the corpus's size.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.hf.tokenizer import Messages, PackTokenizer, with_system
from nemo_kcpt.packing.passages import passage_borders, possible_borders, supporting_passages
from nemo_kcpt.packing.sources import Source, check_text
from nemo_kcpt.processes import pool

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

    def is_reply(self, position: int) -> bool:
        """Whether the token at `position` belongs to a reply."""
        turns = int(np.searchsorted(self.borders, position, side="right"))
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
        """Tokens of the text and all pairs."""
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


def pair_messages(pair: Mapping[str, str]) -> Messages:
    """An instruction-output pair as the two messages of a conversation."""
    return ({"role": "user", "content": pair["instruction"]}, {"role": "assistant", "content": pair["output"]})


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


def checked_messages(messages: Any, where: str) -> list[dict[str, str]]:
    """The messages of a conversation.

    Raises:
        BadInput: they are none; names `where`.
    """
    if not isinstance(messages, list) or not messages:
        raise BadInput(f"{where}: messages: expected a list of {{role, content}}")
    for message in messages:
        if not isinstance(message, dict) or not all(isinstance(message.get(x), str) for x in ("role", "content")):
            raise BadInput(f"{where}: messages: expected {{role, content}}, found {str(message)[:80]}")
        check_text(message["content"], f"{where}: messages")
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
