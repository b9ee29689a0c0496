"""Calls of an API that lies on the loopback, whatever name and address it is called by.

Names resolve by a table. Whatever address the guard lets through, the connector writes it down and
connects to the test's own server: so even a guard that fails sends nothing off the loopback.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpcore
import pytest

from executors.contract import ExecutionRequest, ExecutionResult, Limits
from executors.http.executor import HttpExecutor
from executors.network.addresses import parse_address
from tests.executors.conftest import RecordingSink

PUBLIC = "93.184.215.14"
PLAIN = ["api.example.com:80", "login.example.com:80"]


@dataclass
class Asked:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Api:
    """A server on the loopback; ``reply`` says what it answers to a request."""

    server: ThreadingHTTPServer
    asked: list[Asked] = field(default_factory=list)
    reply: Callable[[BaseHTTPRequestHandler, Asked], None] = lambda handler, asked: answer(
        handler, {"ok": True}
    )


def answer(
    handler: BaseHTTPRequestHandler,
    body: Any,
    *,
    status: int = 200,
    content_type: str = "application/json",
    **headers: str,
) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(data)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


@pytest.fixture
def api() -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            asked = Asked(
                self.command,
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            here.asked.append(asked)
            here.reply(self, asked)

        def log_message(self, *_: Any) -> None: ...

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler._any)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None: ...

    server = Server(("127.0.0.1", 0), Handler)
    here = Api(server)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield here
    server.shutdown()
    server.server_close()


class Call:
    """Calls a resource; keeps which addresses were connected to."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.names: dict[str, list[str]] = {"api.example.com": [PUBLIC]}
        self.connected: list[tuple[str, int]] = []
        self.looked_up: list[str] = []
        self.sink = RecordingSink()
        self._api = api
        self._folder = folder
        self.executor = HttpExecutor(
            resolve=self.resolve, connect=self.connect, is_own=lambda address: False
        )

    def resolve(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        if host in self.names:
            return self.names[host]
        try:
            return [str(parse_address(host))]
        except ValueError:
            raise OSError("no such name") from None

    def connect(self, address: str, port: int, timeout_s: float) -> httpcore.NetworkStream:
        self.connected.append((address, port))
        return httpcore.SyncBackend().connect_tcp(
            "127.0.0.1", self._api.server.server_port, timeout=timeout_s
        )

    def request(
        self, spec: dict[str, Any], inputs: dict[str, Any], secrets: dict[str, str], **limits: Any
    ) -> ExecutionRequest:
        # The test's server speaks no TLS; a credential goes there only where somebody approved it.
        approved = {"open_addresses": PLAIN} if "authentication" in spec else {}
        return ExecutionRequest(
            execution_id="test",
            tenant="tenant_1",
            kind="http",
            resource={"base_url": "http://api.example.com", **approved, **spec},
            inputs=inputs,
            secrets=secrets,
            limits=Limits(**limits),
        )

    def __call__(
        self,
        spec: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        secrets: dict[str, str] | None = None,
        **limits: Any,
    ) -> ExecutionResult:
        request = self.request(spec or {}, inputs or {}, secrets or {}, **limits)
        return self.executor.execute(request, self.sink, workdir=self._folder)

    def dry_run(
        self, spec: dict[str, Any], inputs: dict[str, Any] | None = None, **secrets: str
    ) -> Any:
        return self.executor.dry_run(self.request(spec, inputs or {}, secrets))

    @property
    def log(self) -> str:
        return self.sink.text()


@pytest.fixture
def call(api: Api, tmp_path: Path) -> Call:
    return Call(api, tmp_path)
