"""A private configuration for every test, and a tiny HTTP server to talk to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Answer = tuple[int, dict[str, str], Any]
"""Status, headers, and the body: bytes as they are, anything else as JSON."""


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class TinyServer:
    """Gives the scripted answers in turn, the last one for ever, and keeps what it received."""

    port: int
    answers: list[Answer]
    received: list[Received] = field(default_factory=list)

    def url(self, host: str = "acme.localhost") -> str:
        return f"http://{host}:{self.port}"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep the tests away from the login of whoever runs them. Returns the configuration file."""
    path = tmp_path / "configuration" / "config.json"
    for name in ("EXECFABRIC_URL", "EXECFABRIC_TOKEN", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXECFABRIC_CONFIG", str(path))
    return path


@pytest.fixture
def serve() -> Iterator[Callable[..., TinyServer]]:
    """Start servers on a free loopback port: ``serve((200, {}, {"a": 1}))``."""
    running: list[ThreadingHTTPServer] = []

    def start(*answers: Answer) -> TinyServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        tiny = TinyServer(server.server_address[1], list(answers))
        server.RequestHandlerClass = _handler(tiny)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        running.append(server)
        return tiny

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def _handler(tiny: TinyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            tiny.received.append(Received(self.command, self.path, dict(self.headers), body))
            status, headers, answer = tiny.answers[min(len(tiny.received), len(tiny.answers)) - 1]
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = respond  # noqa: N815 - names the base class calls

        def log_message(self, *_message: object) -> None:
            """Stay quiet: the tests read standard error."""

    return Handler
