"""The context filters by name: rules, an LLM, or none. Each keeps its verdict and the reason with the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.errors import KcptError
from nemo_kcpt.evaluation.questions import rules
from nemo_kcpt.files import canonical_json, sha256_text
from nemo_kcpt.llm.ask import ask
from nemo_kcpt.llm.fences import NONCE, fenced, harmless, shortened, visible
from nemo_kcpt.llm.inquiry import Inquiry
from nemo_kcpt.llm.request import UnreadableReply
from nemo_kcpt.llm.verdicts import is_placeholder, read_object

if TYPE_CHECKING:
    from nemo_kcpt.llm.inquiry import Inquiry
    from nemo_kcpt.llm.settings import Llm

FILTERS = ("rules", "llm", "none")
JOURNAL = "journal.sqlite"
TEMPLATES = Path(__file__).resolve().parent / "templates"
FIELDS = ("reason", "self_contained")
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "self_contained": {"type": "integer", "enum": [0, 1]}},
    "required": list(FIELDS),
    "additionalProperties": False,
}
"""Schema of the reply; the reason is thought before the verdict is given, so it comes first."""
REMINDERS = {
    "ja": '\n\n返答は {"reason": "…", "self_contained": 0 または 1} の形の JSON オブジェクト一つだけです。',
    "en": '\n\nReply with one JSON object {"reason": "…", "self_contained": 0 or 1} and nothing else.',
}
LONGEST_REASON = 500
"""Characters of a reason that are kept."""
HOPELESS = 20
"""Questions after which a model that mostly gives no readable verdict is not asked any more."""


@dataclass(kw_only=True)
class NoFilter:
    """Keeps every question; a reason that a question brings along stays."""

    name: str = "none"

    def judge(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """`kept` and `filter` of each record."""
        given = [record.get("filter") or {"reason": "no context filter was asked for"} for record in records]
        return [{"kept": True, "filter": {"by": self.name, "verdict": None, **entry}} for entry in given]


@dataclass(kw_only=True)
class Rules:
    """The offline filter; see `rules`."""

    titles: Mapping[str, str]
    """paper_id -> title."""
    name: str = rules.NAME

    def judge(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """`kept` and `filter` of each record."""
        entries = []
        for record in records:
            verdict = rules.judge(record["question"], self.titles.get(record["paper_id"], ""))
            entries.append(
                {
                    "kept": verdict.self_contained == 1,
                    "filter": {"by": self.name, "verdict": verdict.self_contained, "reason": verdict.reason},
                }
            )
        return entries


@dataclass(kw_only=True)
class LlmFilter:
    """Asks an LLM whether a question stands alone; replies are in the journal, and nothing is asked twice."""

    llm: Llm
    journal: Path
    max_invalid: float
    """Questions that may stay without a readable verdict: a share of those asked if below 1, else a number."""
    asked: int = 0
    invalid: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    """Requests, tokens and cost."""

    @property
    def name(self) -> str:
        """The model's."""
        return self.llm.model

    def judge(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """`kept` and `filter` of each record; one without a readable verdict is not kept.

        Raises:
            KcptError: there is no server, or most questions asked have no verdict.
        """
        inquiries = [inquiry(str(record["question_id"]), str(record["question"])) for record in records]
        answered, totals = ask(inquiries, self.llm, self.journal, "context filter")
        for name, value in vars(totals).items():
            before = self.counts.get(name)
            self.counts[name] = (
                dict(Counter(before) + Counter(value)) if isinstance(value, dict) else value + (before or 0)
            )
        entries: list[dict[str, Any]] = []
        for query in inquiries:
            verdict, reason = answered[query.name].value or (None, f"no readable verdict: {answered[query.name].fault}")
            entries.append({"kept": verdict == 1, "filter": {"by": self.name, "verdict": verdict, "reason": reason}})
        self.asked += len(entries)
        self.invalid += sum(entry["filter"]["verdict"] is None for entry in entries)
        if self.asked >= HOPELESS and self.invalid > self.asked / 2:
            self.check()
        return entries

    def check(self) -> None:
        """
        Raises:
            KcptError: more than `max_invalid` of the questions asked have no verdict.
        """
        if self.invalid > (self.max_invalid * self.asked if self.max_invalid < 1 else self.max_invalid):
            raise KcptError(
                f"context filter: {self.invalid} of {self.asked} questions have no readable verdict of {self.name}, "
                f"more than max_invalid={self.max_invalid}. Run it again (verdicts so far are kept, what the server "
                "did not answer is asked again), try structured= or another model, or allow more with max_invalid="
            )


def inquiry(name: str, question: str) -> Inquiry:
    """What the LLM is asked about a question: in its language, the question fenced as data."""
    language = "ja" if rules.is_japanese(question) else "en"
    text = harmless(question)
    nonce = sha256_text(canonical_json([question]))[:NONCE]  # whoever could write it into the question changes it
    messages = (
        {"role": "system", "content": _instructions(language)},
        {"role": "user", "content": fenced("QUESTION", text, nonce)},
    )
    return Inquiry(
        name=name, kind="context", messages=messages, schema=SCHEMA, read=read_verdict, reminder=REMINDERS[language]
    )


def _instructions(language: str) -> str:
    return (TEMPLATES / f"context.{language}.j2").read_text(encoding="utf-8").strip()


def prompts_sha256() -> str:
    """Identity of the instructions, for fingerprints."""
    return sha256_text("\0".join(_instructions(language) for language in REMINDERS))


def read_verdict(reply: str) -> tuple[int, str]:
    """Verdict and reason of a reply: one JSON object of the schema and nothing else, after the thought if there is any,
    bare or in one code fence.

    Raises:
        UnreadableReply: it has any other form; names the fault.
    """
    value = read_object(reply)
    if set(value) != set(FIELDS):
        raise UnreadableReply(f"expected the fields reason and self_contained alone, found {ascii(value)[:80]}")
    verdict, reason = value["self_contained"], value["reason"]
    if type(verdict) is not int or verdict not in (0, 1):
        raise UnreadableReply(f"self_contained is {ascii(verdict)[:40]}, expected 0 or 1")
    if not isinstance(reason, str) or not reason.strip():
        raise UnreadableReply(f"reason is {ascii(reason)[:40]}, expected a text")
    if is_placeholder(reason):
        raise UnreadableReply(f"reason is {ascii(reason)[:40]}, copied from the prompt", "placeholder")
    return verdict, shortened(visible(reason.strip()), LONGEST_REASON)[0]
