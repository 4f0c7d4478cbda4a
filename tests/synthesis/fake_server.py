"""An OpenAI-compatible server on loopback that answers at once, or misbehaves on order. No LLM: a stub, named as one.

Run as a program it serves benchmarks and subprocesses: it prints its port, and answers until its input ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any], int], tuple[int, dict[str, str], bytes] | None]
"""(body, number of the request) -> status, headers, content; None: hang up without a word."""


def completion(content: Any, model: str = "stub", **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 12,
            "total_tokens": 132,
            "prompt_tokens_details": {"cached_tokens": 96},
        },
        **fields,
    }


def ok(content: Any = '{"output": "ok"}', **fields: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps(completion(content, **fields)).encode()


def problem(
    status: int, message: str = "no", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    return status, headers or {}, json.dumps({"error": {"message": message, "code": None}}).encode()


def reply_to(body: dict[str, Any]) -> str:
    """A reply of the right form for our own prompts."""
    text = body["messages"][-1]["content"]
    if '"pairs"' not in text.splitlines()[-1]:
        return json.dumps(
            {"output": f"カスミは文の誤りを直すやり方です({abs(hash(text)) % 10}番)。"}, ensure_ascii=False
        )
    return json.dumps(
        {"pairs": [{"instruction": "カスミの正解率は何ですか。", "output": "81.3%です。"}]}, ensure_ascii=False
    )


class FakeServer:
    """The server; `answer` decides what each chat completion gets."""

    def __init__(self, answer: Answer | None = None, port: int = 0) -> None:
        self.answer: Answer = answer or (lambda body, number: ok(reply_to(body)))
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.times: list[float] = []
        self.routes: dict[tuple[str, str], Callable[[Any], tuple[int, dict[str, str], bytes]]] = {}
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._route("GET", b"")

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length", 0)))
                fake.keys.add(self.headers.get("authorization", ""))
                if not self.path.endswith("/chat/completions"):
                    self._route("POST", raw)
                    return
                body = json.loads(raw)
                with fake._lock:
                    number = len(fake.bodies)
                    fake.bodies.append(body)
                    fake.times.append(time.monotonic())
                self._send(fake.answer(body, number))

            def _route(self, method: str, raw: bytes) -> None:
                path = self.path.partition("?")[0]
                for (wanted, begins), handle in sorted(fake.routes.items(), key=lambda item: -len(item[0][1])):
                    if wanted == method and path.startswith(begins):
                        self._send(handle((self.path, raw, self.headers)))
                        return
                if path == "/v1/models":
                    self._send((200, {}, json.dumps({"object": "list", "data": [{"id": "stub"}]}).encode()))
                else:
                    self._send(problem(404, f"no {path}"))

            def _send(self, found: tuple[int, dict[str, str], bytes] | None) -> None:
                if found is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                status, headers, content = found[0], dict(found[1]), found[2]
                try:
                    self.send_response(status)
                    length = headers.pop("x-length", str(len(content)))
                    for name, value in {
                        "content-type": "application/json",
                        **headers,
                        "content-length": length,
                    }.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                    if length != str(len(content)):
                        self.close_connection = True
                except OSError:
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


if __name__ == "__main__":
    with FakeServer() as server:
        print(server.port, flush=True)
        sys.stdin.read()
