"""What is asked of an LLM, what came of it, and what all of it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nemo_kcpt.llm.attempts import Attempt, attempts
from nemo_kcpt.llm.journal import Row
from nemo_kcpt.llm.request import Messages, Teacher, TeacherRequest, is_shortened


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """One thing to ask."""

    name: str
    """Unique among those asked together; is in the journal and in messages."""
    kind: str
    """What it is asked for, as `judge`."""
    messages: Messages | Callable[[], Messages]
    """The prompt, or what makes it when it is needed: thousands of papers' prompts need not be in memory at once."""
    schema: Mapping[str, Any]
    """JSON schema of the reply."""
    read: Callable[[str], Any]
    """Reply -> its meaning; raises UnreadableReply where it has another form."""
    reminder: str = ""
    """What is added to the last message when a reply could not be read."""

    def means(self, reply: str, finish_reason: str = "") -> Any:
        """The reply's meaning, under the name that the journal's rows are made with."""
        return self.read(reply)

    def first(self) -> Messages:
        """The prompt."""
        return self.messages() if callable(self.messages) else self.messages

    def tries(self, seed: int, number: int, teacher: Teacher) -> list[Attempt]:
        """The request, and those to make where replies cannot be read: `number` in all."""
        name = self.name.encode("utf-8", "replace").decode()  # half a UTF-16 character cannot be stored
        first = self.first()
        *before, last = first
        again = (*before, {**last, "content": last["content"] + self.reminder}) if self.reminder else ()
        request = TeacherRequest(name, self.kind, "", first, seed=seed, schema=self.schema)
        return attempts(request, number, teacher, again=again)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of an inquiry."""

    value: Any = None
    """What `read` made of the reply; None if there is no readable one."""
    fault: str = ""
    """Why there is no value."""
    reply: str = ""
    """Raw, of the last request."""


@dataclass(kw_only=True)
class Totals:
    """What asking took, over all runs that the journal knows; what several inquiries share counts once."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    shortened: int = 0
    """Replies that the server cut off before max_tokens were used up."""
    served_models: dict[str, int] = field(default_factory=dict)
    """Names other than the one asked for under which replies came, and how many."""

    def __str__(self) -> str:
        money = f", cost {self.cost:.2f}" if self.cost else ""
        return f"{(self.prompt_tokens + self.completion_tokens) / 1e6:.2f} M tokens{money}"

    def count(self, row: Row, max_tokens: int) -> None:
        """Count a request whose reply may have had `max_tokens`."""
        self.requests += 1
        self.prompt_tokens += row.prompt_tokens
        self.cached_tokens += row.cached_tokens
        self.completion_tokens += row.completion_tokens
        self.cost += row.cost
        self.shortened += is_shortened(row.finish_reason, row.completion_tokens, max_tokens)
        if row.served:
            self.served_models[row.served] = self.served_models.get(row.served, 0) + 1

    def add(self, other: Totals) -> None:
        """Count another model's as well."""
        for known in fields(self):
            mine, theirs = getattr(self, known.name), getattr(other, known.name)
            if isinstance(mine, dict):
                setattr(self, known.name, dict(Counter(mine) + Counter(theirs)))
            else:
                setattr(self, known.name, mine + theirs)
