"""Bringing the roles and rights of a database to what they should be; safe to run at any time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from psycopg import sql

from . import roles
from .catalog import read_open_catalogue, read_own_grants
from .inspection import Scope, policy_problems
from .login import login_of_the_application

REPAIR_LOCK = 7_301_003
"""Advisory lock: PostgreSQL fails two sessions that change rights of one thing at once."""


def lock_roles() -> None:
    """Be the only one to change roles and rights until the transaction at hand ends.

    A transaction that writes to the registry too must begin with it: repair_shared_roles takes the
    registry's tables second, and the other order would be a deadlock.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [REPAIR_LOCK])


def repair_shared_roles() -> list[str]:
    """Ensure the login, the public domain's role and the tenants' group, and close the catalogue.

    Returns the statements that only a superuser could run, where the owner is none. Needs a
    session of the owner.
    """
    login = login_of_the_application()
    with transaction.atomic(), connection.cursor() as cursor:
        lock_roles()
        roles.ensure_login(
            cursor, name=login.name, password=login.password, database=login.database
        )
        roles.ensure_shared_roles(cursor, login=login.name, database=login.database)
        if any(policy_problems(cursor, Scope(login))):
            roles.replace_policies(cursor, database=login.database)
        roles.open_shared_tables(cursor, database=login.database)
        cursor.execute(
            "SELECT quote_ident(current_user), quote_ident(%s), rolsuper FROM pg_roles "
            "WHERE rolname = current_user",
            [login.name],
        )
        owner, quoted_login, is_superuser = cursor.fetchone()
        found = read_open_catalogue(cursor)
        statements = [
            *found.statements(owner=owner, login=quoted_login),
            *_revoked_by_name(cursor, login.database),
        ]
        if not is_superuser:
            return statements
        for statement in statements:
            cursor.execute(sql.SQL(statement))
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
            lock_roles()
            roles.ensure_tenant_role(
                cursor, schema=schema, login=login.name, database=login.database
            )
