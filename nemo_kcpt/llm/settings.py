"""Which LLM is asked, where and how: the keys that stages share, and what clients are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from nemo_kcpt.config import check_choices, check_least
from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.faults import check_served_model
from nemo_kcpt.llm.thinking import merged
from nemo_kcpt.runs import later


@dataclass(kw_only=True)
class ClientKeys:
    """Keys of every stage that asks an LLM, with the same defaults in all."""

    base_url: str = ""
    """Address of the server, as http://localhost:8000/v1; empty: OPENAI_BASE_URL, else OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the key; servers without keys need none."""
    structured: str = "auto"
    """Structured output: auto (as the server offers it), json_schema, json_object or none."""
    extra_body: dict[str, Any] = field(default_factory=dict)
    """More fields of the request, as {chat_template_kwargs: {enable_thinking: false}}."""
    thinking: str = later("")
    """How much the model may think first: off, on, a number of tokens (vLLM with a reasoning parser) or an effort word
    (low, medium, high); empty: as the server has it. It is sent as fields of the request, beside extra_body."""
    served_model: str = later("any")
    """any: a server may answer under another name than the one asked for, which is recorded; exact: that ends
    the run."""
    requests_per_minute: float = 0
    """Limit of the server; 0: none."""
    tokens_per_minute: float = 0
    """Limit of the server, prompt and reply together; 0: none."""
    retries: int = 8
    """Times a request is made again after 429, 5xx, a time-out or a broken connection."""
    price_prompt: float = 0
    """Price of a million prompt tokens, in any currency."""
    price_cached: float = -1
    """Price of a million prompt tokens from the server's cache; -1: as price_prompt."""
    price_completion: float = 0
    """Price of a million tokens of replies."""
    tensor_parallel: int = 1
    """GPUs the model is divided among; where vLLM is started."""
    gpu_memory: float = 0.9
    """Share of a GPU's memory; where vLLM is started."""


@dataclass(kw_only=True)
class ServerKeys(ClientKeys):
    """Keys of the stages that ask short questions; those of the same name mean what they mean for `kcpt synthesize`."""

    ENGINES: ClassVar[tuple[str, ...]] = ("openai", "vllm")
    engine: str = "openai"
    """openai: any server with OpenAI's chat completions; vllm: in this machine's serve environment, for the run."""
    max_tokens: int = 512
    """Tokens a reply may have; more for models that think first."""
    concurrency: int = 32
    """Requests under way at once."""
    timeout: float = 120
    """Seconds until a request is given up and made again."""
    window: int = 0
    """Tokens that prompt and reply may have together; engine=vllm; 0: the model's own."""

    def check_keys(self) -> None:
        """Refuse what no server can be asked with.

        Raises:
            ValueError: names the key.
        """
        check_choices(self, engine=self.ENGINES, structured=("auto", "json_schema", "json_object", "none"))
        check_served_model(self.served_model)
        _ = merged(self.thinking, self.extra_body)
        check_least(self, max_tokens=1, concurrency=1, retries=0, timeout=1, window=0)


SHAPING = ("structured", "extra_body", "thinking", "max_tokens")
"""Keys that shape a reply."""
RUNNING = tuple(known.name for known in fields(ServerKeys) if known.name not in SHAPING)
"""The others."""


@dataclass(kw_only=True)
class Llm(ServerKeys):
    """Which model is asked, where, and how."""

    ENGINES: ClassVar[tuple[str, ...]] = ("openai", "vllm", "batch")

    model: str
    """Its name on the server."""
    key: str = "model"
    """The user's key that names the model, for messages."""
    temperature: float = 0.0
    """Sampling temperature; 0: greedy."""
    top_p: float = 1.0
    """Nucleus-sampling probability."""
    seed: int = 0
    """Seed of the sampling."""
    reply_retries: int = 2
    """Times a reply that cannot be read is asked for again."""
    poll: float = 60
    """Seconds between two looks at a batch; engine=batch."""
    log: Path = Path("vllm.log")
    """Log of the server that is started; engine=vllm."""

    def check(self) -> None:
        """
        Raises:
            BadInput: a key's value cannot be, or a reply could fill the window, so that nothing is left for the prompt.
        """
        try:
            self.check_keys()
        except ValueError as error:
            raise BadInput(str(error)) from None
        if 0 < self.window <= self.max_tokens:
            raise BadInput(
                f"window: {self.window} was given, max_tokens is {self.max_tokens}; nothing is left for papers"
            )

    @property
    def extra(self) -> dict[str, Any]:
        """Further fields of each request."""
        return merged(self.thinking, self.extra_body)

    def cost(self, usage: Mapping[str, int]) -> float:
        """Price of one request's tokens; a batch costs half."""
        cached = usage.get("cached_tokens", 0)
        price_cached = self.price_prompt if self.price_cached < 0 else self.price_cached
        prompt = (usage.get("prompt_tokens", 0) - cached) * self.price_prompt + cached * price_cached
        total = (prompt + usage.get("completion_tokens", 0) * self.price_completion) / 1e6
        return round(total / 2 if self.engine == "batch" else total, 9)

    @classmethod
    def of(cls, config: ServerKeys, **more: Any) -> Llm:
        """The model of a stage's keys; `more` adds to them or stands for them."""
        return cls(**{known.name: getattr(config, known.name) for known in fields(ServerKeys)} | more)
