"""Pairs of the questions that people asked about a corpus's documents.

The instruction is the question as `kcpt questions` asks it, the output the first answer, a span of the text: so a train
question has been seen in training word for word, and an answer from memory has the form of the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.human_questions import from_corpus, from_squad, read_papers, squad_files
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json, sha256_file, sha256_text
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.kinds import HUMAN
from nemo_kcpt.synthesis.prompts import LANGUAGES, Prompt, Prompts

Pairs = dict[str, list[dict[str, str]]]


def recorded_pairs(corpus: Path) -> Pairs:
    """paper_id -> pairs of the questions that a corpus holds.

    Raises:
        BadInput: as `from_corpus`.
    """
    return _by_paper(from_corpus(read_papers(corpus)))


def human_pairs(squad: Path, corpus: Path) -> Pairs:
    """paper_id -> pairs; questions without an answer, or of documents that the corpus left out, are passed over.

    Raises:
        BadInput: not SQuAD-style, not the file from which the corpus was made, or without a question.
    """
    passed: Counter[str] = Counter()
    pairs = _by_paper(from_squad(squad, read_papers(corpus), passed))
    if not pairs:
        raise BadInput(
            f"squad={squad}: no answered question about a document of {corpus}; give the SQuAD-style file from which "
            "that corpus was made, or omit squad="
        )
    LOG.debug("synthesize: %s: %d documents with questions, %s", squad, len(pairs), dict(passed))
    return pairs


def _by_paper(records: Iterable[Mapping[str, Any]]) -> Pairs:
    pairs: Pairs = {}
    for record in records:
        pair = {"instruction": record["question"], "output": record["answer"]}
        pairs.setdefault(record["paper_id"], []).append(pair)
    return pairs


def squad_sha256(squad: Path) -> str:
    """What of the file or folder shapes the pairs."""
    return sha256_text(canonical_json([[file.name, sha256_file(file)] for file in squad_files(squad)]))


def human_prompts(languages: Sequence[str] = LANGUAGES) -> dict[str, Prompts]:
    """The shipped prompts and one for the kind that no teacher is asked for: it keeps the kind out of training."""
    known = {language: Prompts(language) for language in languages}
    for language, prompts in known.items():
        prompts.by_kind[HUMAN] = Prompt(
            kind=HUMAN, language=language, pairs=1, heldout=True, form="pairs", wordings=(), body="", path=Path(HUMAN)
        )
    return known
