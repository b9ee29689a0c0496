"""The board asks every host what a visitor would get, and is for super-admins only."""

from __future__ import annotations

import pytest
from django.db import connection
from django.urls import get_urlconf

from governance.entry_board.asking import ask_host
from tenants.registry.services import suspend_tenant
from tests.conftest import tenant_named

BOARD = "/platform/entries/"


@pytest.fixture
def sam(platform, person):
    return person("sam")


def test_every_entry_is_asked_and_works(sam):
    page = sam.browser.get(BOARD).content.decode()

    for host in ("admin.localhost", "acme.localhost", "globex.localhost", "http://localhost:8000/"):
        assert host in page
    assert page.count("Works") == page.count('data-label="Host"') >= 4
    assert "fails." not in page


def test_a_suspended_one_is_closed_as_it_should_be(sam):
    suspend_tenant(actor=sam.actor, tenant=tenant_named("acme"), reason="Unpaid.")

    page = sam.browser.get(BOARD).content.decode()

    assert page.count("Closed, as it should be") == 1
    assert "fails." not in page


def test_one_whose_page_breaks_is_named(sam, monkeypatch):
    from tenants.accounts.views import Login

    def broken(self, request):
        raise RuntimeError("out of order")

    monkeypatch.setattr(Login, "get", broken)
    sam.browser.raise_request_exception = False

    page = sam.browser.get(BOARD).content.decode()

    assert "entries fail" in page
    assert "(500, 200)" in page


def test_asking_leaves_schema_and_addresses_as_they_were(platform):
    before = connection.schema_name, get_urlconf()

    answer = ask_host("acme.localhost", "/login/")

    assert answer.status == 200
    assert (connection.schema_name, get_urlconf()) == before
    assert ask_host("nobody.localhost", "/login/").status == 404
