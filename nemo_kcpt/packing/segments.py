"""Segments: the pieces of token stream that packing places, each with its paper, kind and role."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import Any

from nemo_kcpt.packing.tokenise import ChatIds, Messages, PackTokenizer
from nemo_kcpt.synthesis.kinds import is_heldout

TEXT, INSTRUCTION, OUTPUT = "text", "instruction", "output"
"""Roles: running text of a paper, the prompt side of a pair, the reply side of a pair."""

NO_PAIR = -1
"""The `pair` of running text."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Consecutive tokens of one role. `document` numbers the unit that attention may be confined to."""

    ids: Sequence[int]
    paper_id: str
    kind: str
    role: str
    document: int
    pair: int = NO_PAIR
    """Which instruction-output pair of the stream this belongs to, counted from 0."""


def chat_segments(chat: ChatIds, *, paper_id: str, kind: str, document: int, pair: int) -> Iterator[Segment]:
    """A tokenised conversation as alternating instruction and output segments."""
    position = 0
    for is_reply, run in groupby(chat.reply):
        length = len(list(run))
        role = OUTPUT if is_reply else INSTRUCTION
        yield Segment(
            ids=chat.ids[position : position + length],
            paper_id=paper_id,
            kind=kind,
            role=role,
            document=document,
            pair=pair,
        )
        position += length


def pair_messages(pair: Mapping[str, str]) -> Messages:
    """An instruction-output pair as the two messages of a conversation."""
    return ({"role": "user", "content": pair["instruction"]}, {"role": "assistant", "content": pair["output"]})


def paper_segments(
    papers: Iterable[Mapping[str, Any]],
    synthetic: Iterable[Mapping[str, Any]],
    heldout: Iterable[str],
    tokenizer: PackTokenizer,
    *,
    include_pairs: bool = True,
) -> Iterator[Segment]:
    """Each paper's text and then its pairs, kind after kind; of held-out papers without `qa_*` and `keywords`.

    A text stands between the tokenizer's bos and eos tokens (those that it has); a pair stands as the chat template
    writes it. Held-out pairs are left out here, at the only door to the pack, so no option can let them in.
    """
    excluded = set(heldout)
    by_paper: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in synthetic:
        if not (record["paper_id"] in excluded and is_heldout(record)):
            by_paper[record["paper_id"]].append(record)
    begin = [token for token in (tokenizer.token_id("bos_token"),) if token is not None]
    end = [token for token in (tokenizer.token_id("eos_token"),) if token is not None]
    numbers = count()
    for document, paper in enumerate(papers):
        paper_id = paper["paper_id"]
        ids = begin + tokenizer.text_ids([paper["text"]])[0] + end
        yield Segment(ids=ids, paper_id=paper_id, kind="text", role=TEXT, document=document)
        if not include_pairs:
            continue
        for record in by_paper[paper_id]:
            for pair in record["pairs"]:
                chat = tokenizer.chat_ids(pair_messages(pair))
                yield from chat_segments(
                    chat, paper_id=paper_id, kind=record["kind"], document=document, pair=next(numbers)
                )


def instruction_segments(samples: Iterable[Mapping[str, Any]], tokenizer: PackTokenizer) -> Iterator[Segment]:
    """Each instruction-tuning sample (`sft/*.jsonl`) as a document of its own."""
    for document, sample in enumerate(samples):
        chat = tokenizer.chat_ids(sample["messages"])
        paper_id = sample.get("paper_id") or ""
        yield from chat_segments(chat, paper_id=paper_id, kind=sample["origin"], document=document, pair=document)
