"""What a run with ``network = true`` reaches; all servers are this machine's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from executors.contract import Outcome, StopReason
from executors.script.executor import ScriptExecutor
from executors.script.tree import descendants
from tests.executors.conftest import Runner, executor_at, processes_with

HERE = "127.0.0.2"
"""Another address than those that programs reach without a proxy."""

ASK = """
    import json, sys, urllib.request
    def main(address: str):
        with urllib.request.urlopen(address, timeout=10) as answer:
            return {"status": answer.status, "text": answer.read().decode()}
"""
TUNNEL = """
    import os, socket
    def main(host: str, port: int):
        proxy = os.environ["HTTPS_PROXY"].removeprefix("http://").split(":")
        with socket.create_connection((proxy[0], int(proxy[1])), 10) as way:
            way.sendall(f"CONNECT {host}:{port} HTTP/1.1\\r\\n\\r\\n".encode())
            said = way.recv(1000).decode()
            if " 200 " not in said:
                return said.splitlines()[0]
            way.sendall(b"GET /tunnel HTTP/1.0\\r\\n\\r\\n")
            whole = b""
            while piece := way.recv(1000):
                whole += piece
            return whole.decode().rpartition("\\n")[2]
"""


class Server(ThreadingHTTPServer):
    """Answers with the path it was asked for; remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__((HERE, 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", "http://" + self.path.removeprefix("/to/"))
            self.end_headers()
            return
        size = int(self.path.removeprefix("/bytes/")) if self.path.startswith("/bytes/") else 0
        text = bytes(size) or self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module", params=[False, True], ids=["cold", "warm"])
def executor(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[ScriptExecutor]:
    executor = executor_at(
        "ns", open_folder, warm=request.param, network_allowed=("127.0.0.0/8", "localhost")
    )
    yield executor
    executor.close()


def here(server: Server) -> str:
    return f"{HERE}:{server.server_port}"


def test_without_network_nothing_is_reached(run: Runner, server: Server) -> None:
    result = run(ASK, inputs={"address": f"http://{here(server)}/"})

    assert result.outcome is Outcome.FAILED
    assert "Network is unreachable" in result.error
    assert server.asked == []


@pytest.fixture
def hosts() -> list[str]:
    return ["127.0.0.0/8"]


def test_an_allowed_host_is_reached(run: Runner, server: Server, hosts: list[str]) -> None:
    result = run(
        ASK,
        inputs={"address": f"http://{here(server)}/asked?for=it"},
        network=True,
        network_hosts=hosts,
    )

    assert result.output == {"status": 200, "text": "/asked?for=it"}, result.error


def test_a_tunnel_goes_through(run: Runner, server: Server, hosts: list[str]) -> None:
    port = server.server_port
    result = run(TUNNEL, inputs={"host": HERE, "port": port}, network=True, network_hosts=hosts)

    assert result.output == "/tunnel", result.error


@pytest.mark.parametrize("hosts", [[], ["localhost"], ["10.0.0.0/8"], ["127.0.0.1:1"]])
def test_what_the_skill_does_not_name_is_refused_and_said(
    run: Runner, server: Server, hosts: list[str]
) -> None:
    result = run(
        ASK, inputs={"address": f"http://{here(server)}/"}, network=True, network_hosts=hosts
    )

    assert result.outcome is Outcome.FAILED
    assert "HTTP Error 403: Refused" in result.summary
    assert f"[network] {here(server)} was refused: " in run.sink.text("stderr")
    assert server.asked == []


def test_a_redirect_is_judged_like_any_other_request(
    run: Runner, server: Server, hosts: list[str]
) -> None:
    result = run(
        ASK,
        inputs={"address": f"http://{here(server)}/to/169.254.169.254/latest"},
        network=True,
        network_hosts=[*hosts, "169.254.169.254"],
    )

    assert result.outcome is Outcome.FAILED
    assert "169.254.169.254 is a link-local or metadata address" in run.sink.text("stderr")


def test_the_gate_is_the_only_way(run: Runner, server: Server, hosts: list[str]) -> None:
    code = """
        import errno, os, socket
        def main(port: int):
            found = []
            for host in ("127.0.0.1", "::1", "127.0.0.2", "192.0.2.1", "2001:db8::1"):
                try:
                    socket.create_connection((host, port), 2).close()
                    found.append(host)
                except OSError:
                    pass
            try:
                found.append(socket.getaddrinfo("example.com", 80))
            except OSError:
                pass
            return [found, sorted(os.listdir("/sys/class/net") if os.path.isdir("/sys") else [])]
    """
    result = run(code, inputs={"port": server.server_port}, network=True, network_hosts=hosts)

    assert result.output == [[], []], result.error


def test_names_are_looked_up_by_the_gate(run: Runner, server: Server) -> None:
    result = run(
        TUNNEL, inputs={"host": "localhost", "port": server.server_port}, network=True
    )  # fmt: skip

    assert "localhost:" in run.sink.text("stderr"), result.error
    assert "127.0.0.1 is a loopback address" in str(result.output)


def test_bytes_are_counted(run: Runner, server: Server, hosts: list[str]) -> None:
    result = run(
        ASK,
        inputs={"address": f"http://{here(server)}/bytes/300000"},
        limits={"network_bytes": 100_000},
        network=True,
        network_hosts=hosts,
    )

    assert result.outcome is Outcome.FAILED
    assert "IncompleteRead" in result.error
    assert "has moved all the bytes it may" in run.sink.text("stderr")


def test_a_script_may_talk_to_itself(run: Runner, hosts: list[str]) -> None:
    code = """
        import socket
        def main():
            server = socket.create_server(("127.0.0.1", 0))
            with socket.create_connection(server.getsockname()) as client:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                return server.accept()[0].recv(100).decode()
    """
    result = run(code, network=True, network_hosts=hosts)

    assert result.output == "hello", result.error


@pytest.mark.skipif(not Path("/usr/bin/curl").exists(), reason="this machine has no curl")
def test_programs_that_know_proxies_find_the_way(
    run: Runner, server: Server, hosts: list[str]
) -> None:
    result = run(
        f"curl -sS http://{here(server)}/by-curl\n", shell=True, network=True, network_hosts=hosts
    )

    assert result.outcome is Outcome.SUCCEEDED, result.error
    assert run.sink.text("stdout") == "/by-curl"


def test_nothing_is_left_of_the_gate(run: Runner, hosts: list[str]) -> None:
    result = run("print('x')\n", network=True, network_hosts=hosts)

    assert result.stop_reason is StopReason.EXITED
    assert set(processes_with("network.gate")) & set(descendants(os.getpid())) == set()


def test_memory_in_buffers_of_connections_counts(run: Runner, hosts: list[str]) -> None:
    code = """
        import socket
        def main():
            server, ends = socket.create_server(("127.0.0.1", 0), backlog=500), []
            sizes = []
            for _ in range(100):
                client = socket.create_connection(server.getsockname())
                client.setblocking(False)
                ends += [client, server.accept()[0]]
                sent = 0
                try:
                    while True:
                        sent += client.send(bytes(65536))
                except BlockingIOError:
                    sizes.append(sent)
            return max(sizes)
    """
    result = run(code, network=True, network_hosts=hosts, limits={"open_files": 500})

    assert isinstance(result.output, int), result.error
    assert result.output < 512 * 1024
