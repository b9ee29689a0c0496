"""Taking rights away from whoever should not have them, as a restored backup may leave them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from psycopg import sql

RELATIONS = (
    "SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass "
    "AND refclassid = 'pg_namespace'::regclass "
    "AND refobjid = (SELECT oid FROM pg_namespace WHERE nspname = %(schema)s)"
)
"""The relations of a schema, by an index: pg_class has none for it and holds all tenants'."""
_HOLDERS = f"""
    SELECT DISTINCT r.rolname FROM (
        SELECT nspacl, nspowner FROM pg_namespace WHERE nspname = %(schema)s
        UNION ALL
        SELECT relacl, relowner FROM pg_class WHERE oid IN ({RELATIONS})
        UNION ALL
        SELECT a.attacl, c.relowner FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE a.attrelid IN ({RELATIONS})
        UNION ALL
        SELECT coalesce(p.proacl, acldefault('f', p.proowner)), p.proowner FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = %(schema)s
    ) held (acl, owner), aclexplode(held.acl) granted
    LEFT JOIN pg_roles r ON r.oid = granted.grantee
    WHERE granted.grantee <> held.owner AND (r.rolname IS NULL OR r.rolname <> ALL (%(allowed)s))
"""  # noqa: S608
"""Roles with a right on a schema or anything in it; NULL for everybody."""
_DATABASE_HOLDERS = """
    SELECT DISTINCT r.rolname FROM pg_database d, aclexplode(d.datacl) granted
    JOIN pg_roles r ON r.oid = granted.grantee
    WHERE d.datname = current_database() AND granted.grantee <> d.datdba AND r.rolname <> %s
"""
_MEMBERSHIPS = """
    SELECT g.rolname, m.rolname, by.rolname FROM pg_auth_members am
    JOIN pg_roles g ON g.oid = am.roleid
    JOIN pg_roles m ON m.oid = am.member
    JOIN pg_roles by ON by.oid = am.grantor
    WHERE (g.rolname = %(role)s AND (am.set_option OR am.inherit_option)
           AND m.rolname <> ALL (%(members)s) AND m.rolname <> current_user)
       OR (m.rolname = %(role)s AND g.rolname <> ALL (%(groups)s))
"""
_LOGIN_EXCESS = """
    SELECT r.rolname, by.rolname FROM pg_auth_members am
    JOIN pg_roles r ON r.oid = am.roleid
    JOIN pg_roles m ON m.oid = am.member
    JOIN pg_roles by ON by.oid = am.grantor
    WHERE m.rolname = %(login)s AND (
        am.inherit_option OR am.admin_option OR (r.rolname <> ALL (%(known)s) AND NOT EXISTS (
            SELECT FROM pg_database d
            WHERE d.datname <> current_database() AND starts_with(r.rolname, d.datname || '_'))))
    ORDER BY 1
"""
"""Roles of another database on this server do not count: close_schema leaves them nothing here."""


EVERYTHING = (
    "SCHEMA",
    "ALL TABLES IN SCHEMA",
    "ALL SEQUENCES IN SCHEMA",
    "ALL ROUTINES IN SCHEMA",
)


def close_schema(cursor: Any, schema: str, *, allowed: Collection[str] = ()) -> None:
    """Leave no right on schema, nor on anything in it, to others than its owner and allowed."""
    cursor.execute(_HOLDERS, {"schema": schema, "allowed": list(allowed)})
    for (holder,) in cursor.fetchall():
        who = sql.SQL("PUBLIC") if holder is None else sql.Identifier(holder)
        for what in EVERYTHING:
            revoke = sql.SQL("REVOKE ALL ON {} {} FROM {}")
            cursor.execute(revoke.format(sql.SQL(what), sql.Identifier(schema), who))


def close_database(cursor: Any, database: str, *, login: str) -> None:
    """Leave no right on the database to others than its owner, and CONNECT to login."""
    cursor.execute(_DATABASE_HOLDERS, [login])
    names = [sql.Identifier(name) for (name,) in cursor.fetchall()]
    for who in (sql.SQL("PUBLIC"), sql.Identifier(login), *names):
        revoke = sql.SQL("REVOKE ALL ON DATABASE {} FROM {}")
        cursor.execute(revoke.format(sql.Identifier(database), who))
    grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
    cursor.execute(grant.format(sql.Identifier(database), sql.Identifier(login)))


def part_role(
    cursor: Any, role: str, *, members: Collection[str], groups: Collection[str] = ()
) -> None:
    """Let nobody but members, and the owner, take role; and role itself be of groups only."""
    cursor.execute(_MEMBERSHIPS, {"role": role, "members": list(members), "groups": list(groups)})
    for group, member, grantor in cursor.fetchall():
        names = map(sql.Identifier, (group, member, grantor))
        cursor.execute(sql.SQL("REVOKE {} FROM {} GRANTED BY {}").format(*names))


def excess_of_login(cursor: Any, login: str, *, known: Collection[str]) -> list[tuple[str, str]]:
    """Return (role, grantor) for roles whose rights login has at all times, or must not take."""
    cursor.execute(_LOGIN_EXCESS, {"login": login, "known": list(known)})
    found: list[tuple[str, str]] = cursor.fetchall()
    return found


def part_login(cursor: Any, login: str, *, known: Collection[str]) -> None:
    """Take from login what excess_of_login returns; the roles it needs are granted again later."""
    for role, grantor in excess_of_login(cursor, login, known=known):
        names = map(sql.Identifier, (role, login, grantor))
        cursor.execute(sql.SQL("REVOKE {} FROM {} GRANTED BY {}").format(*names))
