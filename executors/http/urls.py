"""Addresses of the web, read strictly: what two programs could read in two ways is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from executors.network.addresses import parse_address
from executors.network.policy import HIGHEST_PORT, HOST_NAME

LONGEST = 8000
URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?#\\\s]*)?(?:\?(?P<query>[^#\\\s]*))?",
    re.IGNORECASE,
)
PRINTABLE = re.compile(r"[!-~]+")
DEFAULT_PORTS = {"http": 80, "https": 443}


class NotUsable(ValueError):
    """The text is no address that may be called; the message says why."""


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    host: str
    """Lower case, without brackets."""
    port: int
    path: str = "/"
    query: str = ""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query, as the first line of a request has them."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def with_query(self, query: str) -> Url:
        return replace(self, query=query)

    def joined(self, location: str) -> Url:
        """Return where a redirect leads. Raises NotUsable."""
        if not PRINTABLE.fullmatch(location):
            raise NotUsable("it has characters that no address has")
        return parse_url(urljoin(str(self), location.partition("#")[0]))


def parse_url(text: str) -> Url:
    """Return the parts of an absolute ``http`` or ``https`` address. Raises NotUsable.

    No user name, no fragment, no spaces, no backslash, no letters beyond ASCII; an address of the
    network in its full form only (``127.1``, ``0x7f.1`` and ``2130706433`` are none).
    """
    if len(text) > LONGEST:
        raise NotUsable("it is too long")
    if not PRINTABLE.fullmatch(text):
        raise NotUsable("it has spaces or characters beyond ASCII")
    match = URL.fullmatch(text)
    if match is None:
        raise NotUsable(
            "it must look like https://host/path, without user name, fragment or backslash"
        )
    scheme = match["scheme"].lower()
    host = match["host"].lower().strip("[]")
    port = int(match["port"]) if match["port"] else DEFAULT_PORTS[scheme]
    if not 0 < port <= HIGHEST_PORT:
        raise NotUsable("there is no such port")
    _check_host(host)
    return Url(scheme, host, port, match["path"] or "/", match["query"] or "")


def _check_host(host: str) -> None:
    try:
        parse_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        is_number = last.isdigit() or last.startswith("0x")
        if not HOST_NAME.fullmatch(host) or is_number:
            raise NotUsable("its host is no name and no full address") from None
