"""What PostgreSQL lets everybody do with its own catalogue, and is taken away here.

As it comes, every role reads the names and sizes of everything in the database, takes advisory
locks, keeps large objects, and may call ``set_config()``, with which a single SELECT changes the
role of the statement after it, and functions that run a text as a query. The platform needs none
of that at run time. What cannot be taken away: a number cast to ``regnamespace``, ``regrole`` or
``regclass`` tells the name behind it.

Only a superuser can take it away; where the owner is none, the statements are for one to run.
"""

# ruff: noqa: S608  # The queries below are put together from constants.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CLOSED_FUNCTIONS = (
    r"^(pg_|txid_|lo_|loread$|lowrite$|set_config$|has_|ts_stat$|ts_rewrite$|to_reg|currtid"
    r"|binary_upgrade_|row_security_active|(query|table|schema|database|cursor)_to_xml)"
)
"""Names of functions that look at, lock, send or change what is not the caller's own rows."""
HARMLESS_FUNCTIONS = ("pg_backend_pid", "pg_typeof", "pg_column_size", "pg_sleep")

_OPEN_TO_ALL = (
    "EXISTS (SELECT FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) granted"
    " WHERE granted.grantee = 0)"
)
_FUNCTIONS = (
    "SELECT p.oid::regprocedure::text FROM pg_proc p"
    " WHERE p.pronamespace = 'pg_catalog'::regnamespace"
    " AND p.proname ~ %s AND p.proname <> ALL (%s) AND p.prorettype <> 'trigger'::regtype AND "
    + _OPEN_TO_ALL.format(acl="p.proacl", kind="f", owner="p.proowner")
    + " ORDER BY 1"
)
_RELATIONS = (
    "SELECT c.oid::regclass::text FROM pg_class c"
    " WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v') AND "
    + _OPEN_TO_ALL.format(acl="c.relacl", kind="r", owner="c.relowner")
    + " ORDER BY 1"
)
_LANGUAGES = (
    "SELECT quote_ident(l.lanname) FROM pg_language l WHERE l.lanpltrusted AND "
    + _OPEN_TO_ALL.format(acl="l.lanacl", kind="l", owner="l.lanowner")
    + " ORDER BY 1"
)

_OWN_GRANTS = (
    "SELECT DISTINCT r.rolname, kind || thing FROM ("
    "SELECT 'FUNCTION ', oid::regprocedure::text, proacl FROM pg_proc"
    " WHERE pronamespace = 'pg_catalog'::regnamespace"
    " UNION ALL SELECT 'TABLE ', oid::regclass::text, relacl FROM pg_class"
    " WHERE relnamespace = 'pg_catalog'::regnamespace"
    " UNION ALL SELECT 'LANGUAGE ', quote_ident(lanname), lanacl FROM pg_language"
    ") held (kind, thing, acl), aclexplode(held.acl) granted"
    " JOIN pg_roles r ON r.oid = granted.grantee WHERE r.rolname = ANY (%s) ORDER BY 1, 2"
)


@dataclass(frozen=True, slots=True)
class OpenCatalogue:
    """What of the catalogue is open to every role, written as SQL writes it."""

    functions: tuple[str, ...]
    relations: tuple[str, ...]
    languages: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.functions or self.relations or self.languages)

    def statements(self, *, owner: str, login: str) -> Iterator[str]:
        """Return the SQL that closes it to all but owner; both names are quoted identifiers."""
        # The owner first: without it, pg_dump by an owner who is no superuser could not read.
        if self.functions:
            listed = ", ".join(self.functions)
            yield f"GRANT EXECUTE ON FUNCTION {listed} TO {owner}"
            # Django sets the time zone with it, before any role is taken.
            yield f"GRANT EXECUTE ON FUNCTION set_config TO {login}"
            yield f"REVOKE EXECUTE ON FUNCTION {listed} FROM PUBLIC"
        if self.relations:
            listed = ", ".join(self.relations)
            yield f"GRANT SELECT ON {listed} TO {owner}"
            yield f"REVOKE ALL ON {listed} FROM PUBLIC"
        if self.languages:
            listed = ", ".join(self.languages)
            yield f"GRANT USAGE ON LANGUAGE {listed} TO {owner}"
            yield f"REVOKE USAGE ON LANGUAGE {listed} FROM PUBLIC"


def read_open_catalogue(cursor: Any) -> OpenCatalogue:
    """Return what is open to every role now. Needs a session of the owner."""
    cursor.execute(_FUNCTIONS, [CLOSED_FUNCTIONS, list(HARMLESS_FUNCTIONS)])
    functions = tuple(name for (name,) in cursor.fetchall())
    cursor.execute(_RELATIONS)
    relations = tuple(name for (name,) in cursor.fetchall())
    cursor.execute(_LANGUAGES)
    return OpenCatalogue(functions, relations, tuple(name for (name,) in cursor.fetchall()))


def read_own_grants(cursor: Any, roles: list[str]) -> list[tuple[str, str]]:
    """Return (role, thing) for what of the catalogue is granted to one of roles by name.

    The thing is written as GRANT and REVOKE write it. Needs a session of the owner.
    """
    cursor.execute(_OWN_GRANTS, [roles])
    found: list[tuple[str, str]] = cursor.fetchall()
    return found
