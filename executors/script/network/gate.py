"""The gate of one run: an HTTP proxy outside the sandbox, in a process without rights.

It is told its policy, gives up user, files and calls of the kernel, takes the socket that listens
inside the run's network namespace, and from then on reads nothing but what the script sends. Names
are looked up here, once; the address that was judged is the one connected to. It speaks HTTP only
as far as finding out where to: ``CONNECT`` for anything, and requests for ``http://`` addresses.

Started as ``python -I -S -B``; imports the standard library only.
"""

# Whatever goes wrong with one connection must not end the others:
# ruff: noqa: BLE001

from __future__ import annotations

import marshal
import os
import re
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from executors.network.addresses import parse_address
from executors.network.policy import HIGHEST_PORT, HOST_NAME, Policy, parse_rules
from executors.script.sandbox import landlock
from executors.script.sandbox.limits import raise_oom_score
from executors.script.sandbox.lockdown import lock_down

SETTINGS_BYTES = 256 * 1024
HEAD_BYTES = 32 * 1024
HEAD_PATIENCE_S = 15
CONNECT_PATIENCE_S = 10
IDLE_S = 600
"""A connection on which nothing comes for so long is closed; most runs have ended by then."""
ANSWERED_S = 5
"""The same when the server has ended it; many clients notice only when they use it again."""
PIECE_BYTES = 64 * 1024
STACK_BYTES = 512 * 1024
MOST_NOTICES = 50
FULL_S = 0.05

FILES = {
    **dict.fromkeys(("/usr", "/lib", "/lib64", "/lib32"), landlock.RUN),
    **dict.fromkeys(("/etc", "/run/systemd/resolve", "/run/resolvconf"), landlock.READ),
}
"""What looking up a name takes."""
HOST = r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)"
AUTHORITY = re.compile(rf"{HOST}:(?P<port>\d{{1,5}})")
ADDRESS = re.compile(rf"(?i:http)://{HOST}(?::(?P<port>\d{{1,5}}))?(?P<path>[/?][!-~]*)?")
REQUEST = re.compile(r"(?P<method>[A-Z]{1,20}) (?P<target>[!-~]+) HTTP/1\.[01]")
NOT_PASSED_ON = ("connection", "host", "keep-alive", "proxy-", "upgrade", "te:")

Resolve = Callable[[str, int], list[str]]
Connect = Callable[[str, int], socket.socket]


class Refused(Exception):
    """The request does not go out. status: of HTTP."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class OutOfBytes(Exception):
    """The run has moved all it may."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the machine knows them. Raises OSError."""
    # As bytes, since for text Python would load a codec, which it cannot by now.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(address: str, port: int) -> socket.socket:
    """Return a connection to an address; nothing is looked up. Raises OSError."""
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        server.settimeout(CONNECT_PATIENCE_S)
        server.connect((address, port))
    except OSError:
        server.close()
        raise
    return server


class Gate:
    """Serves the connections of one run."""

    def __init__(
        self,
        policy: Policy,
        notify: Callable[[str], None],
        *,
        connections: int,
        bytes_left: int,
        resolve: Resolve = resolve,
        connect: Connect = connect,
    ) -> None:
        """notify: takes one line for the run's log. connections: how many at once. bytes_left: how
        many may go through, both ways together."""
        self._policy = policy
        self._notify = notify
        self._places = threading.BoundedSemaphore(connections)
        self._bytes_left = bytes_left
        self._resolve = resolve
        self._connect = connect
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def serve(self, listener: socket.socket, control: socket.socket) -> None:
        """Take connections until control ends."""
        while True:
            ready, _, _ = select.select([control, listener], [], [])
            if control in ready:
                return
            if not self._places.acquire(blocking=False):
                time.sleep(FULL_S)
                continue
            try:
                client, _ = listener.accept()
                threading.Thread(target=self._serve_one, args=(client,), daemon=True).start()
            except (OSError, RuntimeError):
                self._places.release()

    def _serve_one(self, client: socket.socket) -> None:
        try:
            with client:
                self.handle(client)
        except Exception:
            return  # A client that is gone, or bytes that nobody can make sense of.
        finally:
            self._places.release()

    def handle(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        try:
            head, rest = read_head(client)
            method, host, port, first = take_apart(head)
            server = self.reach(host, port)
        except Refused as refusal:
            answer(client, refusal.status, str(refusal))
            return
        with server:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            try:
                self._relay(client, server, first + rest)
            except OutOfBytes:
                self._tell("The run has moved all the bytes it may; its connections are closed.")

    def reach(self, host: str, port: int) -> socket.socket:
        """Return a connection to a host that the policy allows. Raises Refused."""
        where = f"{host}:{port}"
        if self._bytes_left <= 0:
            raise self._refuse(where, "the run has moved all the bytes it may")
        if why := self._policy.problem_with_host(host, port):
            raise self._refuse(where, why)
        try:
            addresses = [parse_address(text) for text in self._resolve(host, port)]
        except (OSError, ValueError) as error:
            raise Refused(502, f"{host} has no address: {error}") from error
        for address in addresses:
            if why := self._policy.problem_with_address(host, port, address):
                raise self._refuse(where, why)
        problem = "it has no address"
        for address in addresses:
            try:
                return self._connect(str(address), port)
            except OSError as error:
                problem = error.strerror or str(error)
        raise Refused(502, f"{where} cannot be reached: {problem}")

    def _refuse(self, where: str, why: str) -> Refused:
        self._tell(f"{where} was refused: {why}.")
        return Refused(403, f"Refused: {why}")

    def _tell(self, line: str) -> None:
        with self._lock:
            if line in self._told or len(self._told) > MOST_NOTICES:
                return
            self._told.add(line)
            if len(self._told) > MOST_NOTICES:
                line = "More was refused."
            self._notify(line)

    def _relay(self, client: socket.socket, server: socket.socket, first: bytes) -> None:
        """Pass bytes on both ways until both sides have ended. Raises OutOfBytes."""
        flows = [_Flow(client, server, first), _Flow(server, client, b"")]
        self._count(len(first))
        for end in (client, server):
            end.setblocking(False)
        while not all(flow.is_over for flow in flows):
            readable, writable, _ = select.select(
                [flow.source for flow in flows if flow.wants_more],
                [flow.sink for flow in flows if flow.pending],
                [],
                ANSWERED_S if flows[1].is_over else IDLE_S,
            )
            if not readable and not writable:
                return
            for flow in flows:
                if flow.source in readable and flow.wants_more:
                    self._count(flow.read())
                if flow.sink in writable:
                    flow.write()

    def _count(self, moved: int) -> None:
        with self._lock:
            self._bytes_left -= moved
            if self._bytes_left <= 0:
                raise OutOfBytes


class _Flow:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, pending: bytes) -> None:
        self.source, self.sink, self.pending = source, sink, pending
        self.has_ended = self.is_over = False

    @property
    def wants_more(self) -> bool:
        return not self.pending and not self.has_ended

    def read(self) -> int:
        data = self.source.recv(PIECE_BYTES)
        self.pending = data
        if not data:
            self.has_ended = True
            self.end()
        return len(data)

    def write(self) -> None:
        self.pending = self.pending[self.sink.send(self.pending) :]

    def end(self) -> None:
        self.is_over = True
        try:
            self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.pending = b""


def read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request and what came behind it. Raises Refused."""
    data = b""
    until = time.monotonic() + HEAD_PATIENCE_S
    while b"\r\n\r\n" not in data:
        client.settimeout(max(0.01, until - time.monotonic()))
        try:
            piece = client.recv(HEAD_BYTES)
        except TimeoutError:
            raise Refused(408, "The request did not come") from None
        data += piece
        if not piece or len(data) > HEAD_BYTES:
            raise Refused(400, "The head of the request is too long or has no end")
    head, _, rest = data.partition(b"\r\n\r\n")
    client.settimeout(HEAD_PATIENCE_S)
    return head, rest


def take_apart(head: bytes) -> tuple[str, str, int, bytes]:
    """Return method, host, port, and the head that the server is to get. Raises Refused."""
    first, *headers = head.decode("latin-1").split("\r\n")
    request = REQUEST.fullmatch(first)
    if request is None:
        raise Refused(400, "This is no request to a proxy")
    method, target = request["method"], request["target"]
    where = (AUTHORITY if method == "CONNECT" else ADDRESS).fullmatch(target)
    if where is None:
        raise Refused(400, "This proxy takes CONNECT host:port and http:// addresses only")
    host = where["host"].strip("[]").lower().removesuffix(".")
    port = int(where["port"] or 80)
    if not 0 < port <= HIGHEST_PORT or not (":" in host or HOST_NAME.fullmatch(host)):
        raise Refused(400, "The address names no host or no port there is")
    if method == "CONNECT":
        return method, host, port, b""
    if any(not line or line[0] in " \t" or "\n" in line or "\r" in line for line in headers):
        raise Refused(400, "The head of the request is malformed")
    path = where["path"] or "/"
    authority = target.split("/")[2].partition("?")[0]
    lines = [
        f"{method} {path if path[0] == '/' else '/' + path} HTTP/1.1",
        f"Host: {authority}",
        *(line for line in headers if not line.lower().startswith(NOT_PASSED_ON)),
        "Connection: close",
    ]
    return method, host, port, "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(client: socket.socket, status: int, why: str) -> None:
    """Say no. Many clients show the first line only."""
    said = "".join(char if " " <= char <= "~" else "?" for char in why)[:300]
    body = f"{said}.\n"
    client.settimeout(HEAD_PATIENCE_S)
    client.sendall(
        f"HTTP/1.1 {status} {said}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}".encode()
    )
    client.shutdown(socket.SHUT_WR)


def give_up_rights(uid: int | None, gid: int | None) -> None:
    raise_oom_score()
    lock_down(FILES, uid, gid)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    told = control.recv(SETTINGS_BYTES)
    settings: dict[str, Any] = marshal.loads(told)  # noqa: S302 - from our own worker
    lock = threading.Lock()

    def notify(line: str) -> None:
        with lock:
            control.send(line.encode())

    gate = Gate(
        Policy(parse_rules(settings["hosts"]), parse_rules(settings["allowed"])),
        notify,
        connections=settings["connections"],
        bytes_left=settings["bytes"],
    )
    give_up_rights(settings["uid"], settings["gid"])
    threading.stack_size(STACK_BYTES)
    _, descriptors, _, _ = socket.recv_fds(control, 1, 1, socket.MSG_CMSG_CLOEXEC)
    if descriptors:
        gate.serve(socket.socket(fileno=descriptors[0]), control)
    os._exit(0)
