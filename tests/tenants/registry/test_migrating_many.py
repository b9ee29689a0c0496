"""Upgrading all schemas: only those behind, side by side, and none stops another."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor, Door
from tenants.accounts.models import Account
from tenants.menu.models import MenuRow
from tenants.postgresql.inspection import inspect_isolation
from tenants.postgresql.owner import as_owner
from tenants.registry import migrating
from tenants.registry.models import Tenant
from tenants.registry.selectors import customer_schemas
from tenants.registry.services import OwnerRequest, open_tenant
from tests.owner import owner_connection

pytestmark = pytest.mark.xdist_group("migrating")


@pytest.fixture(scope="module")
def tenants(django_db_setup, django_db_blocker):
    """Schemas of three tenants that are really there, and gone after these tests."""
    names = ("behind-one", "behind-two", "current")
    with django_db_blocker.unblock():
        connection.set_schema_to_public()
        opened = [
            open_tenant(
                actor=Actor.system("tests", door=Door.COMMAND),
                name=name,
                title=name,
                owner=OwnerRequest("otto", password="a good long password"),
            )
            for name in names
        ]
        yield [tenant.schema_name for tenant in opened]
        with owner_connection() as server:
            for tenant in opened:
                server.execute(f"DROP SCHEMA {tenant.schema_name} CASCADE")
                server.execute(f"DROP ROLE {server.info.dbname}_{tenant.schema_name}")
        with as_owner():
            Tenant.objects.filter(name__in=names).delete()
        connection.close()


@pytest.fixture
def behind(tenants, django_db_blocker):
    """The first two of them, without the tables of the menu."""
    with django_db_blocker.unblock():
        connection.set_schema_to_public()
        with as_owner():
            for schema in tenants[:2]:
                call_command("migrate_schemas", "menu", "zero", schema_name=schema, verbosity=0)
        yield tenants[:2]
        migrating.migrate_platform(lambda _line: None)
        connection.close()


def migrate(**options):
    lines: list[str] = []
    return migrating.migrate_platform(lines.append, **options), lines


def test_only_those_behind_are_touched(behind):
    failures, lines = migrate()

    assert failures == []
    assert [line for line in lines if "upgraded" in line] == [
        f"upgraded {behind[0]} (1 of 2)",
        f"upgraded {behind[1]} (2 of 2)",
    ]
    assert migrate() == ([], [])


def test_several_processes_do_it_side_by_side(behind, monkeypatch):
    monkeypatch.setattr(migrating, "FEW", 0)

    failures, lines = migrate(processes=2)

    assert failures == []
    assert len(lines) == 2
    assert migrate() == ([], [])


@pytest.mark.parametrize("few", [0, 100])
def test_a_broken_one_is_told_and_stops_no_other(behind, monkeypatch, few):
    broken, whole = behind
    monkeypatch.setattr(migrating, "FEW", few)
    with owner_connection() as server:
        server.execute(f"CREATE TABLE {broken}.menu_menurow (in_the_way int)")

    failures, _ = migrate(processes=2)
    assert [failure.schema for failure in failures] == [broken]
    assert "already exists" in failures[0].reason
    with schema_context(whole):
        assert MenuRow.objects.exists()

    told = StringIO()
    with pytest.raises(CommandError, match=f"(?s)1 schemas could not.*{broken}: "):
        call_command("migrate_platform", stdout=told)
    assert "Every schema is up to date" not in told.getvalue()

    with owner_connection() as server:
        server.execute(f"DROP TABLE {broken}.menu_menurow")
    assert migrate()[0] == []
    with schema_context(broken):
        assert MenuRow.objects.exists()


def test_new_tables_are_the_tenant_s_and_nobody_else_s(behind):
    migrate()

    with schema_context(behind[0]):
        assert MenuRow.objects.exists()
        assert Account.objects.get().username == "otto"
    with as_owner():
        problems = [each for each in inspect_isolation(customer_schemas()) if each.problems]
    assert problems == []
