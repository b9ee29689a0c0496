"""Bringing the roles and rights of a database to what they should be; safe to run at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from . import roles
from .catalog import read_open_catalogue, read_own_grants
from .login import login_of_the_application

REPAIR_LOCK = 7_301_003
"""Advisory lock: PostgreSQL fails two sessions that change rights of one thing at once."""


def repair_shared_roles() -> list[str]:
    """Ensure the login, the public domain's role and the tenants' group, and close the catalogue.

    Returns the statements that only a superuser could run, where the owner is none. Needs a
    session of the owner.
    """
    login = login_of_the_application()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [REPAIR_LOCK])
        roles.ensure_login(
            cursor, name=login.name, password=login.password, database=login.database
        )
        roles.ensure_shared_roles(cursor, login=login.name, database=login.database)
        cursor.execute("SELECT quote_ident(current_user), rolsuper FROM pg_roles "
                       "WHERE rolname = current_user")  # fmt: skip
        owner, is_superuser = cursor.fetchone()
        found = read_open_catalogue(cursor)
        statements = [*found.statements(owner=owner), *_revoked_by_name(cursor, login.database)]
        if not is_superuser:
            return statements
        for statement in statements:
            cursor.execute(sql.SQL(statement))
        # Django sets the time zone with it, before any role is taken.
        cursor.execute(
            sql.SQL("GRANT EXECUTE ON FUNCTION set_config TO {}").format(sql.Identifier(login.name))
        )
    return []


def _revoked_by_name(cursor: Any, database: str) -> list[str]:
    """Return the SQL that takes from tenants what of the catalogue was granted to their roles."""
    names = [
        roles.group_of(database),
        roles.role_of(database, roles.PUBLIC_SCHEMA),
        *roles.tenant_roles(cursor, database),
    ]
    granted = read_own_grants(cursor, names)
    return [
        f"REVOKE ALL ON {thing} FROM {sql.Identifier(role).as_string()}" for role, thing in granted
    ]


def repair_tenant_roles(schemas: Iterable[str]) -> None:
    """Ensure the roles of these tenants, each in a transaction. Needs a session of the owner."""
    login = login_of_the_application()
    for schema in schemas:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [REPAIR_LOCK])
            roles.ensure_tenant_role(
                cursor, schema=schema, login=login.name, database=login.database
            )
