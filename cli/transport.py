"""The HTTP connection: names below ``localhost`` lead to this machine, time-outs are always set.

RFC 6761 says ``*.localhost`` is always loopback, but many systems ask a name server for it and
fail.
"""

from __future__ import annotations

import ipaddress

import httpx

LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")
TIMEOUT = httpx.Timeout(30.0, connect=10.0, write=60.0)
"""Seconds. A long poll sets its own read time-out."""


def is_loopback(host: str) -> bool:
    """Return whether host is this machine: ``localhost``, a name below it, or its address."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


class LoopbackTransport(httpx.HTTPTransport):
    """Connects names below ``localhost`` to 127.0.0.1, then ::1. Uses no proxy.

    The Host header and the TLS server name stay what the caller asked for.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        if not is_loopback(name) or name in LOOPBACK_ADDRESSES or name.startswith("127."):
            return super().handle_request(request)
        first, second = LOOPBACK_ADDRESSES
        try:
            return super().handle_request(_aimed_at(first, request))
        except httpx.ConnectError as error:
            # Nothing was sent yet, so the body is still whole.
            try:
                return super().handle_request(_aimed_at(second, request))
            except httpx.ConnectError:
                raise error from error.__cause__  # the first address is the expected one


def open_http(base_url: str) -> httpx.Client:
    """Return a client for one server. Proxies of the environment never apply to loopback."""
    transport = LoopbackTransport() if is_loopback(httpx.URL(base_url).host) else None
    return httpx.Client(
        base_url=base_url,
        transport=transport,  # with none given, httpx reads the proxy variables
        timeout=TIMEOUT,
        follow_redirects=False,
        headers={"Accept": "application/json"},
    )


def _aimed_at(address: str, request: httpx.Request) -> httpx.Request:
    """Return the same request with another address to connect to."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,  # holds Host, so it is not derived from the new address
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
