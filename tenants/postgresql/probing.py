"""What a tenant's session must not be able to do, tried on the live database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection
from psycopg import sql

from .login import login_of_the_application
from .roles import role_of

ATTEMPTS = {
    "read another tenant": "SELECT * FROM {other}.accounts_account",
    "write to another tenant": "DELETE FROM {other}.accounts_account",
    "read the public domain's accounts": "SELECT * FROM public.accounts_account",
    "see another tenant in the registry": (
        "SELECT 1 / count(*) FROM public.registry_tenant WHERE schema_name = {name}"
    ),
    "change the registry": "UPDATE public.registry_tenant SET title = 'x'",
    "create a table": "CREATE TABLE {own}.probe (i int)",
    "create a temporary table": "CREATE TEMP TABLE probe (i int)",
    "drop its own table": "DROP TABLE {own}.accounts_account",
    "change its own trail": "DELETE FROM {own}.core_auditevent",
    "read a file of the server": "SELECT pg_read_file('PG_VERSION')",
    "run a program on the server": "COPY (SELECT 1) TO PROGRAM 'true'",
    "become another tenant by a function": "SELECT set_config('role', {role}, false)",
    "run a block of code": "DO $$ BEGIN PERFORM 1; END $$",
    "end another session": "SELECT pg_terminate_backend(0)",
    "hold a lock others wait for": "SELECT pg_try_advisory_lock(1)",
    "list what is in the database": "SELECT nspname FROM pg_namespace",
}
"""What is tried -> SQL that must fail, with {own}, {other} and their names for two tenants."""


def probe_isolation(own: str, other: str) -> Iterator[tuple[str, str]]:
    """Yield what was tried in the schema own against the schema other, and what went wrong.

    The second is empty where PostgreSQL refused. Every attempt is rolled back.
    """
    login = login_of_the_application()
    parts = {
        "own": sql.Identifier(own),
        "other": sql.Identifier(other),
        "name": sql.Literal(other),
        "role": sql.Literal(role_of(login.database, other)),
    }
    with _plain_connection() as session:
        for what, statement in ATTEMPTS.items():
            session.execute(
                sql.SQL("SET search_path = {}, public; SET ROLE {}").format(
                    parts["own"], sql.Identifier(role_of(login.database, own))
                )
            )
            try:
                session.execute(sql.SQL(statement).format(**parts))
            except psycopg.Error as error:
                refused = isinstance(error, (psycopg.errors.InsufficientPrivilege,
                                             psycopg.errors.DivisionByZero))  # fmt: skip
                yield what, "" if refused else f"It failed for another reason: {error}"
            else:
                yield what, "PostgreSQL let it."
            finally:
                session.rollback()


def _plain_connection() -> psycopg.Connection[Any]:
    """Connect as the application does, but with none of its own precautions."""
    configured = settings.DATABASES["default"]
    parts = {name.lower(): configured[name] for name in ("HOST", "PORT", "USER", "PASSWORD")}
    return psycopg.connect(
        dbname=connection.settings_dict["NAME"], **parts, **configured["OPTIONS"]
    )
