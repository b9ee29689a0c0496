"""Bringing roles and rights to what they should be, next to a platform that is in use."""

from __future__ import annotations

import pytest
from django.db import connection

from execfabric.core.actor import Actor, Door
from tenants.postgresql.inspection import inspect_isolation
from tenants.postgresql.repairing import REPAIR_LOCK, repair_shared_roles
from tenants.registry.services import OwnerRequest, open_tenant

pytestmark = pytest.mark.usefixtures("owner_session")


def sent_by(act) -> list[str]:
    sent: list[str] = []

    def note(execute, statement, *rest):
        sent.append(str(statement))
        return execute(statement, *rest)

    with connection.execute_wrapper(note):
        act()
    return sent


def test_roles_are_locked_before_the_registry_so_that_both_can_go_on_at_once(platform):
    """repair_shared_roles takes them in this order; the other one would be a deadlock."""
    sent = sent_by(
        lambda: open_tenant(
            actor=Actor.system("tests", door=Door.COMMAND),
            name="initech",
            title="Initech",
            owner=OwnerRequest("otto", password="a good long password"),
        )
    )
    first = next(index for index, each in enumerate(sent) if "pg_advisory_xact_lock" in each)

    assert not [each for each in sent[:first] if "registry_" in each]
    with connection.cursor() as cursor:
        cursor.execute("SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted")
        assert (REPAIR_LOCK,) in cursor.fetchall()


def test_repairing_what_is_right_locks_no_table_against_readers(platform):
    sent = sent_by(repair_shared_roles)

    assert not [each for each in sent if "ALTER TABLE" in each or "POLICY" in each]


def test_rows_of_shared_tables_are_kept_apart_again_where_the_rule_is_gone(platform):
    with connection.cursor() as cursor:
        cursor.execute("DROP POLICY own_tenant ON public.registry_tenant")

    assert "ALTER TABLE" in str(sent_by(repair_shared_roles))

    answers = {answer.title: answer.problems for answer in inspect_isolation([])}
    assert answers["Shared tables show a tenant its own rows only"] == ()
