"""One write path: permission, transaction, exactly one audit event."""

from __future__ import annotations

import pytest

from execfabric.core import permissions
from execfabric.core.actions import ACTIONS, action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, NotPermitted
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.request_context import request_id_scope
from execfabric.core.roles import Role
from tenants.accounts.models import Account, RoleAssignment

OPERATORS = frozenset({Role.OPERATOR})


@pytest.fixture
def rename():
    """An action on accounts that operators may do, gone again after the test."""

    @action("tests.account.rename", title="Rename", roles=OPERATORS, target="account")
    def rename_account(*, actor: Actor, account: Account, to: str, password: str = "") -> Account:
        account.display_name = to
        account.save()
        if to == "forbidden":
            raise Conflict("That name is not possible.")
        if to == "broken":
            raise ZeroDivisionError
        return account

    yield rename_account
    del ACTIONS["tests.account.rename"], permissions.PERMISSIONS["tests.account.rename"]


def events():
    return AuditEvent.objects.filter(code="tests.account.rename")


def test_a_done_act_leaves_one_event_with_actor_object_and_request_id(acme, person, rename):
    oscar = person("oscar")

    with request_id_scope("request-0001"):
        rename(actor=oscar.actor, account=oscar.account, to="Oscar O.", password="hunter2hunter2")

    event = events().get()
    assert (event.outcome, event.actor_name, event.target_id) == (
        Outcome.DONE,
        "oscar",
        str(oscar.account.pk),
    )
    assert (event.request_id, event.schema) == ("request-0001", acme.schema_name)
    assert event.details["to"] == "Oscar O."
    assert "hunter2" not in str(event.details)


def test_who_may_not_is_refused_and_the_refusal_is_audited(acme, person, rename):
    victor = person("victor")

    with pytest.raises(NotPermitted):
        rename(actor=victor.actor, account=victor.account, to="Boss")

    assert events().get().outcome == Outcome.REFUSED
    victor.account.refresh_from_db()
    assert victor.account.display_name == ""


@pytest.mark.parametrize(
    ("to", "error", "outcome"),
    [("forbidden", Conflict, Outcome.REFUSED), ("broken", ZeroDivisionError, Outcome.FAILED)],
)
def test_a_failing_act_is_undone_but_recorded_once(acme, person, rename, to, error, outcome):
    oscar = person("oscar")

    with pytest.raises(error):
        rename(actor=oscar.actor, account=oscar.account, to=to)

    assert [event.outcome for event in events()] == [outcome]
    oscar.account.refresh_from_db()
    assert oscar.account.display_name == ""


def test_an_actor_of_another_schema_may_do_nothing(acme, person, rename):
    from dataclasses import replace

    oscar = person("oscar")
    stranger = replace(oscar.actor, schema="tenant_1002")

    with pytest.raises(NotPermitted):
        rename(actor=stranger, account=oscar.account, to="Eve")


def test_a_code_cannot_be_defined_twice(rename):
    with pytest.raises(ValueError, match="twice"):
        action("tests.account.rename", title="Again", roles=OPERATORS)(lambda *, actor: None)


def test_services_take_keywords_only():
    with pytest.raises(TypeError, match="keyword"):

        @action("tests.account.positional", title="No", roles=OPERATORS)
        def positional(actor):  # pragma: no cover
            return actor


@pytest.mark.parametrize(
    "sql", ["UPDATE core_auditevent SET code='x'", "DELETE FROM core_auditevent"]
)
def test_the_database_refuses_to_change_the_trail(acme, person, rename, sql):
    from django.db import DatabaseError, connection

    oscar = person("oscar")
    rename(actor=oscar.actor, account=oscar.account, to="Oscar")

    with pytest.raises(DatabaseError, match="annot"), connection.cursor() as cursor:
        cursor.execute(sql)


def test_roles_come_from_assignments_not_from_ids(acme, person):
    first = Account.objects.order_by("pk").first()
    RoleAssignment.objects.filter(account=first).delete()

    assert person(first.username).actor.roles == frozenset()
