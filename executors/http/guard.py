"""The way out: every connection of a call goes through here, pinned to an address that was judged.

A name is looked up once for each connection. All of its addresses must be allowed, and the one
connected to is one of them, so a name that changes its mind in between changes nothing. No proxy
variable is read anywhere.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import httpcore

from executors.http.errors import Cancelled, NotReached, OutOfTime, Refused, without_tls
from executors.network.addresses import Address, parse_address
from executors.network.policy import Policy

CONNECT_S = 10.0
LOOK_UP_S = 5.0
SLICE_S = 1.0
"""How long a wait goes on before it is asked whether to go on at all."""

Resolve = Callable[[str, int], list[str]]
Connect = Callable[[str, int, float], httpcore.NetworkStream]
Tell = Callable[[str], None]


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the machine knows them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(address: str, port: int, timeout_s: float) -> httpcore.NetworkStream:
    """Return a connection to an address; nothing is looked up."""
    return httpcore.SyncBackend().connect_tcp(address, port, timeout=timeout_s)


class Patience:
    """How long a call may take in all, and whether anybody still waits for it."""

    def __init__(self, timeout_s: float, alive: Callable[[], bool]) -> None:
        self._until = time.monotonic() + timeout_s
        self._timeout_s = timeout_s
        self._alive = alive
        self._asked_at = time.monotonic()

    def left_s(self) -> float:
        """Return the seconds left. Raises OutOfTime, Cancelled."""
        now = time.monotonic()
        if now >= self._until:
            raise OutOfTime(f"There was no complete answer within {self._timeout_s:g} seconds.")
        if now - self._asked_at >= SLICE_S:
            self._asked_at = now
            if not self._alive():
                raise Cancelled("The call was stopped.")
        return self._until - now

    def sleep(self, seconds: float) -> None:
        """Wait. Raises OutOfTime, Cancelled."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, SLICE_S, self.left_s()))


class GuardedBackend(httpcore.NetworkBackend):
    """Opens the connections of one call as its policy allows."""

    def __init__(
        self,
        policy: Policy,
        patience: Patience,
        *,
        resolve: Resolve,
        connect: Connect,
        tell: Tell,
        unsafe: Collection[tuple[str, int]] = (),
    ) -> None:
        """tell: takes lines for the trace that only the platform reads. unsafe: hosts and ports to
        which a secret would go readable for others, so that nothing goes there."""
        self._policy = policy
        self._patience = patience
        self._resolve = resolve
        self._connect = connect
        self._tell = tell
        self._unsafe = unsafe

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to host. Raises Refused, NotReached, OutOfTime."""
        if why := self._policy.problem_with_host(host, port):
            raise Refused(f"{host}:{port} must not be called: {why}.")
        addresses = self._addresses(host, port)
        for address in addresses:
            if why := self._policy.problem_with_address(host, port, address):
                raise Refused(
                    f"{host}:{port} must not be called: it leads to an address that is not open "
                    "to this resource.",
                    detail=f"{host}:{port} was refused: {why}.",
                )
        if (host, port) in self._unsafe:
            raise Refused(without_tls(f"{host}:{port}"))
        problem = ""
        for address in addresses:
            try:
                stream = self._connect(str(address), port, min(CONNECT_S, self._patience.left_s()))
            except (OSError, httpcore.NetworkError, httpcore.TimeoutException) as error:
                problem = f"{address}: {error}"
                self._tell(f"No connection to {problem}")
                continue
            self._tell(f"Connected to {host}:{port} at {address}")
            return PatientStream(stream, self._patience)
        raise NotReached(f"{host}:{port} cannot be reached.", detail=problem)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Refused("Sockets of this machine are never called.")

    def sleep(self, seconds: float) -> None:
        self._patience.sleep(seconds)

    def _addresses(self, host: str, port: int) -> list[Address]:
        found: list[str] = []
        problem: list[BaseException] = []

        def look_up() -> None:
            try:
                found.extend(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                problem.append(error)

        # The C library knows no time limit; a thread that waits on does no harm.
        thread = threading.Thread(target=look_up, daemon=True)
        thread.start()
        until = time.monotonic() + min(LOOK_UP_S, self._patience.left_s())
        while thread.is_alive() and (left := until - time.monotonic()) > 0:
            thread.join(min(left, SLICE_S, self._patience.left_s()))
        if thread.is_alive():
            self._patience.left_s()
            raise NotReached(f"The name {host} was not found in time.")
        if problem or not found:
            raise NotReached(f"The name {host} has no address.", detail=str(problem or ""))
        try:
            return [parse_address(text) for text in found]
        except ValueError as error:
            raise Refused(
                f"{host}:{port} must not be called: it leads to an address that is not open to "
                "this resource.",
                detail=f"{found}: {error}",
            ) from error


class PatientStream(httpcore.NetworkStream):
    """A connection whose every wait counts against the patience of the call as a whole."""

    def __init__(self, stream: httpcore.NetworkStream, patience: Patience) -> None:
        self._stream = stream
        self._patience = patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while True:
            left = self._patience.left_s()
            try:
                return self._stream.read(max_bytes, timeout=min(left, SLICE_S))
            except httpcore.ReadTimeout:
                continue

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces, since a write that timed out cannot say how much of it went out.
        for start in range(0, len(buffer), 65536):
            piece = buffer[start : start + 65536]
            self._stream.write(piece, timeout=self._patience.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        try:
            secured = self._stream.start_tls(
                ssl_context, server_hostname, timeout=min(CONNECT_S, self._patience.left_s())
            )
        except httpcore.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Refused(
                    f"The certificate of {server_hostname} is not trusted by this resource.",
                    detail=str(error),
                ) from error
            raise
        return PatientStream(secured, self._patience)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
