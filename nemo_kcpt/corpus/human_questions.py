"""The split of a corpus, and the questions that people asked about its documents, as the corpus wrote them.

Until the next release the stages behind the corpus read them from the SQuAD-style files, too (`from_squad`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.names import name_form
from nemo_kcpt.documents.base import Place
from nemo_kcpt.errors import BadInput
from nemo_kcpt.logs import LOG
from nemo_kcpt.readers.squad import Malformed, article_id, is_squad, load_whole, once, parse_article
from nemo_kcpt.records.files import DROPPED, PAPERS, QUESTIONS
from nemo_kcpt.records.inputs import read_split
from nemo_kcpt.records.kinds import HUMAN
from nemo_kcpt.text.letters import bare

SPLITS = {"train": "train", "test": "heldout"}
"""Split of a question -> list of split.json from whose papers it comes."""
SHOWN = 5
"""Offenders that a message names."""


@dataclass(kw_only=True)
class Papers:
    """What is known of a corpus's papers."""

    titles: dict[str, str]
    """paper_id -> title, empty if it has none."""
    split: dict[str, list[str]]
    """train and heldout of split.json."""
    folder: Path
    side: dict[str, str] = field(init=False)
    """paper_id -> split of its questions."""

    def __post_init__(self) -> None:
        self.side = {paper_id: name for name, key in SPLITS.items() for paper_id in self.split[key]}
        self._by_form = {name_form(paper_id): paper_id for paper_id in self.side}

    def known(self, paper_id: str) -> str:
        """The corpus's own id for one that may be written in another form (NFD, full width); empty if it has none."""
        return paper_id if paper_id in self.side else self._by_form.get(name_form(paper_id), "")


def read_papers(corpus: Path) -> Papers:
    """Titles and split of a corpus folder.

    Raises:
        BadInput: split.json has another form, names a paper that is not there, or has one on both sides.
    """
    path = corpus / "split.json"
    split = read_split(path, *SPLITS.values())
    titles = {str(record["paper_id"]): str(record.get("title") or "") for record in PAPERS.read(corpus)}
    for name in SPLITS.values():
        unknown = [paper_id for paper_id in split[name] if paper_id not in titles]
        if unknown:
            raise BadInput(f"{path}: {name} names paper '{unknown[0]}', which is not in {PAPERS.path(corpus)}")
    both = set(split["train"]) & set(split["heldout"])
    if both:
        raise BadInput(
            f"{path}: paper '{min(both)}' is both in train and in heldout; held-out questions would be known"
        )
    return Papers(titles=titles, split=split, folder=corpus)


def from_corpus(papers: Papers) -> Iterator[dict[str, Any]]:
    """People's questions as `kcpt corpus` wrote them; `accepted` holds all answers, `answer` the first.

    Raises:
        BadInput: the documents came without questions, an earlier version wrote the first answers alone, or a question
            is about a paper that is not in split.json.
    """
    path = QUESTIONS.path(papers.folder)
    if not path.is_file():
        raise BadInput(
            f"{papers.folder}: no {path.name} in it, so its documents came without questions that people asked; make "
            "the corpus of documents that have them (SQuAD-style JSON), or omit human=true"
        )
    for number, record in QUESTIONS.lines(path):
        where = f"{path}, line {number}"
        if not record.get("accepted"):
            raise BadInput(
                f"{where}: no field accepted with every right answer; an earlier version of nemo_kcpt wrote the first "
                "alone. Make the corpus again with --redo, or give squad=FILE instead of human=true"
            )
        paper_id = str(record["paper_id"])
        if paper_id not in papers.side:
            raise BadInput(
                f"{where}: paper '{paper_id}' is not in {papers.folder / 'split.json'}; both are of one corpus"
            )
        yield {
            "split": papers.side[paper_id],
            "question_id": record["question_id"],
            "paper_id": paper_id,
            "kind": HUMAN,
            "question": str(record["question"]).strip(),
            "answer": record["answer"],
            "accepted": record["accepted"],
        }


def warn_of_squad(stage: str) -> None:
    """Say what replaces squad=, which the next release has no more."""
    LOG.warning("%s: squad= goes with the next release: human=true takes the same questions from the corpus", stage)


def squad_files(path: Path) -> list[Path]:
    """The SQuAD-style file itself, or those below a folder, in the order in which `kcpt corpus` reads them.

    Raises:
        BadInput: there is none.
    """
    if not path.expanduser().exists():
        raise BadInput(f"{path}: no such file or folder")
    place = Place(name=str(path))
    files = place.files((".json",))
    matching = files if place.path.is_file() else [file for file in files if is_squad(file)]
    if not matching:
        raise BadInput(f"{path}: no SQuAD-style JSON file in it; give the file or folder that `kcpt corpus` read")
    return matching


def from_squad(path: Path, papers: Papers, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """Human questions of a SQuAD-style file or folder; `accepted` holds all answers, `answer` the first.

    `counts` gets the number of `unanswered` questions (is_impossible, or no answer), of those of articles that the
    corpus left out (`of_dropped_papers`), and of `malformed` parts, which the corpus leaves out, too; these are named
    in a warning.

    Raises:
        BadInput: not SQuAD-style, or not the file from which the corpus was made.
    """
    left_out = _left_out(papers.folder)
    used: set[str] = set()
    flaws: list[str] = []
    for file in squad_files(path):
        in_file: set[str] = set()
        for number, article in enumerate(_articles(Place(name=str(path)), file)):
            where = f"{file}, data[{number}]"
            given = article_id(article, file, number)
            paper_id = papers.known(given)
            try:
                parsed = parse_article(article, paper_id or given, in_file, where)
            except Malformed as error:  # the corpus could read no paper from it either
                flaws.append(f"{where}: {error}")
                continue
            if not paper_id:
                if name_form(given) not in left_out:
                    raise BadInput(
                        f"{where}: article '{given}' is not in {papers.folder}; give the SQuAD file from which "
                        "that corpus was made, under the same file name (it is part of the ids)"
                    )
                counts["of_dropped_papers"] += len(parsed.questions) + parsed.unanswered
                continue
            _check_title(where, article, papers.titles[paper_id])
            counts["unanswered"] += parsed.unanswered
            flaws += [f"{flaw.where}: {flaw.detail}" for flaw in parsed.flaws]
            for asked in parsed.questions:
                question_id = name_form(asked.question_id)
                while question_id in used:  # as the corpus does: two files may number alike
                    question_id = f"{paper_id}/{question_id}"
                used.add(question_id)
                yield {
                    "split": papers.side[paper_id],
                    "question_id": question_id,
                    "paper_id": paper_id,
                    "kind": HUMAN,
                    "question": asked.question.strip(),
                    "answer": asked.answer,
                    "accepted": list(asked.accepted),
                }
    if flaws:
        counts["malformed"] = len(flaws)
        LOG.warning(
            "%s: %d questions, answers or paragraphs are malformed and left out: %s%s",
            *(path, len(flaws), "; ".join(flaws[:SHOWN]), " …" if len(flaws) > SHOWN else ""),
        )


def _left_out(corpus: Path) -> set[str]:
    path = DROPPED.path(corpus)
    return {name_form(str(record.get("paper_id"))) for record in DROPPED.read(path)} if path.is_file() else set()


def _articles(place: Place, file: Path) -> list[Any]:
    try:
        content = once(load_whole(place, file))
    except Malformed as error:
        raise BadInput(f"{file}: {error}") from None
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list) or not articles:
        raise BadInput(
            f'{file}: expected SQuAD-style JSON, {{"data": [{{"title": …, "paragraphs": [{{"qas": …}}]}}]}}, '
            "with at least one article"
        )
    return articles


def _check_title(where: str, article: Any, title: str) -> None:
    given = str((article.get("title") if isinstance(article, dict) else "") or "")
    if title and given and bare(title) != bare(given):
        raise BadInput(
            f"{where}: its title is '{given}', but the corpus's paper of that id is '{title}'; "
            "give the SQuAD file from which the corpus was made"
        )
