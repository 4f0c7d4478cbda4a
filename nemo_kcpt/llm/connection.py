"""The connection to a server: its address, the key from the environment, and what goes past a proxy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.settings import Llm

if TYPE_CHECKING:
    import openai


LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


def api_key(variable: str) -> str:
    """The key in an environment variable, without the line end that files and `read` leave behind; empty if unset.

    Raises:
        BadInput: it has characters that cannot be sent; the message does not show it.
    """
    key = os.environ.get(variable, "").strip()
    if not all("!" <= letter <= "~" for letter in key):
        raise BadInput(f"{variable}: the key has spaces, control or non-ASCII characters; set the variable again")
    return key


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def connect(llm: Llm) -> openai.AsyncOpenAI:
    """The client.

    Raises:
        BadInput: the address is none, the key cannot be sent, or OpenAI's own address is meant and there is no key.
    """
    import httpx
    import openai

    url = llm.base_url or os.environ.get("OPENAI_BASE_URL", "")
    key = api_key(llm.api_key_env)
    if url and not _is_address(url):
        raise BadInput(f"base_url={url}: an address like http://localhost:8000/v1 was expected")
    if not url and not key:
        raise BadInput(
            f"no base_url= was given, and the environment variable {llm.api_key_env} holds no key for OpenAI. "
            "Give base_url=http://HOST:PORT/v1 for a server of yours, or set the variable"
        )
    limits = httpx.Limits(max_connections=llm.concurrency + 8, max_keepalive_connections=llm.concurrency + 8)
    return openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=url or None,
        max_retries=0,
        timeout=httpx.Timeout(llm.timeout, connect=min(llm.timeout, 30)),
        # A proxy for the outside world, as clusters have in HTTP_PROXY, does not know this machine's own servers.
        http_client=openai.DefaultAsyncHttpxClient(limits=limits, mounts=dict.fromkeys(LOOPBACK)),
    )
