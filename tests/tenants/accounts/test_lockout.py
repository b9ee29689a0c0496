"""Guessing passwords, alone or from many places at once."""

from __future__ import annotations

import secrets

import pytest
from django.test import Client

from execfabric.core.models import AuditEvent
from tenants.accounts import lockout
from tests.conftest import PASSWORD


@pytest.fixture(autouse=True)
def few(acme, monkeypatch):
    """Limits that a test reaches in a moment, and addresses of its own."""
    monkeypatch.setattr(lockout, "MOST_FAILURES", {"account": 6, "address": 10, "network": 20})
    monkeypatch.setattr(Somewhere, "part", secrets.randbelow(256))


class Somewhere:
    """Where the addresses of a test lie: their second part."""

    part = 0

    @classmethod
    def at(cls, address: str) -> str:
        if ":" in address:
            return address.replace("db8", f"{0xD00 + cls.part:x}")
        first, _second, rest = address.split(".", 2)
        return f"{first}.{cls.part}.{rest}"


def log_in(username, password="wrong", *, address="192.0.2.1", page=False):
    client = Client(headers={"host": "acme.localhost"}, REMOTE_ADDR=Somewhere.at(address))
    fields = {"username": username, "password": password}
    if page:
        return client.post("/login/", fields).status_code
    answer = client.post("/api/v1/auth/login", fields, content_type="application/json")
    return answer.status_code


def test_one_account_tried_from_many_networks_is_locked_for_strangers():
    for number in range(6):
        assert log_in("oscar", address=f"203.0.{number}.1") == 401

    assert log_in("oscar", PASSWORD, address="198.51.100.7") == 429
    assert log_in("OSCAR", PASSWORD, address="198.51.100.7", page=True) == 429
    assert log_in("anna", PASSWORD, address="198.51.100.7") == 200


def test_its_owner_still_gets_in_from_where_they_logged_in_before():
    assert log_in("oscar", PASSWORD, address="198.51.100.7", page=True) == 302
    for number in range(6):
        log_in("oscar", address=f"203.0.{number}.1")

    assert log_in("oscar", PASSWORD, address="198.51.100.7") == 200
    assert log_in("oscar", PASSWORD, address="198.51.100.8") == 429


def test_a_known_address_may_not_guess_for_ever():
    log_in("oscar", PASSWORD, address="198.51.100.7", page=True)
    for _ in range(8):
        log_in("oscar", address="198.51.100.7")

    assert log_in("oscar", PASSWORD, address="198.51.100.7") == 429


def test_one_address_that_tries_many_accounts_is_locked():
    for number in range(10):
        log_in(f"nobody{number}")

    assert log_in("oscar", PASSWORD) == 429
    assert log_in("oscar", PASSWORD, address="192.0.2.2") == 200


def test_a_network_that_tries_from_many_addresses_is_locked():
    for number in range(20):
        log_in(f"nobody{number}", address=f"192.0.2.{number}")

    assert log_in("oscar", PASSWORD, address="192.0.2.200") == 429
    assert log_in("oscar", PASSWORD, address="192.0.3.200") == 200


def test_a_neighbour_cannot_lock_out_those_who_logged_in_before():
    assert log_in("oscar", PASSWORD, address="192.0.2.200", page=True) == 302
    for number in range(20):
        log_in(f"nobody{number}", address=f"192.0.2.{number}")

    assert log_in("oscar", PASSWORD, address="192.0.2.200") == 200
    assert log_in("anna", PASSWORD, address="192.0.2.200") == 429
    assert log_in("oscar", PASSWORD, address="192.0.2.201") == 429


def test_all_addresses_of_one_host_in_ipv6_are_one():
    for number in range(10):
        log_in(f"nobody{number}", address=f"2001:db8:1:2::{number:x}")

    assert log_in("oscar", PASSWORD, address="2001:db8:1:2:ffff::1") == 429
    assert log_in("oscar", PASSWORD, address="2001:db8:1:3::1") == 200


def test_an_own_account_buys_no_further_guesses():
    for number in range(10):
        log_in(f"nobody{number}")
        log_in("anna", PASSWORD)

    assert log_in("oscar", PASSWORD) == 429


def test_each_tenant_counts_for_itself(globex):
    for number in range(10):
        log_in(f"nobody{number}")

    client = Client(headers={"host": "globex.localhost"}, REMOTE_ADDR=Somewhere.at("192.0.2.1"))
    answer = client.post("/login/", {"username": "gina", "password": PASSWORD})
    assert answer.status_code == 302


def test_who_is_locked_out_is_in_the_login_log():
    for number in range(10):
        log_in(f"nobody{number}")
    log_in("oscar", PASSWORD)

    event = AuditEvent.objects.filter(code="accounts.token.issue").first()
    assert (event.outcome, event.address) == ("refused", Somewhere.at("192.0.2.1"))
    assert "Too many failed attempts" in event.reason
    assert (event.details["username"], event.details["locked_out"]) == ("oscar", True)
