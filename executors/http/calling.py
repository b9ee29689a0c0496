"""Sends requests through the guard and reads answers within bounds."""

from __future__ import annotations

import re
import ssl
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

import certifi
import httpcore

from executors.contract import ExecutorError
from executors.http.errors import BadAnswer, CallFailed, NotReached, Refused, TooLarge
from executors.http.guard import GuardedBackend
from executors.http.rendering import Request
from executors.http.resource import SAFE_METHODS
from executors.http.urls import NotUsable, Url

USER_AGENT = "ExecFabric"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRANSIENT = frozenset({429, 502, 503, 504})
GZIP = 16 + zlib.MAX_WBITS
PIECE_BYTES = 64 * 1024
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """By lower-case name; of several with one name the last."""
    body: bytes
    url: Url

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def charset(self) -> str:
        found = re.search(
            r"charset=\"?([A-Za-z0-9._-]+)", self.headers.get("content-type", ""), re.IGNORECASE
        )
        return found[1] if found else "utf-8"


class Caller(AbstractContextManager["Caller"]):
    """The connections of one call; closed with it."""

    def __init__(
        self,
        backend: GuardedBackend,
        context: ssl.SSLContext,
        bare: Callable[[], ssl.SSLContext],
    ) -> None:
        """context: for where the call goes. bare: makes one without a client certificate, for
        other hosts that it is sent on to."""
        self._backend = backend
        self._pool = _pool(context, backend)
        self._bare = bare
        self._others: httpcore.ConnectionPool | None = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._pool.close()
        if self._others is not None:
            self._others.close()

    def exchange(self, request: Request, *, most_bytes: int, is_own: bool = True) -> Answer:
        """Send one request and read the whole answer; follows nothing. Raises CallFailed.

        is_own: whether it goes where the resource says, and may see its client certificate.
        """
        if not is_own and self._others is None:
            self._others = _pool(self._bare(), self._backend)
        pool = self._pool if is_own or self._others is None else self._others
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **request.headers}
        has_body = bool(request.body) or request.method not in SAFE_METHODS
        try:
            with pool.stream(
                request.method,
                httpcore.URL(
                    scheme=request.url.scheme.encode(),
                    host=request.url.host.encode(),
                    port=request.url.port,
                    target=request.url.target.encode(),
                ),
                headers=[
                    (b"Host", request.url.authority.encode()),
                    *((name.encode(), text.encode("latin-1")) for name, text in headers.items()),
                ],
                content=request.body if has_body else None,
            ) as response:
                known = {
                    name.decode("latin-1").lower(): text.decode("latin-1")
                    for name, text in response.headers
                }
                pieces = response.iter_stream() if request.method != "HEAD" else iter(())
                announced = {} if request.method == "HEAD" else known
                body = b"".join(_decoded(pieces, announced, most_bytes))
                return Answer(response.status, known, body, request.url)
        except httpcore.TimeoutException as error:
            raise NotReached(f"{request.url.host} does not answer.", detail=str(error)) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise NotReached(
                f"The connection to {request.url.host} broke, or it speaks no HTTP.",
                detail=f"{type(error).__name__}: {error}",
            ) from error

    def follow(self, request: Request, *, most_bytes: int, redirects: int) -> Answer:
        """Send a request and go where its answer sends on, each time through the guard.

        Another origin gets nothing but the question: no header of the resource, no proof of who
        calls. Only safe methods are followed. Raises CallFailed.
        """
        own = request.url.origin
        for left in range(redirects, -1, -1):
            answer = self.exchange(request, most_bytes=most_bytes, is_own=request.url.origin == own)
            location = answer.headers.get("location", "")
            if answer.status not in REDIRECTS or not location:
                return answer
            if request.method not in SAFE_METHODS:
                raise CallFailed(
                    f"{request.url.host} sends the {request.method} on to another address. "
                    "A request that changes something is never sent on."
                )
            if not left:
                raise CallFailed(
                    f"{request.url.host} sends the request on to another address"
                    + (" too often." if redirects else ", which this resource does not follow.")
                )
            request = _sent_on(request, location)
        raise AssertionError("unreachable")


def _sent_on(request: Request, location: str) -> Request:
    try:
        target = request.url.joined(location)
    except (NotUsable, ValueError) as error:
        raise Refused(
            f"{request.url.host} sends the request on to an address that is not called.",
            detail=f"{location[:200]!r}: {error}",
        ) from None
    if request.url.scheme == "https" and target.scheme != "https":
        raise Refused(f"{request.url.host} sends the request on to an address without TLS.")
    headers = request.headers
    if target.origin != request.url.origin:
        headers = {"Accept": headers.get("Accept", "*/*")}
    return Request(request.method, target, headers)


def pause_before(attempt: int, answer: Answer | None) -> float:
    """Return the seconds to wait before trying again; the server may ask for more, up to 5."""
    wanted = answer.headers.get("retry-after", "") if answer else ""
    asked = float(wanted) if wanted.isdecimal() and len(wanted) < 6 else 0.0
    return min(max(FIRST_PAUSE_S * 2**attempt, asked), LONGEST_PAUSE_S)


def _pool(context: ssl.SSLContext, backend: GuardedBackend) -> httpcore.ConnectionPool:
    return httpcore.ConnectionPool(
        ssl_context=context, max_connections=4, retries=0, http2=False, network_backend=backend
    )


def _decoded(pieces: Iterator[bytes], headers: Mapping[str, str], most: int) -> Iterator[bytes]:
    """Yield the body unpacked. Raises TooLarge as soon as it is, packed or unpacked; BadAnswer."""
    coding = headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise BadAnswer(f"The answer is packed as {coding[:40]!r}, which was not asked for.")
    too_large = TooLarge(f"The answer is larger than the {most} bytes this resource allows.")
    if headers.get("content-length", "").isdecimal() and int(headers["content-length"]) > most:
        raise too_large
    unpacker = zlib.decompressobj(GZIP) if "gzip" in coding else None
    received = given = 0
    for piece in pieces:
        received += len(piece)
        if received > most:
            raise too_large
        if unpacker is None:
            yield piece
            continue
        todo = piece
        while todo:
            try:
                part = unpacker.decompress(todo, PIECE_BYTES)
            except zlib.error as error:
                raise BadAnswer(f"The answer cannot be unpacked: {error}.") from error
            given += len(part)
            if given > most:
                raise too_large
            yield part
            todo = unpacker.unconsumed_tail
    if unpacker is not None and received and not unpacker.eof:
        part = unpacker.flush()
        if given + len(part) > most:
            raise too_large
        yield part
        if not unpacker.eof:
            raise BadAnswer("The answer ends in the middle of its packed content.")


@lru_cache(maxsize=64)
def context_for(ca: str) -> ssl.SSLContext:
    """Return what trusts ca (PEM) alone, or the public authorities. Shared; change nothing on it.

    Making one that trusts the public authorities takes 20 ms. Raises ExecutorError.
    """
    return _context(ca)


def context_with_certificate(ca: str, certificate: str, key: str, folder: Path) -> ssl.SSLContext:
    """Return one with a client certificate. Not kept: the certificate may be revoked meanwhile.

    The key lies in folder for as long as it takes to read it, since OpenSSL reads files only.
    Raises ExecutorError.
    """
    context = _context(ca)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".pem") as file:
        file.write(f"{certificate}\n{key}\n".encode())
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except (ssl.SSLError, OSError) as error:
            raise ExecutorError("The client certificate and its key cannot be used.") from error
    return context


def _context(ca: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        else:
            context.load_verify_locations(cafile=certifi.where())
    except (ssl.SSLError, ValueError) as error:
        raise ExecutorError("The CA certificate of the resource is not usable PEM.") from error
    return context
