"""The roles of one database, by name and by what they may do. All of it can be run again.

=========================  ==================================================================
``<login>``                logs in for the application; holds no right, may become the others
``<database>_public``      the public domain: the tables of schema ``public``
``<database>_<schema>``    one tenant: the tables of its schema
``<database>_tenants``     what all tenants share: the opened tables of ``public`` (exposure.py)
the owner                  owns everything, migrates, opens tenants; never serves a request
=========================  ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import ProgrammingError, transaction
from psycopg import sql

from execfabric.core.errors import Conflict

from .exposure import OPENINGS
from .strangers import RELATIONS, close_database, close_schema, part_login, part_role

ROW_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What a role may do with its tables, unless the model names less in ``database_rights``."""
PUBLIC_SCHEMA = "public"
TEMPLATE = "tenant_template"
"""The schema tenants are made from, which no role may enter."""
DATABASE_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""A role's name is made of it and must fit PostgreSQL's 63 bytes."""
NO_POWERS = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
POWERS = "rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls"
"""SQL, over pg_roles, for having any of them."""


class LoginNotOurs(Conflict):
    """The role the application shall log in with was made by somebody else."""

    code = "login_not_ours"


def role_of(database: str, schema: str) -> str:
    """Return the role with rights on schema. Raises ImproperlyConfigured for an odd database."""
    if not DATABASE_NAME.fullmatch(database):
        raise ImproperlyConfigured(
            "The name of the database must be of at most 40 letters, digits, - and _: its roles "
            "are named after it."
        )
    return f"{database}_{schema}"


def group_of(database: str) -> str:
    """Return the role of what all tenants share."""
    return role_of(database, "tenants")


def rights_by_table() -> dict[str, tuple[str, ...]]:
    """Return the rights on the tables that have narrower ones than ROW_RIGHTS."""
    narrower = {
        model._meta.db_table: tuple(model.database_rights)
        for model in apps.get_models(include_auto_created=True)
        if hasattr(model, "database_rights")
    }
    return {**narrower, "django_migrations": ()}


def ensure_login(cursor: Any, *, name: str, password: str, database: str) -> None:
    """Create the role the application logs in with, or take away what it must not have.

    The password is the configured one afterwards. It is sent as a SCRAM verifier, so no server log
    can hold it.
    """
    if not name:
        raise ImproperlyConfigured("EXECFABRIC_DATABASE_URL names no user to log in with.")
    _ensure_role(cursor, name, "LOGIN NOINHERIT")
    if password:
        verifier = cursor.connection.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        )
        try:
            with transaction.atomic():
                _run(cursor, "ALTER ROLE {} PASSWORD {}", name, sql.Literal(verifier.decode()))
        except ProgrammingError as error:
            raise LoginNotOurs(
                f"The role {name} of EXECFABRIC_DATABASE_URL exists, and the owner may not change "
                "it. Drop it, so that it is created here, or GRANT it to the owner WITH ADMIN "
                "OPTION."
            ) from error
    close_database(cursor, database, login=name)


def ensure_shared_roles(cursor: Any, *, login: str, database: str) -> None:
    """Create the roles of the public domain and of all tenants; close the database to others."""
    control, group = role_of(database, PUBLIC_SCHEMA), group_of(database)
    _ensure_role(cursor, control, "NOLOGIN NOINHERIT")
    _ensure_role(cursor, group, "NOLOGIN NOINHERIT")
    tenants = tenant_roles(cursor, database)
    part_login(cursor, login, known=[control, *tenants])
    part_role(cursor, control, members=[login])
    part_role(cursor, group, members=tenants)
    _run(cursor, "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE", control, login)
    close_schema(cursor, PUBLIC_SCHEMA, allowed=[control, group])
    close_schema(cursor, TEMPLATE)
    _run(cursor, "REVOKE CREATE ON SCHEMA public FROM {}", group)
    # Triggers need no right on their function; nothing else calls one.
    _run(cursor, "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON ROUTINES FROM PUBLIC")
    _run(cursor, "GRANT USAGE ON SCHEMA public TO {}", group)
    grant_schema(cursor, schema=PUBLIC_SCHEMA, role=control)


def ensure_tenant_role(cursor: Any, *, schema: str, login: str, database: str) -> None:
    """Create the role of one tenant and give it the rights on its schema, and no others."""
    role = role_of(database, schema)
    _ensure_role(cursor, role, "NOLOGIN NOINHERIT")
    _run(cursor, "GRANT {} TO {} WITH INHERIT TRUE, SET FALSE", group_of(database), role)
    _run(cursor, "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE", role, login)
    part_role(cursor, role, members=[login], groups=[group_of(database)])
    close_schema(cursor, schema, allowed=[role])
    grant_schema(cursor, schema=schema, role=role)


def grant_schema(cursor: Any, *, schema: str, role: str) -> None:
    """Give role its rights on every table that schema has now, and take away any others."""
    _run(cursor, "REVOKE CREATE ON SCHEMA {} FROM {}", schema, role)
    _run(cursor, "GRANT USAGE ON SCHEMA {} TO {}", schema, role)
    tables, sequences = _relations_of(cursor, schema)
    if sequences:
        _run(cursor, "REVOKE ALL ON SEQUENCE {} FROM {}", _named(schema, sequences), role)
    if not tables:
        return
    # By name: "ALL TABLES IN SCHEMA" reads the whole catalogue, of all tenants, several times.
    everything = _named(schema, tables)
    _run(cursor, "REVOKE ALL ON {} FROM {}", everything, role)
    rights = sql.SQL(", ").join(map(sql.SQL, ROW_RIGHTS))
    _run(cursor, "GRANT {} ON {} TO {}", rights, everything, role)
    narrower = rights_by_table()
    for table in narrower.keys() & tables:
        name = sql.Identifier(schema, table)
        _run(cursor, "REVOKE ALL ON {} FROM {}", name, role)
        if narrower[table]:
            _run(cursor, "GRANT {} ON {} TO {}", _listed(narrower[table]), name, role)


def open_shared_tables(cursor: Any, *, database: str) -> None:
    """Let tenants read the opened tables of ``public``, of which policies show them their rows."""
    group = group_of(database)
    _run(cursor, "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}", group)
    for opening in OPENINGS.values():
        table = sql.Identifier(PUBLIC_SCHEMA, opening.table)
        _run(cursor, "GRANT SELECT ON {} TO {}", table, group)


def replace_policies(cursor: Any, *, database: str) -> None:
    """Keep the rows of the opened tables apart. Locks them against readers too, so only if needed.

    Comes before open_shared_tables: without a policy, a table with a grant would show every row.
    """
    control = role_of(database, PUBLIC_SCHEMA)
    for opening in OPENINGS.values():
        table = sql.Identifier(PUBLIC_SCHEMA, opening.table)
        _run(cursor, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
        cursor.execute(
            "SELECT polname FROM pg_policy WHERE polrelid = %s::regclass", [table.as_string()]
        )
        for (policy,) in cursor.fetchall():
            _run(cursor, "DROP POLICY {} ON {}", policy, table)
        _run(cursor, "CREATE POLICY platform ON {} TO {} USING (true)", table, control)
        # Named for no role: a member of one that a policy names can drop it, by DROP OWNED.
        condition = sql.SQL(opening.condition)
        _run(cursor, "CREATE POLICY own_tenant ON {} FOR SELECT USING ({})", table, condition)
        # With what PostgreSQL made of the condition: ALTER POLICY would leave a comment alone.
        cursor.execute(
            "SELECT md5(pg_get_expr(polqual, polrelid)) FROM pg_policy "
            "WHERE polrelid = %s::regclass AND polname = 'own_tenant'",
            [table.as_string()],
        )
        stamp = sql.Literal(f"{opening.digest} {cursor.fetchone()[0]}")
        _run(cursor, "COMMENT ON POLICY own_tenant ON {} IS {}", table, stamp)


def _ensure_role(cursor: Any, name: str, kind: str) -> None:
    """Create role name, or correct it. kind is what it is: LOGIN or NOLOGIN, and inheritance."""
    cursor.execute(
        f"SELECT rolcanlogin, rolinherit, {POWERS} FROM pg_roles WHERE rolname = %s",  # noqa: S608
        [name],
    )
    found = cursor.fetchone()
    wanted = ("NOLOGIN" not in kind, "NOINHERIT" not in kind, False)
    if found is None:
        _run(cursor, f"CREATE ROLE {{}} {kind} {NO_POWERS}", name)
    elif found != wanted:
        # Named only where it is wrong: an owner who is no superuser may not even say NOSUPERUSER.
        _run(cursor, f"ALTER ROLE {{}} {kind}" + (f" {NO_POWERS}" if found[2] else ""), name)


def tenant_roles(cursor: Any, database: str) -> list[str]:
    """Return the role of every tenant in the registry; without the public domain's."""
    cursor.execute(
        "SELECT schema_name FROM public.registry_tenant WHERE schema_name <> %s", [PUBLIC_SCHEMA]
    )
    return [role_of(database, schema) for (schema,) in cursor.fetchall()]


def _relations_of(cursor: Any, schema: str) -> tuple[list[str], list[str]]:
    """Return the tables and views of schema, and its sequences."""
    cursor.execute(
        f"SELECT relname, relkind::text FROM pg_class WHERE oid IN ({RELATIONS})",  # noqa: S608
        {"schema": schema},
    )
    rows = cursor.fetchall()
    sequences = [name for name, kind in rows if kind == "S"]
    return [name for name, kind in rows if kind in "rpvmf"], sequences


def _named(schema: str, relations: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(schema, name) for name in relations)


def _listed(rights: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.SQL, rights))


def _run(cursor: Any, statement: str, *parts: str | sql.Composable) -> None:
    """Execute statement with parts for its braces; a plain string is the name of something."""
    quoted = [part if isinstance(part, sql.Composable) else sql.Identifier(part) for part in parts]
    cursor.execute(sql.SQL(statement).format(*quoted))
