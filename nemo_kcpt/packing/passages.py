"""Passages: where a text may be divided, and which passage a pair is about.

Retrieval is BM25 (Robertson & Zaragoza 2009; the library bm25s) over passages and their sentences, with words as terms
and, where words are not written apart (Japanese, Chinese), character n-grams. What a pair outputs counts twice, since
its instruction also names the paper and asks. `tools/bench/packing.py` holds it against JaQuAD's annotators.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.text.parts import BORDERS
from nemo_kcpt.text.raised import nfkc

Borders = NDArray[np.int32]

_TERMS = re.compile(r"[a-zà-öø-ÿ]+|\d[\d,.]*\d|\d|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff々〆ー]+|[^\W\d_]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff々〆ー]")
_SENTENCE_ENDS = re.compile(r"(?<=[。．！？!?\n])|(?<=\.)\s")
LONGEST_GRAM = 3
MOST_SCORES = 4_000_000
"""Scores of sentences that are in memory at once: pairs of a very long paper are asked about in several batches."""
SENTENCE_WEIGHT = 0.6
"""Weight of a passage's best sentence beside the passage itself; 0.3 to 2 are as good on JaQuAD."""
NEW_SHARE, LEAST_NEW_TERMS = 0.04, 5
"""What a neighbouring passage must add to be one that a pair is about: a share of the output's terms, and a number."""


def terms(text: str) -> list[str]:
    """Words and numbers in lower case, and the 1- to 3-grams of Japanese or Chinese characters."""
    tokens: list[str] = []
    for word in _TERMS.findall(text.lower()):
        if _UNSPACED.match(word):
            sizes = range(1, LONGEST_GRAM + 1)
            tokens += [word[i : i + size] for size in sizes for i in range(len(word) - size + 1)]
        else:
            tokens.append(word)
    return tokens


def possible_borders(text: str, starts: NDArray[np.int32]) -> list[Borders]:
    """Token positions where a text may be divided, one array for each of `BORDERS`, the best kind first.

    Args:
        text: the text.
        starts: [tokens] the character at which each token starts.
    """
    return [
        np.unique(np.searchsorted(starts, [match.end() for match in pattern.finditer(text)])).astype(np.int32)
        for pattern in BORDERS
    ]


def passage_borders(possible: Sequence[Borders], tokens: int, most: int) -> Borders:
    """Divide `tokens` tokens into passages of at most `most`, at the best border in a passage's second half.

    Returns:
        0, …, `tokens`: int32 [passages + 1]; a text without tokens has no passage.
    """
    borders = [0]
    while borders[-1] < tokens:
        start = borders[-1]
        end = min(start + most, tokens)
        if end < tokens:
            end = _best_border(possible, start + most // 2, end)
        borders.append(end)
    return np.array(borders, dtype=np.int32)


def _best_border(possible: Sequence[Borders], after: int, most: int) -> int:
    for borders in possible:
        index = int(np.searchsorted(borders, most, side="right")) - 1
        if index >= 0 and borders[index] > after:
            return int(borders[index])
    return most


def supporting_passages(
    passages: Sequence[str], pairs: Sequence[tuple[str, str]], most: int = 1
) -> list[tuple[int, int]]:
    """Which of the passages each pair (instruction, output) is about.

    The best BM25 score, among the passages that quote the whole output if some do, the first of equals; a pair that
    shares no word with any goes to the first. A long output may be about several: neighbours are added one by one while
    the next holds a good share of its words and n-grams that the others lack, up to `most` passages.

    Returns:
        For each pair the first passage and the one after the last.
    """
    if len(passages) == 1 or not pairs:
        return [(0, 1)] * len(pairs)
    tokens = [terms(passage) for passage in passages]
    if not any(tokens):
        return [(0, 1)] * len(pairs)
    lines = [_lines(passage) for passage in passages]
    firsts = np.cumsum([0, *map(len, lines)])  # of each passage's sentences, and how many there are in all
    whole, sentences = _Index(tokens), _Index([terms(line) for own in lines for line in own])
    written = [_plain(passage) for passage in passages]
    telling = [{term for term in words if len(term) > 1} for words in tokens]
    best: list[tuple[int, int]] = []
    for some in _batches(pairs, MOST_SCORES // int(firsts[-1])):
        outputs = [set(terms(output)) for _, output in some]
        asked = [said | set(terms(instruction)) for said, (instruction, _) in zip(outputs, some)]
        of_passages, of_sentences = whole.scores(asked, outputs), sentences.scores(asked, outputs)
        # The best sentence of each passage.
        closest = np.maximum.reduceat(of_sentences, firsts[:-1], axis=1)
        scored = zip(some, outputs, of_passages, of_passages + SENTENCE_WEIGHT * closest)
        for (_, output), said, alone, scores in scored:
            if not alone.any():
                best.append((0, 1))
                continue
            quoted = _plain(output)
            quoting = np.array([quoted in passage for passage in written]) if quoted else np.zeros(0, dtype=np.bool_)
            index = int(np.argmax(np.where(quoting, scores, -1.0) if quoting.any() else scores))
            best.append(_with_neighbours(index, {term for term in said if len(term) > 1}, telling, most))
    return best


def _batches(pairs: Sequence[tuple[str, str]], size: int) -> Iterator[Sequence[tuple[str, str]]]:
    size = max(1, size)
    yield from (pairs[start : start + size] for start in range(0, len(pairs), size))


class _Index:
    """BM25 over a few texts, given as terms."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        import bm25s
        from scipy.sparse import csc_array

        index = bm25s.BM25()
        index.index([list(text) or [""] for text in texts], show_progress=False)
        scores = index.scores
        self._number_of = index.vocab_dict
        shape = (len(texts), len(scores["indptr"]) - 1)
        self._scores = csc_array((scores["data"], scores["indices"], scores["indptr"]), shape=shape)

    def scores(self, asked: Sequence[set[str]], again: Sequence[set[str]]) -> NDArray[np.float32]:
        """The score of each text for each question's terms, those that are also in `again` twice: [questions, texts].

        One product of sparse matrices: bm25s alone adds term by term and question by question, which takes ten times
        as long.
        """
        from scipy.sparse import csr_array

        numbers, weights, ends = [], [], [0]
        for wanted, twice in zip(asked, again):
            known = sorted(self._number_of[term] for term in self._number_of.keys() & wanted)
            doubled = {self._number_of[term] for term in self._number_of.keys() & twice}
            numbers += known
            weights += [2.0 if number in doubled else 1.0 for number in known]
            ends.append(len(numbers))
        shape = (len(asked), self._scores.shape[1])
        questions = csr_array((np.array(weights, dtype=np.float32), numbers, ends), shape=shape)
        return (questions @ self._scores.T).toarray()


def _lines(text: str) -> list[str]:
    return [line for line in _SENTENCE_ENDS.split(text) if line.strip()] or [text]


def _with_neighbours(passage: int, said: set[str], telling: Sequence[set[str]], most: int) -> tuple[int, int]:
    first, end = passage, passage + 1
    missing = said - telling[passage]
    needed = max(LEAST_NEW_TERMS, NEW_SHARE * len(said))
    while end - first < most:
        gains = [(len(missing & telling[other]), other) for other in (first - 1, end) if 0 <= other < len(telling)]
        gain, other = max(gains, key=lambda candidate: candidate[0], default=(0, passage))
        if gain < needed:
            break
        missing -= telling[other]
        first, end = min(first, other), max(end, other + 1)
    return first, end


def _plain(text: str) -> str:
    """Text as it is compared to find a quotation: its letters and digits alone."""
    return "".join(character for character in nfkc(text).lower() if character.isalnum())
