"""What the gate lets through. Names resolve by a table; nothing connects anywhere."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from executors.network.addresses import parse_address, reason_against
from executors.network.policy import Policy, is_own_address, parse_rules
from executors.script.network import gate as gate_module
from executors.script.network.gate import Gate

NAMES = {
    "example.com": ["93.184.215.14"],
    "both.example.com": ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "mixed.example.com": ["93.184.215.14", "10.0.0.7"],
    "git.intra": ["10.1.2.3"],
    "turned.intra": ["127.0.0.1"],
    "localhost": ["127.0.0.1"],
    "foo.localhost": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "router.local": ["192.168.1.1"],
    # As the C library reads them:
    "127.1": ["127.0.0.1"],
    "2130706433": ["127.0.0.1"],
    "0x7f.1": ["127.0.0.1"],
    "0177.0.0.1": ["127.0.0.1"],
    "0": ["0.0.0.0"],
    "2852039166": ["169.254.169.254"],
}
CLOSED_URLS = [
    line.encode().decode("unicode_escape")
    for line in (Path(__file__).parents[2] / "closed_urls.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def look_up(host: str, port: int) -> list[str]:
    if host in NAMES:
        return NAMES[host]
    try:
        return [str(parse_address(host))]
    except ValueError:
        raise OSError("no such name") from None


class Ask:
    """Sends one request to a gate; keeps what it connected to and what it told."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []
        self.told: list[str] = []
        self.received = b""

    def __call__(
        self, request: str, *, hosts: tuple[str, ...] = (), allowed: tuple[str, ...] = (),
        own: tuple[str, ...] = (), bytes_left: int = 1_000_000,
        resolve: Callable[[str, int], list[str]] = look_up,
    ) -> str:  # fmt: skip
        policy = Policy(
            parse_rules(hosts), parse_rules(allowed), lambda address: str(address) in own
        )
        gate = Gate(
            policy, self.told.append, connections=1, bytes_left=bytes_left, resolve=resolve,
            connect=self.connect,
        )  # fmt: skip
        client, inside = socket.socketpair()
        thread = threading.Thread(target=self.serve, args=(gate, inside))
        thread.start()
        with client:
            client.settimeout(10)
            client.sendall(request.encode("utf-8", "surrogateescape"))
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        thread.join()
        return answer.decode("latin-1")

    def serve(self, gate: Gate, inside: socket.socket) -> None:
        with inside:
            gate.handle(inside)

    def connect(self, address: str, port: int) -> socket.socket:
        self.connected.append((address, port))
        ours, theirs = socket.socketpair()
        threading.Thread(target=self.answer, args=(theirs,)).start()
        return ours

    def answer(self, server: socket.socket) -> None:
        with server, suppress(BrokenPipeError):
            while piece := server.recv(65536):
                self.received += piece
            server.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe answer")


@pytest.fixture
def ask() -> Ask:
    return Ask()


def get(url: str) -> str:
    return f"GET {url} HTTP/1.1\r\nHost: whoever\r\nProxy-Connection: keep-alive\r\nX-A: b\r\n\r\n"


def test_the_list_is_read() -> None:
    assert len(CLOSED_URLS) > 40


@pytest.mark.parametrize("url", CLOSED_URLS, ids=ascii)
def test_no_closed_address_is_reached(ask: Ask, url: str) -> None:
    answer = ask(get(url))

    assert answer.startswith(("HTTP/1.1 400", "HTTP/1.1 403", "HTTP/1.1 502"))
    assert ask.connected == []


@pytest.mark.parametrize(
    "url", [url for url in CLOSED_URLS if url.strip().startswith("http:")], ids=ascii
)
def test_no_tunnel_leads_to_one(ask: Ask, url: str) -> None:
    authority = url.strip().removeprefix("http:").lstrip("/").partition("/")[0]
    with_port = authority if authority.rpartition(":")[2].isdigit() else f"{authority}:443"

    assert not ask(f"CONNECT {with_port} HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 200")
    assert ask.connected == []


def test_a_public_host_is_reached_at_the_address_that_was_judged(ask: Ask) -> None:
    answer = ask(get("http://example.com/path?a=b"))

    assert answer.endswith("the answer")
    assert ask.connected == [("93.184.215.14", 80)]
    assert ask.received == (
        b"GET /path?a=b HTTP/1.1\r\nHost: example.com\r\nX-A: b\r\nConnection: close\r\n\r\n"
    )
    assert ask.told == []


def test_a_name_is_looked_up_once(ask: Ask) -> None:
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])

    ask("CONNECT rebound.example.com:443 HTTP/1.1\r\n\r\n", resolve=lambda *_: next(answers))

    assert ask.connected == [("93.184.215.14", 443)]


def test_one_bad_address_among_several_is_enough(ask: Ask) -> None:
    answer = ask("CONNECT mixed.example.com:443 HTTP/1.1\r\n\r\n")

    assert answer.splitlines()[0] == "HTTP/1.1 403 Refused: 10.0.0.7 is a private address"
    assert ask.told == ["mixed.example.com:443 was refused: 10.0.0.7 is a private address."]
    assert ask.connected == []


def test_bytes_go_both_ways_through_a_tunnel(ask: Ask) -> None:
    answer = ask("CONNECT both.example.com:22 HTTP/1.1\r\n\r\nhello")

    assert answer.startswith("HTTP/1.1 200 ")
    assert answer.endswith("the answer")
    assert ask.received == b"hello"


def test_the_platforms_own_public_address_is_closed(ask: Ask) -> None:
    answer = ask("CONNECT example.com:5432 HTTP/1.1\r\n\r\n", own=("93.184.215.14",))

    assert "403 Refused: 93.184.215.14 is an address of the platform" in answer


def test_an_address_that_cannot_be_tried_counts_as_the_platforms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(socket.socket, "bind", fail)

    assert is_own_address(parse_address("192.0.2.1"))


@pytest.mark.parametrize(
    "address", ["fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"]
)
def test_metadata_addresses_are_never_opened_by_name(ask: Ask, address: str) -> None:
    answer = ask(
        "CONNECT meta.intra:80 HTTP/1.1\r\n\r\n",
        hosts=("meta.intra",), allowed=("meta.intra",), resolve=lambda *_: [address],
    )  # fmt: skip

    assert f"403 Refused: {address} is a link-local or metadata address" in answer
    assert ask.connected == []


def test_own_addresses_are_found() -> None:
    assert is_own_address(parse_address("127.0.0.1"))
    assert not is_own_address(parse_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("target", "hosts", "allowed"),
    [
        ("git.intra:443", ["git.intra"], ["git.intra"]),
        ("git.intra:443", ["*.intra", "10.1.2.3"], ["10.1.0.0/16"]),
        ("git.intra:443", ["git.intra:443", "10.1.0.0/16:443"], ["10.1.2.3:443"]),
        ("git.intra:443", ["*.intra"], ["10.1.0.0/16", "git.intra"]),
        ("10.1.2.3:443", ["10.1.2.0/24"], ["10.0.0.0/8"]),
        ("[::ffff:10.1.2.3]:443", ["10.1.2.3"], ["10.1.2.3"]),
        ("turned.intra:80", ["turned.intra"], ["turned.intra", "127.0.0.1"]),
    ],
)
def test_a_private_address_needs_operator_and_skill(
    ask: Ask, target: str, hosts: list[str], allowed: list[str]
) -> None:
    request = f"CONNECT {target} HTTP/1.1\r\n\r\n"

    assert " 403 " in ask(request, hosts=tuple(hosts))
    assert " 403 " in ask(request, allowed=tuple(allowed))
    assert ask.connected == []
    assert " 200 " in ask(request, hosts=tuple(hosts), allowed=tuple(allowed))


@pytest.mark.parametrize(
    ("target", "hosts", "allowed"),
    [
        ("git.intra:22", ["git.intra:443"], ["10.0.0.0/8"]),
        ("git.intra:22", ["git.intra"], ["10.0.0.0/8:443"]),
        ("notgit.intra:443", ["git.intra"], ["10.0.0.0/8"]),
        ("intra:443", ["*.intra"], ["10.0.0.0/8"]),
        # Opening an address does not open it to whatever name leads there.
        ("git.intra:443", ["git.intra"], ["10.1.2.3:443"]),
        ("git.intra:443", ["*.intra", "10.9.0.0/16"], ["10.0.0.0/8"]),
        ("turned.intra:80", ["turned.intra"], ["127.0.0.1"]),
        # Allowing a name does not allow whatever its owner makes it lead to.
        ("turned.intra:80", ["turned.intra"], ["turned.intra"]),
        ("metadata.google.internal:80", ["*.internal"], ["*.google.internal", "*.internal"]),
        ("example.com:443", ["example.org"], []),
        ("example.com.evil.net:443", ["example.com"], []),
    ],
)
def test_rules_mean_what_they_say(
    ask: Ask, target: str, hosts: list[str], allowed: list[str]
) -> None:
    answer = ask(f"CONNECT {target} HTTP/1.1\r\n\r\n", hosts=tuple(hosts), allowed=tuple(allowed))

    assert " 403 " in answer
    assert ask.connected == []


@pytest.mark.parametrize(
    "text", ["", "http://a.example", "a b", "10.0.0.0/33", "300.1.1.1", "[::1", "a.example:0",
             "a.example:99999", "*", "a.*.example", "fe80::1%eth0", "10.0.0.1/8"]
)  # fmt: skip
def test_a_rule_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no (host name|range|port)"):
        parse_rules([text])


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /path HTTP/1.1\r\n\r\n",
        "GET http://example.com/ HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET http://example.com/ HTTP/1.1\r\nA: b\nHost: other\r\n\r\n",
        "CONNECT example.com HTTP/1.1\r\n\r\n",
        "CONNECT example.com:0 HTTP/1.1\r\n\r\n",
        "CONNECT exam\u00edple.com:443 HTTP/1.1\r\n\r\n",
        "CONNECT [fe80::1%1]:443 HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\r\n\r\n",
        "GET http://example.com/" + "a" * 40_000,
        "",
    ],
)
def test_what_is_no_request_to_a_proxy_goes_nowhere(ask: Ask, request_text: str) -> None:
    assert ask(request_text).startswith("HTTP/1.1 400 ")
    assert ask.connected == []


def test_a_slow_head_is_not_waited_for(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "HEAD_PATIENCE_S", 0.1)
    gate = Gate(Policy(), ask.told.append, connections=1, bytes_left=10)
    client, inside = socket.socketpair()
    with client, inside:
        client.sendall(b"GET http")
        gate.handle(inside)

        assert client.recv(100).startswith(b"HTTP/1.1 408 ")


def test_the_bytes_are_bounded(ask: Ask) -> None:
    answer = ask("CONNECT example.com:443 HTTP/1.1\r\n\r\n" + "x" * 5000, bytes_left=1000)

    assert "the answer" not in answer
    assert ask.told == ["The run has moved all the bytes it may; its connections are closed."]


def test_the_log_is_not_flooded(ask: Ask) -> None:
    told: list[str] = []
    gate = Gate(Policy(), told.append, connections=1, bytes_left=10, resolve=look_up)
    for port in range(1, 200):
        with pytest.raises(gate_module.Refused):
            gate.reach("localhost", port)

    assert len(told) == gate_module.MOST_NOTICES + 1
    assert told[-1] == "More was refused."


@pytest.mark.parametrize(
    "address",
    ["0.1.2.3", "10.255.0.1", "100.64.0.1", "127.8.8.8", "169.254.169.254", "168.63.129.16",
     "172.31.0.1", "192.0.0.8", "192.168.0.1", "198.19.0.1", "224.0.0.1", "255.255.255.255",
     "::", "::1", "::7f00:1", "64:ff9b::a00:1", "100::1", "2001::1", "2001:db8::1",
     "2002:a00:1::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
     "4000::1", "::ffff:10.0.0.1"],
)  # fmt: skip
def test_it_is_not_public(address: str) -> None:
    assert reason_against(parse_address(address))


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "172.32.0.1", "192.0.1.1", "::ffff:8.8.8.8", "2606:4700::1111", "2a00::1"],
)
def test_it_is_public(address: str) -> None:
    assert reason_against(parse_address(address)) == ""
