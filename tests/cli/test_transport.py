from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cli import transport
from cli.transport import is_loopback, open_http
from tests.cli.conftest import Answer, TinyServer

OK: Answer = (200, {}, {"fine": True})


@pytest.mark.parametrize(
    "host", ["localhost", "acme.localhost", "a.b.LOCALHOST", "acme.localhost.", "127.0.0.1", "::1"]
)
def test_this_machine_is_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["acme.example.com", "localhost.example.com", "notlocalhost", "10.0.0.1", ""]
)
def test_another_machine_is_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(host)


def test_a_name_below_localhost_needs_no_name_server(
    serve: Callable[..., TinyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_resolver(host: str, *rest: Any, **named: Any) -> Any:
        if host not in ("127.0.0.1", "::1"):
            raise AssertionError(f"{host} was looked up")
        return resolve(host, *rest, **named)

    resolve = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", no_resolver)
    server = serve(OK)

    with open_http(server.url("acme.localhost")) as http:
        assert http.get("/x").json() == {"fine": True}

    assert server.received[0].headers["Host"] == f"acme.localhost:{server.port}"


def test_the_second_loopback_address_is_tried(
    serve: Callable[..., TinyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens on the first one, as where a server is bound to ::1 only.
    monkeypatch.setattr(transport, "LOOPBACK_ADDRESSES", ("127.0.0.9", "127.0.0.1"))
    server = serve(OK)

    with open_http(server.url("acme.localhost")) as http:
        answer = http.post("/x", json={"a": 1})

    assert answer.json() == {"fine": True}
    assert server.received[0].body == b'{"a":1}'
    assert server.received[0].headers["Host"] == f"acme.localhost:{server.port}"


def test_proxies_are_never_used_for_this_machine(
    serve: Callable[..., TinyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serve((502, {}, {})), serve(OK)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url("127.0.0.1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    for host in ("acme.localhost", "127.0.0.1"):
        with open_http(server.url(host)) as http:
            assert http.get("/").status_code == 200

    assert proxy.received == []


def test_a_name_elsewhere_goes_through_the_proxy(
    serve: Callable[..., TinyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(OK)
    monkeypatch.setenv("HTTP_PROXY", proxy.url("127.0.0.1"))
    monkeypatch.setenv("http_proxy", proxy.url("127.0.0.1"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    with open_http("http://acme.example") as http:
        http.get("/x")

    assert proxy.received[0].path == "http://acme.example/x"


def test_the_tls_server_name_stays_what_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def record(self: object, request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", record)

    with open_http("https://acme.localhost") as http:
        http.get("/")

    assert seen[0].url.host == "127.0.0.1"
    assert seen[0].extensions["sni_hostname"] == "acme.localhost"
    assert seen[0].headers["Host"] == "acme.localhost"


def test_every_call_has_a_time_limit() -> None:
    with open_http("http://acme.localhost") as http:
        limits = http.timeout

    assert None not in (limits.connect, limits.read, limits.write, limits.pool)
