"""Every act there is, one after another: it leaves exactly one event, whatever comes of it."""

from __future__ import annotations

import inspect
import re

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.test import Client
from psycopg.sql import SQL, Identifier

from execfabric.core import permissions
from execfabric.core.actions import ACTIONS
from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import Conflict, NotPermitted
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.permissions import PERMISSIONS
from execfabric.core.roles import MANAGERS
from tenants.accounts.models import Account, ApiToken
from tenants.accounts.services import create_account
from tests.architecture.test_rules import ROOT, modules
from tests.conftest import PASSWORD
from tests.owner import owner_connection

CODES = sorted(ACTIONS)


def actor_with(roles) -> Actor:
    return Actor(
        schema=current_schema(),
        username="walker",
        display_name="",
        user_id=1,
        roles=frozenset(roles),
        door=Door.API,
        is_proven=True,
    )


@pytest.fixture
def act(monkeypatch, acme):
    """Return a caller of an act whose service does something else; all around it is real."""
    monkeypatch.setattr(permissions, "TARGET_RULES", {})

    def call(code, does, *, roles=None):
        run = ACTIONS[code]
        cell = run.__closure__[run.__code__.co_freevars.index("service")]
        service = cell.cell_contents
        arguments = dict.fromkeys(inspect.signature(service).parameters)
        arguments["actor"] = actor_with(PERMISSIONS[code].roles if roles is None else roles)
        cell.cell_contents = lambda **_arguments: does()
        try:
            return run(**arguments)
        finally:
            cell.cell_contents = service

    return call


def raising(error):
    def do():
        raise error

    return do


def left_by(act) -> list[tuple[str, str]]:
    """Return code and outcome of each event that calling act leaves."""
    last = AuditEvent.objects.first()
    act()
    since = AuditEvent.objects.filter(pk__gt=last.pk) if last else AuditEvent.objects.all()
    return [(event.code, event.outcome) for event in since]


def test_every_act_that_is_done_leaves_exactly_one_event(act):
    for code in CODES:
        assert left_by(lambda code=code: act(code, lambda: None)) == [(code, Outcome.DONE)]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(Conflict("It is taken."), Outcome.REFUSED), (ZeroDivisionError(), Outcome.FAILED)],
)
def test_every_act_that_is_undone_leaves_exactly_one_event(act, error, outcome):
    for code in CODES:

        def fail(code=code):
            with pytest.raises(type(error)):
                act(code, raising(error))

        assert left_by(fail) == [(code, outcome)]


def test_every_act_that_somebody_may_not_do_leaves_exactly_one_event(act):
    for code in CODES:
        if not PERMISSIONS[code].roles:
            continue  # Open to all: who may do it, is up to the service.

        def ask(code=code):
            with pytest.raises(NotPermitted):
                act(code, lambda: None, roles=())

        assert left_by(ask) == [(code, Outcome.REFUSED)]


def test_events_are_made_in_one_place():
    """Nothing but audit.py makes events, which the actions call."""
    makers = {
        str(path.relative_to(ROOT))
        for path in modules()
        if re.search(r"\bAuditEvent(\.objects\.(bulk_)?create)?\(", path.read_text())
    }

    assert makers <= {"execfabric/core/audit.py", "execfabric/core/models.py"}


class TestWithoutTrail:
    """What is relevant to security is refused when it cannot be recorded."""

    @pytest.fixture(autouse=True)
    def nothing_can_be_recorded(self, acme):
        role = f"{connection.settings_dict['NAME']}_{acme.schema_name}"
        names = {"table": Identifier(acme.schema_name, "core_auditevent"), "role": Identifier(role)}
        with owner_connection() as owner:
            owner.execute(SQL("REVOKE INSERT ON {table} FROM {role}").format(**names))
        yield
        with owner_connection() as owner:
            owner.execute(SQL("GRANT INSERT ON {table} TO {role}").format(**names))

    def refused(self, act):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            act()

    def test_no_account_is_made(self, acme):
        olivia = actor_with(MANAGERS)
        self.refused(lambda: create_account(actor=olivia, username="eve", roles=frozenset()))

        assert not Account.objects.filter(username="eve").exists()

    def test_nobody_logs_in(self, acme):
        browser = Client(headers={"host": "acme.localhost"}, raise_request_exception=False)
        with transaction.atomic():
            answer = browser.post("/login/", {"username": "oscar", "password": PASSWORD})

        assert answer.status_code == 500
        assert "sessionid" not in browser.cookies
        assert settings.SESSION_COOKIE_NAME not in browser.cookies
        assert not ApiToken.objects.exists()

    def test_a_refusal_is_no_way_round(self, acme):
        nobody = actor_with(())
        self.refused(lambda: create_account(actor=nobody, username="eve", roles=frozenset()))

        assert not Account.objects.filter(username="eve").exists()
