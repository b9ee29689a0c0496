"""Who may try to log in: failures are counted by several axes, each of which locks for itself.

Axes for one account at one address locks early. The others catch what is spread out: one address
that tries many accounts, a network that tries from many addresses, many networks that try one
account. The last two would let anybody lock out an account, or a whole neighbourhood; so an address
from which the account logged in before is asked for its password all the same.

Counts lie in Redis beside those of django-axes, whose handler this is; their keys carry the schema.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from axes.handlers.cache import AxesCacheHandler
from axes.helpers import get_client_username
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

logger = structlog.get_logger(__name__)

MOST_FAILURES = {"account": 30, "address": 100, "network": 300}
"""Within the time of AXES_COOLOFF_TIME, which also is how long the axis stays locked."""
KNOWN_S = 30 * 86_400
"""How long an address is known to an account that logged in from there."""


class Axis(NamedTuple):
    name: str
    key: str


class LockoutHandler(AxesCacheHandler):
    """Counts by account and address together, as django-axes does, and by the wider axes."""

    def is_locked(self, request: HttpRequest, credentials: Any = None) -> bool:
        return super().is_locked(request, credentials) or self._locks_widely(request, credentials)

    def user_login_failed(
        self, sender: Any, credentials: Any, request: Any = None, **more: Any
    ) -> None:
        if request is not None and self._locks_widely(request, credentials):
            request.axes_locked_out = True
            return
        super().user_login_failed(sender, credentials, request, **more)
        if request is None or request.axes_locked_out:
            return
        seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
        for axis in self._axes(request, credentials):
            # The time runs from the first failure: who goes on trying does not stay locked by it.
            if not self.cache.add(axis.key, 1, timeout=seconds):
                with suppress(ValueError):  # It ended in between.
                    self.cache.incr(axis.key)

    def user_logged_in(self, sender: Any, request: Any, user: Any, **more: Any) -> None:
        super().user_logged_in(sender, request, user, **more)
        credentials = {"username": user.get_username()}
        if known := _known_key(request, credentials):
            cache.set(known, 1, timeout=KNOWN_S)

    def _locks_widely(self, request: Any, credentials: Any) -> bool:
        for axis in self._axes(request, credentials):
            if self.cache.get(axis.key, 0) >= MOST_FAILURES[axis.name]:
                logger.warning("login.locked_out", axis=axis.name)
                return True
        return False

    def _axes(self, request: Any, credentials: Any) -> Iterator[Axis]:
        username, address = get_client_username(request, credentials), _address(request)
        if address:
            yield Axis("address", _key("address", _range_of(address, v4=32, v6=64)))
        if not address or is_known(request, credentials):
            return
        yield Axis("network", _key("network", _range_of(address, v4=24, v6=48)))
        if username:
            yield Axis("account", _key("account", str(username)))


def is_known(request: Any, credentials: Mapping[str, Any] | None) -> bool:
    """Return whether the account logged in, with all that takes, from this address of late."""
    key = _known_key(request, credentials)
    return bool(key) and cache.get(key) is not None


def _known_key(request: Any, credentials: Mapping[str, Any] | None) -> str:
    username, address = get_client_username(request, credentials), _address(request)
    if not username or not address:
        return ""
    return _key("known", str(username), _range_of(address, v4=32, v6=64))


def _address(request: Any) -> str:
    return str(getattr(request, "axes_ip_address", "") or "")


def _range_of(address: str, *, v4: int, v6: int) -> str:
    """Return the network of so many bits that address is in; address itself where it is none."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped:
        known = known.ipv4_mapped
    bits = v4 if known.version == 4 else v6
    return str(ipaddress.ip_network(f"{known}/{bits}", strict=False))


def _key(*parts: str) -> str:
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"login-failures:{parts[0]}:{digest}"
