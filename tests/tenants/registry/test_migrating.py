"""Bringing schemas up to date: those behind, and no others."""

from __future__ import annotations

import pytest
from django.db import connection
from psycopg import sql

from tenants.registry.migrating import migrate_platform, schemas_behind

pytestmark = pytest.mark.usefixtures("owner_session")

LATEST = "0001_initial"


def execute(statement: str, tenant) -> list[tuple]:
    """Run statement, in which {} is the tenant's schema; return its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(sql.Identifier(tenant.schema_name)))
        return cursor.fetchall() if cursor.description else []


def put_behind(tenant) -> None:
    """As if the menu's table came with this version."""
    execute("DROP TABLE {}.menu_menurow", tenant)
    execute("DELETE FROM {}.django_migrations WHERE app = 'menu'", tenant)


def migrate():
    return migrate_platform(lambda _line: None, processes=1)


def test_only_the_schema_that_is_behind_is_upgraded(acme, globex):
    put_behind(acme)
    assert schemas_behind() == [acme.schema_name]

    lines: list[str] = []
    assert migrate_platform(lines.append, processes=1) == []

    assert lines == [f"upgraded {acme.schema_name} (1 of 1)"]
    assert schemas_behind() == []
    recorded = execute("SELECT name FROM {}.django_migrations WHERE app = 'menu'", acme)
    assert recorded == [(LATEST,)]
    # Filled again by the initializer, and open to the tenant's role.
    assert execute("SELECT count(*) > 0 FROM {}.menu_menurow", acme) == [(True,)]


def test_schemas_at_different_points_are_all_upgraded(acme, globex):
    put_behind(acme)
    put_behind(globex)
    execute("ALTER TABLE {}.batches_batch DROP COLUMN asked_digest", globex)
    execute("DELETE FROM {}.django_migrations WHERE app = 'batches' AND name >= '0003'", globex)

    assert migrate() == []

    assert schemas_behind() == []
    assert execute("SELECT count(asked_digest) FROM {}.batches_batch", globex) == [(0,)]


def test_one_that_fails_is_named_and_the_others_are_done(acme, globex):
    put_behind(acme)
    put_behind(globex)
    execute("CREATE TABLE {}.menu_menurow (in_the_way int)", acme)

    failures = migrate()

    assert [failure.schema for failure in failures] == [acme.schema_name]
    assert "already exists" in failures[0].reason
    assert schemas_behind() == [acme.schema_name]


def test_a_schema_without_its_record_fails_alone_and_is_not_taken_for_the_public_one(acme, globex):
    execute("ALTER TABLE {}.django_migrations RENAME TO lost", acme)
    put_behind(globex)

    failures = migrate()

    assert [failure.schema for failure in failures] == [acme.schema_name]
    assert schemas_behind() == [acme.schema_name]
