"""vLLM in this machine's serve environment: started for the run, asked over loopback, stopped with it.

It is vLLM's own OpenAI-compatible server, so that structured output, prefix caching and tensor parallelism are those of
`vllm serve`; it listens on 127.0.0.1 with a key made for the run. It ends with us, and so do the processes that it has
started itself, even if we are killed: an engine that is left over keeps the model's memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt import processes
from nemo_kcpt.environments import SERVE_REMEDY, serve_python
from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.fitting import fitted, remedy, without_limit
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG

START = 3600.0
"""Seconds that loading a model may take: 145 GB from a network disk."""
KEY = "KCPT_VLLM_KEY"


def server_command(python: Path, llm: Llm, port: int) -> list[str]:
    """The command of the server: prefix caching on, one GPU or several."""
    return [
        str(python),
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        llm.model,
        "--served-model-name",
        llm.model,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",  # tells how many tokens came from the cache
        # Otherwise a model may write white space between the brackets until its tokens are used up.
        "--structured-outputs-config",
        '{"backend": "xgrammar", "disable_any_whitespace": true}',
        "--tensor-parallel-size",
        str(llm.tensor_parallel),
        "--gpu-memory-utilization",
        str(llm.gpu_memory),
        *(["--max-model-len", str(llm.window)] if llm.window else []),
        *without_limit(llm),
        "--seed",
        "0",
    ]


class VllmTeacher(OpenAITeacher):
    """A server of one's own."""

    def __init__(self, llm: Llm) -> None:
        """
        Args:
            llm: whom to ask, and how.

        Raises:
            BadInput: there is no serve environment.
        """
        super().__init__(replace(fitted(llm), base_url="http://127.0.0.1:1/v1", api_key_env=KEY))
        self._log = llm.log
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        python = serve_python()
        if python is None:
            raise BadInput(f"teacher=vllm: the serve environment with vLLM is missing; {SERVE_REMEDY}")
        self._python = python

    def body(self, request: TeacherRequest) -> dict[str, Any]:
        """The request; one made again at a temperature has no seed: vLLM 0.32 cannot sample with one on a CPU."""
        body = super().body(request)
        if request.temperature is not None:
            body.pop("seed", None)
        return body

    async def prepare(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            TeacherFault: it ended while it started; the message has the end of its log.
        """
        if self._process is not None:
            return
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # One process's secret: other users of the machine can reach its loopback.
        self._key = os.environ[KEY] = secrets.token_hex(16)
        self._llm = replace(self._llm, base_url=f"http://127.0.0.1:{port}/v1")
        LOG.info("teacher: starting vLLM with %s (log: %s)", self.model, self._log)
        dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        environment = {name: value for name, value in os.environ.items() if name not in dropped}
        environment |= {"VLLM_API_KEY": self._key, "VLLM_NO_USAGE_STATS": "1"}
        command = server_command(self._python, self._llm, port)
        self._process = processes.start(command, self._log, only=environment, group=True)
        self._guard = processes.guard_group(self._process)
        await self._wait_until_ready()
        await super().prepare()

    async def _wait_until_ready(self) -> None:
        import httpx

        deadline = asyncio.get_running_loop().time() + START
        async with httpx.AsyncClient(trust_env=False) as client:  # a cluster's proxy does not know our loopback
            while asyncio.get_running_loop().time() < deadline:
                self._refuse_dead()
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self._llm.base_url[:-3]}/health", timeout=5)).status_code == 200:
                        return
                await asyncio.sleep(0.5)
        raise TeacherFault("connection", f"vLLM did not start within {START:g} s; see {self._log}", fatal=True)

    def _refuse_dead(self) -> None:
        if self._process is not None and (code := self._process.poll()) is not None:
            log = self._log.read_text(encoding="utf-8", errors="replace")
            end = processes.tail(self._log).replace(self._key, "[key]")
            why = f" ({known})" if (known := remedy(log)) else ""
            raise TeacherFault(
                "server_ended", f"vLLM ended with code {code}{why}; {self._log} ends with\n  {end}", fatal=True
            )

    def _count_lost(self, fault: TeacherFault) -> None:
        if fault.name == "connection":
            self._refuse_dead()  # it does not come back
        super()._count_lost(fault)

    async def complete(self, request: TeacherRequest, *, probe: bool = False) -> TeacherReply:
        """Answer one request.

        Raises:
            TeacherFault: as any server's; fatal if the server has ended.
        """
        try:
            return await super().complete(request, probe=probe)
        except TeacherFault:
            self._refuse_dead()
            raise

    async def close(self) -> None:
        """Stop the server and all it started."""
        await super().close()
        if self._process is not None:
            await asyncio.to_thread(processes.end_group, self._process, 20)
            if self._guard is not None:
                self._guard.kill()  # before its input closes
                self._guard.communicate()
            self._process = None
