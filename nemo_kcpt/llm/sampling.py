"""What LLM teachers share: parameters of the sampling, and the form of the reply that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.llm.request import TeacherReply, TeacherRequest

GREEDY = 0.01
"""Temperature below which a model writes the same again."""
RETRY_TEMPERATURE = 0.7
"""Temperature of the requests after one whose greedy reply could not be read: the stage's default."""


class Asking:
    """The part of a teacher that requests are keyed by; it asks nobody."""

    reads_prompts: bool = True

    def __init__(
        self,
        model: str,
        *,
        temperature: float = 0.7,
        top_p: float = 0.8,
        max_tokens: int = 8192,
        extra: Mapping[str, Any] | None = None,
        structured: str = "auto",
    ) -> None:
        self._model = model
        self._sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}
        self._extra = dict(extra or {})
        self.structured = structured
        """json_schema, json_object, none, or auto until it is known what the server offers."""

    @property
    def model(self) -> str:
        """The model's name."""
        return self._model

    @property
    def params(self) -> Mapping[str, Any]:
        """Sampling parameters, the form asked for, and what the user added."""
        return {**self._sampling, "structured": self.structured, **({"extra": self._extra} if self._extra else {})}

    def body(self, request: TeacherRequest) -> dict[str, Any]:
        """The request as OpenAI's chat completions take it."""
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [dict(message) for message in request.messages],
            **self._sampling,
            "seed": request.seed,
        }
        if self.structured == "json_schema" and request.schema is not None:
            schema = {"name": "reply", "schema": dict(request.schema), "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self.structured == "json_object":
            body["response_format"] = {"type": "json_object"}
        body |= self._extra
        if request.temperature is not None and body.get("temperature") is not None:
            body["temperature"] = request.temperature
        return body

    @property
    def is_greedy(self) -> bool:
        """Whether the same request gives the same reply, whatever its seed."""
        temperature = self._extra.get("temperature", self._sampling["temperature"])
        return isinstance(temperature, (int, float)) and temperature < GREEDY

    async def prepare(self) -> None:
        """Nothing to find out."""
        if self.structured == "auto":
            self.structured = "json_schema"

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """Not here."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to close."""
