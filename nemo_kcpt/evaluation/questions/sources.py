"""Where questions come from: the teacher's pairs, a SQuAD-style file of human questions, the demo's fact sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions.rules import bare
from nemo_kcpt.files import read_json, read_jsonl

SPLITS = {"train": "train", "test": "heldout"}
"""Split of a question -> list of split.json from whose papers it comes."""
HUMAN = "human"
"""Kind of the questions that people asked."""


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


def read_papers(corpus: Path) -> Papers:
    """Titles and split of a corpus folder.

    Raises:
        BadInput: split.json has another form, names a paper that is not there, or has one on both sides.
    """
    path = corpus / "split.json"
    split = read_json(path)
    if not isinstance(split, dict) or not all(isinstance(split.get(name), list) for name in SPLITS.values()):
        raise BadInput(f"{path}: expected an object with the lists train and heldout; make it with `kcpt corpus`")
    titles = {
        str(record["paper_id"]): str(record.get("title") or "")
        for record in read_jsonl(corpus / "papers.jsonl", ("paper_id",))
    }
    for name in SPLITS.values():
        unknown = [paper_id for paper_id in split[name] if paper_id not in titles]
        if unknown:
            raise BadInput(f"{path}: {name} names paper '{unknown[0]}', which is not in {corpus / 'papers.jsonl'}")
    both = set(split["train"]) & set(split["heldout"])
    if both:
        raise BadInput(
            f"{path}: paper '{min(both)}' is both in train and in heldout; held-out questions would be known"
        )
    return Papers(titles=titles, split=split, folder=corpus)


def from_pairs(path: Path, papers: Papers, without_human: bool = False) -> Iterator[dict[str, Any]]:
    """Questions from the pairs of synthetic.jsonl: kinds that never reach training for a held-out paper.

    `without_human` leaves out pairs that are human questions, for they come from their own file with all answers.

    Raises:
        BadInput: a paper that is not in the split, a pair without words, or one paper's kind twice.
    """
    from nemo_kcpt.synthesis.kinds import is_heldout

    seen: set[tuple[Any, ...]] = set()
    for number, record in enumerate(read_jsonl(path, ("paper_id", "kind", "pairs")), start=1):
        paper_id, kind = record["paper_id"], record["kind"]
        if paper_id not in papers.side:
            raise BadInput(
                f"{path}, record {number}: paper '{paper_id}' is not in split.json; "
                "synthesize from the same corpus folder"
            )
        if not is_heldout(record) or (without_human and kind == HUMAN):
            continue
        part = record.get("part") if record.get("parts", 1) > 1 else None
        if (paper_id, kind, part) in seen:
            raise BadInput(
                f"{path}, record {number}: kind {kind} of paper '{paper_id}' stands there twice, and its questions "
                "would have the same ids; keep one of the two records"
            )
        seen.add((paper_id, kind, part))
        for index, pair in enumerate(record["pairs"]):
            texts = [pair.get(name) if isinstance(pair, dict) else None for name in ("instruction", "output")]
            if not all(isinstance(text, str) and text.strip() for text in texts):
                raise BadInput(f"{path}, record {number}, pair {index}: instruction or output is missing or empty")
            yield {
                "question_id": f"{paper_id}:{kind}:{'' if part is None else f'{part}.'}{index}",
                "split": papers.side[paper_id],
                "paper_id": paper_id,
                "kind": kind,
                "question": str(texts[0]).strip(),
                "answer": str(texts[1]).strip(),
            }


def from_facts(path: Path, papers: Papers, seed: int) -> Iterator[dict[str, Any]]:
    """Questions from the fact sheets of the demo's fictional papers.

    Raises:
        BadInput: a record is no fact sheet, or a paper of the split has none.
    """
    from nemo_kcpt.demo.fact_questions import make_questions
    from nemo_kcpt.demo.facts import FactSheet

    sheets = {}
    for number, record in enumerate(read_jsonl(path), start=1):
        try:
            sheet = FactSheet.from_dict(record)
        except (ValueError, TypeError) as error:
            raise BadInput(f"{path}, record {number}: {error}") from None
        sheets[sheet.paper_id] = sheet
    for name, key in SPLITS.items():
        missing = [paper_id for paper_id in papers.split[key] if paper_id not in sheets]
        if missing:
            raise BadInput(
                f"{path}: no fact sheet of paper '{missing[0]}'; give the facts of the corpus that was split"
            )
        yield from make_questions([sheets[paper_id] for paper_id in papers.split[key]], name, seed)


def squad_files(path: Path) -> list[Path]:
    """The SQuAD-style file itself, or those below a folder, in the order in which `kcpt corpus` reads them.

    Raises:
        BadInput: there is none.
    """
    from nemo_kcpt.corpus.readers.base import Place
    from nemo_kcpt.corpus.readers.squad import is_squad

    if not path.expanduser().exists():
        raise BadInput(f"{path}: no such file or folder")
    place = Place(name=str(path))
    files = place.files((".json",))
    found = files if place.path.is_file() else [file for file in files if is_squad(file)]
    if not found:
        raise BadInput(f"{path}: no SQuAD-style JSON file in it; give the file or folder that `kcpt corpus` read")
    return found


def from_squad(path: Path, papers: Papers, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    """Human questions of a SQuAD-style file or folder; `accepted` holds all answers, `answer` the first.

    `counts` is told of `unanswered` questions (is_impossible, or no answer) and of those of articles that the corpus
    left out (`of_dropped_papers`).

    Raises:
        BadInput: not SQuAD-style, or not the file from which the corpus was made.
    """
    left_out = _left_out(papers.folder)
    used: set[str] = set()
    for file in squad_files(path):
        in_file: set[str] = set()
        for number, article in enumerate(_articles(path, file)):
            where = f"{file}, data[{number}]"
            paper_id = str((article.get("id") if isinstance(article, dict) else "") or f"{file.stem}-{number:04d}")
            if paper_id not in papers.side:
                if paper_id not in left_out:
                    raise BadInput(
                        f"{where}: article '{paper_id}' is not in {papers.folder}; give the SQuAD file from which "
                        "that corpus was made, under the same file name (it is part of the ids)"
                    )
                counts["of_dropped_papers"] += sum(map(_asked, _parts(article)))
                continue
            _check_title(where, article, papers.titles[paper_id])
            for record in _questions(where, article, paper_id, in_file, counts):
                while record["question_id"] in used:  # as the corpus does: two files may number alike
                    record["question_id"] = f"{paper_id}/{record['question_id']}"
                used.add(record["question_id"])
                yield {"split": papers.side[paper_id], **record}


def _left_out(corpus: Path) -> set[str]:
    path = corpus / "dropped.jsonl"
    return {str(record.get("paper_id")) for record in read_jsonl(path)} if path.is_file() else set()


def _articles(path: Path, file: Path) -> list[Any]:
    from nemo_kcpt.corpus.readers.base import Place
    from nemo_kcpt.corpus.readers.squad import Malformed, load_whole

    try:
        content = load_whole(Place(name=str(path)), file)
    except Malformed as error:
        raise BadInput(f"{file}: {error}") from None
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list) or not articles:
        raise BadInput(
            f'{file}: expected SQuAD-style JSON, {{"data": [{{"title": …, "paragraphs": [{{"qas": …}}]}}]}}, '
            "with at least one article"
        )
    return articles


def _parts(article: Any) -> list[Mapping[str, Any]]:
    paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
    return [part for part in paragraphs if isinstance(part, dict)] if isinstance(paragraphs, list) else []


def _asked(paragraph: Mapping[str, Any]) -> int:
    qas = paragraph.get("qas")
    return len(qas) if isinstance(qas, list) else 0


def _check_title(where: str, article: Any, title: str) -> None:
    given = str((article.get("title") if isinstance(article, dict) else "") or "")
    if title and given and bare(title) != bare(given):
        raise BadInput(
            f"{where}: its title is '{given}', but the corpus's paper of that id is '{title}'; "
            "give the SQuAD file from which the corpus was made"
        )


def _questions(
    where: str, article: Any, paper_id: str, used: set[str], counts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """The questions of an article with the ids that the corpus's reader gives them."""
    made = 0
    for place, paragraph in enumerate(_parts(article)):
        qas = paragraph.get("qas") or []
        if not isinstance(qas, list):
            raise BadInput(f'{where}.paragraphs[{place}]: expected a list in "qas"')
        for number, item in enumerate(qas):
            part = f"{where}.paragraphs[{place}].qas[{number}]"
            question = item.get("question") if isinstance(item, dict) else None
            if not isinstance(question, str) or not question.strip():
                raise BadInput(f'{part}: expected a text in "question"')
            answers = [] if item.get("is_impossible") else _answers(item.get("answers"), part)
            if not answers:
                counts["unanswered"] += 1
                continue
            wanted = str(item.get("id") or f"{paper_id}-q{made}")
            name, again = wanted, 1
            while name in used:
                again += 1
                name = f"{wanted}-{again}"
            used.add(name)
            made += 1
            yield {
                "question_id": name,
                "paper_id": paper_id,
                "kind": HUMAN,
                "question": question.strip(),
                "answer": answers[0],
                "accepted": answers,
            }


def _answers(answers: Any, part: str) -> list[str]:
    """The different answer texts, in order; none if the first is empty, as in the corpus's reader."""
    if isinstance(answers, dict):  # as in the data sets of the hub: {"text": […], "answer_start": […]}
        answers = [{"text": text} for text in answers.get("text") or []]
    if not answers:
        return []
    if not isinstance(answers, list) or not all(
        isinstance(answer, dict) and isinstance(answer.get("text"), str) for answer in answers
    ):
        raise BadInput(f'{part}: expected answers of the form [{{"text": …}}]')
    texts = [answer["text"].strip() for answer in answers]
    return list(dict.fromkeys(text for text in texts if text)) if texts[0] else []


def choose_kinds(records: Sequence[dict[str, Any]], kinds: Sequence[str], source: str) -> list[dict[str, Any]]:
    """The records of the kinds named; all if none is.

    Raises:
        BadInput: a kind of which there is no question.
    """
    there = list(dict.fromkeys(record["kind"] for record in records))
    for kind in kinds:
        if kind not in there:
            raise BadInput(f"kinds: no question of kind '{kind}' in {source}; {nearest(kind, there or ['none'])}")
    return [record for record in records if not kinds or record["kind"] in kinds]


def check_ids(records: Sequence[Mapping[str, Any]]) -> None:
    """
    Raises:
        BadInput: two questions have one id.
    """
    for question_id, number in Counter(record["question_id"] for record in records).items():
        if number > 1:
            raise BadInput(
                f"question_id '{question_id}' would stand there {number} times: the papers' and the questions' ids "
                "of the sources overlap; make the questions of each source in a folder of its own"
            )
