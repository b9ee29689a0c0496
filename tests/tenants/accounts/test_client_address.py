"""Whose address is recorded and counted: nobody chooses it by a header."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from pydantic import ValidationError

from execfabric.core.models import AuditEvent
from execfabric.settings.environment import Environment
from tenants.accounts.actors import client_address
from tests.tenants.accounts.test_pages import browser, log_in

PROXIES = frozenset({"10.0.0.1", "172.18.0.0/16", "2001:db8::1"})


def address_of(peer: str, forwarded: str | None = None) -> str:
    more = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **more))


def test_without_a_trusted_proxy_the_header_is_nobodys(settings):
    settings.TRUSTED_PROXIES = frozenset()
    assert address_of("192.0.2.7", "198.51.100.1") == "192.0.2.7"

    settings.TRUSTED_PROXIES = PROXIES
    assert address_of("192.0.2.7", "198.51.100.1") == "192.0.2.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("172.18.0.9", "192.0.2.7", "192.0.2.7"),
        ("::ffff:172.18.0.9", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "127.0.0.1, 203.0.113.9, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.9, 192.0.2.7, 172.18.0.2", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7:41234", "192.0.2.7"),
        ("10.0.0.1", "[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::1", "2001:DB8:0::7", "2001:db8::7"),
    ],
    ids=["one", "by-range", "mapped", "claims-before-it", "two-proxies", "port", "v6", "spelling"],
)
def test_the_first_from_the_end_that_is_no_proxy_is_the_client(settings, peer, forwarded, client):
    settings.TRUSTED_PROXIES = PROXIES

    assert address_of(peer, forwarded) == client


@pytest.mark.parametrize("nothing", [None, "", "unknown", "203.0.113.9, nonsense", "1.2.3.4.5"])
def test_where_a_proxy_names_no_address_its_own_counts(settings, nothing):
    settings.TRUSTED_PROXIES = PROXIES

    assert address_of("10.0.0.1", nothing) == "10.0.0.1"


def test_the_trail_holds_the_client_behind_the_proxy(acme, settings):
    settings.TRUSTED_PROXIES = PROXIES
    behind = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1, 192.0.2.7"}

    log_in(browser(), password="wrong", **behind)

    assert AuditEvent.objects.get(code="accounts.session.open").address == "192.0.2.7"


def test_a_proxy_that_is_no_address_stops_the_start():
    assert Environment(trusted_proxies="10.0.0.1, 10.1.0.0/16").trusted_proxies == {
        "10.0.0.1",
        "10.1.0.0/16",
    }
    with pytest.raises(ValidationError, match=r"10\.0\.0\.0/24"):
        Environment(trusted_proxies="proxy.intra")
