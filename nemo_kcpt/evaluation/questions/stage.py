"""Questions for the models: train questions, which training has seen, and test questions, which it has not.

From synthetic= they are the teacher's five qa_* kinds and keywords, of the papers in split.json's `train` for the train
questions and of its `heldout` for the test questions; with human=true those that people asked, which the corpus holds
where its documents came with questions (SQuAD's form, as JaQuAD), as kind human with all `accepted` answers; or both.

    kcpt questions corpus=runs/mine/corpus synthetic=runs/mine/synthetic out=runs/mine/questions
    kcpt questions corpus=… synthetic=… out=… filter=llm                    # GPT-4o-mini; the key is OPENAI_API_KEY
    kcpt questions corpus=… synthetic=… out=… filter=llm model=Qwen/Qwen2.5-72B-Instruct base_url=http://localhost:8000/v1
    kcpt questions out=runs/mine/questions --audit 50                       # a page to check the filter by eye

1. Duplicates. A question that appears twice, or nearly so, is kept once; of a train and a test question the train
   one stays. Other numbers, names or titles make it another question. What was dropped is in dropped.jsonl.
2. Draw. n per split, divided among the kinds in proportion to what is there, at least one each, by seed.
3. Context filter. Questions that only make sense with a document at hand ("What is the proposed method of this paper?")
   are not asked of a model from memory. filter=rules needs no network; filter=llm asks an LLM for a verdict of 0 or 1
   and its reason, in journal.sqlite, so that nothing is asked twice. Both count a question that names its document's
   title as self-contained. Questions are examined in the order of the draw until n are kept, so that the LLM is asked
   about little more than n. Dropped ones stay in questions.jsonl with kept: false; other stages pass them over. A
   question without a readable verdict is not kept and counts as invalid, not as context-dependent.

--audit N writes audit.html, .md and .json: N questions with verdict and reason, half of them dropped ones, precision
and recall on the package's own labelled questions, Japanese and English, of the rules and with filter=llm of the LLM,
which is asked about these as well. It works later, too, on a finished folder, with out= (and the server's keys) alone.

With general=ja, en or both it writes the project's own general-knowledge questions instead, with all right answers:
what a model knew before, to be asked before and after the training. With retention=ja, en or both it writes the larger
set that retention is measured on, with instructions whose answers a program can check (kcpt score does).

With facts=FILE (the fictional papers of `kcpt demo`) the questions come from the fact sheets instead, and carry beside
the contract `fact`, `accepted` (all right forms of the answer) and `wording` (seen or unseen in training).

Writes questions.jsonl; where something was dropped as a duplicate, dropped.jsonl.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.corpus.human_questions import Papers, from_corpus, from_squad, read_papers, squad_files, warn_of_squad
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions import choose, duplicates, judges, own, sources, validation
from nemo_kcpt.evaluation.questions.audit import measure, write_audit
from nemo_kcpt.evaluation.questions.config import Config as Config
from nemo_kcpt.evaluation.questions.judges import LlmFilter, prompts_sha256
from nemo_kcpt.evaluation.questions.labelled import SHIPPED, read_labelled
from nemo_kcpt.files import canonical_json, sha256_file, sha256_text, write_jsonl
from nemo_kcpt.llm import settings as keys
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import QUESTIONS, SYNTHETIC
from nemo_kcpt.runs import MANIFEST, Stage, exclusive, read_manifest, shaping, stage

if TYPE_CHECKING:
    from nemo_kcpt.evaluation.questions.judges import LlmFilter, NoFilter, Rules

RUNNING = (*keys.RUNNING, "corpus", "synthetic", "facts", "squad", "labelled", "audit", "max_invalid")
"""Keys that do not shape the questions, or whose content enters the fingerprint instead."""
LLM_KEYS = ("model", *keys.SHAPING)
"""Keys that shape verdicts if an LLM gives them."""


def run(config: Config, redo: bool = False) -> None:
    """Write the questions unless they are there; and the page, if it is asked for."""
    for key in ("general", "retention"):
        if language := getattr(config, key):
            given = {name: getattr(config, name) for name in own.SOURCES}
            own.write_own(key, language, given, config.out, redo)
            return
    if config.corpus is None and config.audit and not redo and (config.out / MANIFEST).is_file():
        _audit(config)
        return
    inputs = _inputs(config)
    with stage("questions", config.out, config=_shape(config), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("questions: %s is finished", config.out)
        else:
            _make(config, current)
    if config.audit:
        _audit(config)


def _inputs(config: Config) -> dict[str, Path | str]:
    if config.corpus is None:
        raise BadInput("needs corpus=FOLDER (of kcpt corpus); see kcpt questions --help")
    sources = {"synthetic": config.synthetic, "squad": config.squad, "facts": config.facts}
    given = {name: path for name, path in sources.items() if path is not None}
    if not given and not config.human:
        raise BadInput(
            "needs synthetic=FOLDER (of kcpt synthesize), human=true or facts=FILE; see kcpt questions --help"
        )
    if "facts" in given and (len(given) > 1 or config.human):
        raise BadInput("facts= and synthetic= or human= contradict each other: fact sheets replace all other questions")
    inputs: dict[str, Path | str] = {"corpus": config.corpus, **given}
    if config.squad is not None:
        warn_of_squad("questions")
        files = squad_files(config.squad)
        inputs["squad"] = sha256_text(canonical_json([[file.name, sha256_file(file)] for file in files]))
    return inputs


def _shape(config: Config) -> dict[str, Any]:
    name = config.filter_name()
    shape = {**shaping(config, *RUNNING, *(() if name == "llm" else LLM_KEYS)), "filter": name}
    if name == "llm":
        shape["prompts"] = prompts_sha256()
    return shape


def _make(config: Config, current: Stage) -> None:
    assert config.corpus is not None
    papers = read_papers(config.corpus)
    counts: Counter[str] = Counter()
    read = _read(config, papers, counts)
    source = str(config.synthetic or config.squad or config.facts or config.corpus)
    if not read:
        raise BadInput(
            f"{source}: no question in it; the qa_* kinds and keywords are needed (kcpt synthesize), or questions that "
            "people asked and answered (human=true)"
        )
    sources.check_ids(read)
    chosen = sources.choose_kinds(read, config.kinds, source)
    unique, dropped = duplicates.drop_duplicates(chosen, papers.titles, 0 if config.facts else config.near)
    aside = validation.validation_papers(papers.split["heldout"], config.validation, papers.folder)
    unique, dropped = (validation.of_part(records, aside, config.part) for records in (unique, dropped))
    judge = _judge(config, config.filter_name(), papers.titles)
    expected = 0.4 if config.engine == "vllm" else 0.8  # each round starts the server anew
    questions = choose.draw(unique, config.n, config.seed, judge.judge, expected)
    if isinstance(judge, judges.LlmFilter):
        judge.check()
    current.counts = {
        **{name: _kept(questions, split=name) for name in sources.SPLITS},
        "kinds": {
            name: {
                kind: _kept(questions, split=name, kind=kind) for kind in sorted({record["kind"] for record in unique})
            }
            for name in sources.SPLITS
        },
        "examined": len(questions),
        "context_dependent": sum(question["filter"].get("verdict") == 0 for question in questions),
        "duplicates": sum(record["fate"] == "duplicate" for record in dropped),
        "near_duplicates": sum(record["fate"] == "near duplicate" for record in dropped),
        **counts,
    }
    if isinstance(judge, judges.LlmFilter):
        current.counts |= {"asked": judge.asked, "invalid": judge.invalid, "llm": judge.counts}
    if not any(question["kept"] for question in questions):
        raise BadInput(
            f"the filter '{judge.name}' kept none of {len(questions)} questions; make questions that name their "
            "subject, or keep all with filter=none"
        )
    _write(config, current, questions, dropped)
    _tell(config, current.counts)


def _read(config: Config, papers: Papers, counts: Counter[str]) -> list[dict[str, Any]]:
    if config.facts is not None:
        return list(sources.from_facts(config.facts, papers, config.seed))
    records: list[dict[str, Any]] = []
    if config.synthetic is not None:
        without_human = config.human or config.squad is not None
        records += sources.from_pairs(SYNTHETIC.path(config.synthetic), papers, without_human)
    if config.squad is not None:
        records += from_squad(config.squad, papers, counts)
    if config.human:
        records += from_corpus(papers)
    return records


def _judge(config: Config, name: str, titles: Mapping[str, str]) -> NoFilter | Rules | LlmFilter:
    if name == "llm":
        return judges.LlmFilter(llm=config.llm(), journal=config.out / judges.JOURNAL, max_invalid=config.max_invalid)
    return judges.Rules(titles=titles) if name == "rules" else judges.NoFilter()


def _kept(questions: Sequence[Mapping[str, Any]], **fields: str) -> int:
    return sum(
        question["kept"] and all(question[name] == value for name, value in fields.items()) for question in questions
    )


def _write(
    config: Config, current: Stage, questions: Sequence[Mapping[str, Any]], dropped: Sequence[Mapping[str, Any]]
) -> None:
    write_jsonl(config.out / QUESTIONS.name, questions)
    current.add(config.out / QUESTIONS.name)
    if dropped:
        write_jsonl(config.out / "dropped.jsonl", dropped)
        current.add(config.out / "dropped.jsonl")
    else:
        (config.out / "dropped.jsonl").unlink(missing_ok=True)


def _tell(config: Config, counts: Mapping[str, Any]) -> None:
    short = [name for name in ("train", "test") if counts[name] < config.n]
    if config.facts is None and short:
        LOG.warning("questions: only %s, n=%d were wanted", ", ".join(f"{counts[s]} {s}" for s in short), config.n)
    filtered = f", {counts['context_dependent']} dropped by the filter" if counts["context_dependent"] else ""
    filtered += f", {counts['invalid']} without a verdict" if counts.get("invalid") else ""
    LOG.info(
        "questions: %d train, %d test, %d duplicates dropped%s",
        counts["train"],
        counts["test"],
        counts["duplicates"] + counts["near_duplicates"],
        filtered,
    )


def _audit(config: Config) -> None:
    """The page of a finished folder, by the filter that made it."""
    made_by = read_manifest(config.out)
    if made_by["stage"] != "questions":
        raise BadInput(f"{config.out}: holds the result of kcpt {made_by['stage']}, not of kcpt questions")
    shape = made_by["config"]
    config = replace(config, **{key: shape[key] for key in LLM_KEYS if key in shape})
    records = list(QUESTIONS.read(config.out))
    titles: dict[str, str] = {}
    if config.corpus is not None:
        titles = read_papers(config.corpus).titles
    judge = _judge(config, shape["filter"], titles)
    llm = judge if isinstance(judge, LlmFilter) else None
    with exclusive(config.out):
        measured = measure(read_labelled(config.labelled or SHIPPED), llm)
    page = write_audit(config.out, records, titles, n=config.audit, seed=config.seed, by=judge.name, measured=measured)
    LOG.info("questions: see %s", page)
