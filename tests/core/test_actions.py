"""One write path: permission, transaction, exactly one audit event."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery import current_app
from django.db import DatabaseError, IntegrityError, connection, transaction
from kombu.exceptions import OperationalError

from execfabric.core import permissions
from execfabric.core.actions import ACTIONS, action
from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, NotPermitted
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.request_context import request_id_scope
from execfabric.core.roles import Role
from execfabric.core.tasks import enqueue
from tenants.accounts.models import Account, RoleAssignment
from tenants.postgresql.owner import as_owner

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


CHANGES = [
    "UPDATE core_auditevent SET code='x'",
    "DELETE FROM core_auditevent",
    "TRUNCATE core_auditevent",
]


@pytest.mark.usefixtures("owner_session")
@pytest.mark.parametrize("sql", CHANGES)
def test_nobody_changes_the_trail_not_even_its_owner(acme, person, rename, sql):
    oscar = person("oscar")
    rename(actor=oscar.actor, account=oscar.account, to="Oscar")

    with pytest.raises(DatabaseError, match="annot"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql)


@pytest.mark.parametrize("sql", CHANGES[:2])
def test_a_tenant_has_no_right_to_change_the_trail(acme, sql):
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(sql)


def test_roles_come_from_assignments_not_from_ids(acme, person):
    first = Account.objects.order_by("pk").first()
    RoleAssignment.objects.filter(account=first).delete()

    assert person(first.username).actor.roles == frozenset()


class TestTheCommit:
    """What happens at and after it. These acts are really committed."""

    @pytest.fixture
    def committing(self, django_db_setup, django_db_blocker):
        """The tenant acme without a transaction around the test; the events are removed again."""
        from tenants.registry.models import Tenant

        with django_db_blocker.unblock():
            connection.set_schema_to_public()
            connection.set_tenant(Tenant.objects.get(name="acme"))
            yield
            with as_owner(), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("ALTER TABLE core_auditevent DISABLE TRIGGER USER")
                cursor.execute("DELETE FROM core_auditevent WHERE code = 'tests.act.commit'")
                cursor.execute("ALTER TABLE core_auditevent ENABLE TRIGGER USER")
            connection.set_schema_to_public()

    @pytest.fixture
    def act(self, committing):
        """Return a caller of an action that does what it is given; then its events' outcomes."""

        @action("tests.act.commit", title="Act", roles=frozenset(), open_to_all=True)
        def do(*, actor: Actor, what: Callable[[], object]) -> None:
            what()

        yield lambda what: do(actor=Actor.anonymous(door=Door.PAGE), what=what)
        del ACTIONS["tests.act.commit"], permissions.PERMISSIONS["tests.act.commit"]

    def outcomes(self):
        events = AuditEvent.objects.filter(code="tests.act.commit")
        return [event.outcome for event in events]

    def test_a_broker_that_is_down_does_not_undo_what_is_stored(self, act, monkeypatch):
        def down(_app, name, **message):
            raise OperationalError("Connection refused")

        monkeypatch.setattr(type(current_app._get_current_object()), "send_task", down)

        act(lambda: enqueue("executions.run_execution", execution_id="1"))

        assert self.outcomes() == [Outcome.DONE]

    def test_what_fails_after_the_commit_is_raised_and_the_act_stays_done(self, act):
        with pytest.raises(ZeroDivisionError):
            act(lambda: transaction.on_commit(lambda: 1 / 0))

        assert self.outcomes() == [Outcome.DONE]

    def test_a_commit_that_is_refused_is_a_failure(self, act):
        def assign_to_nobody():
            # The database looks for the account at the commit.
            RoleAssignment.objects.create(account_id=-1, role=Role.OPERATOR)

        with pytest.raises(IntegrityError):
            act(assign_to_nobody)

        assert self.outcomes() == [Outcome.FAILED]
