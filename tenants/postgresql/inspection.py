"""Whether a live database keeps tenants apart as promised: read off it, and tried on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from . import roles
from .catalog import read_open_catalogue, read_own_grants
from .exposure import OPENINGS
from .login import Login, login_of_the_application
from .strangers import excess_of_login

CATALOGUE = "The catalogue shows no rows, and nothing in it changes a role"
"""The question whose problems only a superuser can mend."""

Question = Callable[[Any, "Scope"], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: the tenants' schemas, without the public one and the template."""

    login: Login
    schemas: Sequence[str] = ()
    owner: str = ""

    def role(self, schema: str) -> str:
        return roles.role_of(self.login.database, schema)

    @property
    def group(self) -> str:
        return roles.group_of(self.login.database)


@dataclass(frozen=True, slots=True)
class Answer:
    """One question and the problems found, each a sentence; none means that all is well."""

    title: str
    problems: tuple[str, ...]


def inspect_isolation(schemas: Sequence[str]) -> list[Answer]:
    """Return every question with its problems. Needs a session of the owner; changes nothing.

    The number of queries does not depend on the number of schemas.
    """
    questions: dict[str, Question] = {
        "The login has no powers, and no rights of its own": _login,
        "Nobody else gets into the database": _database,
        "Each tenant has a role that only the login may take": _only_problems(_role_problems),
        "What tenants share gives them nothing else": _group,
        "Each schema is open to its own role only": _only_problems(_schema_problems),
        "Each table is open to its own role only": _only_problems(_table_problems),
        "Shared tables show a tenant its own rows only": policy_problems,
        "No function of the tenants' schemas can be called": _routines,
        CATALOGUE: _catalogue,
    }
    with connection.cursor() as cursor:
        scope = _scope(cursor, schemas)
        return [
            Answer(title, tuple(question(cursor, scope))) for title, question in questions.items()
        ]


def schemas_to_repair(schemas: Sequence[str]) -> list[str]:
    """Return those whose role or rights are not as they should be. Needs the owner's session."""
    with connection.cursor() as cursor:
        scope = _scope(cursor, schemas)
        wrong = {
            schema
            for find in (_role_problems, _schema_problems, _table_problems)
            for schema, _ in find(cursor, scope)
        }
    return [schema for schema in schemas if schema in wrong]


def _scope(cursor: Any, schemas: Sequence[str]) -> Scope:
    cursor.execute("SELECT current_user")
    return Scope(login_of_the_application(), schemas, cursor.fetchone()[0])


def _only_problems(find: Callable[[Any, Scope], Iterator[tuple[str, str]]]) -> Question:
    return lambda cursor, scope: (problem for _, problem in find(cursor, scope))


def _login(cursor: Any, scope: Scope) -> Iterator[str]:
    name = scope.login.name
    cursor.execute(
        f"SELECT rolcanlogin, {roles.POWERS} FROM pg_roles WHERE rolname = %s",  # noqa: S608
        [name],
    )
    found = cursor.fetchone()
    if found is None:
        yield f"The role {name} does not exist."
        return
    if not found[0]:
        yield f"The role {name} may not log in."
    if found[1]:
        yield f"The role {name} is a superuser, or may make databases or roles, or bypass rules."
    known = [scope.role(schema) for schema in (roles.PUBLIC_SCHEMA, *scope.schemas)]
    for role, _ in excess_of_login(cursor, name, known=known):
        yield f"{name} has the rights of {role} at all times, or should not have them at all."
    cursor.execute(
        "SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) acl "
        "WHERE acl.grantee = %s::regrole UNION SELECT nspname FROM pg_namespace n, "
        "aclexplode(n.nspacl) acl WHERE acl.grantee = %s::regrole ORDER BY 1",
        [sql.Identifier(name).as_string()] * 2,
    )
    yield from (f"{name} itself has a right on {thing}." for (thing,) in cursor.fetchall())


def _database(cursor: Any, scope: Scope) -> Iterator[str]:
    cursor.execute(
        "SELECT coalesce(r.rolname, 'Everybody'), string_agg(privilege_type, ', ' ORDER BY 1) "
        "FROM pg_database d "
        "CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl "
        "LEFT JOIN pg_roles r ON r.oid = acl.grantee "
        "WHERE datname = current_database() AND grantee <> d.datdba GROUP BY 1"
    )
    found = dict(cursor.fetchall())
    allowed = {scope.login.name: "CONNECT"}
    for name, rights in found.items():
        if allowed.get(name) != rights:
            yield f"{name} has {rights} on the database."
    if scope.login.name not in found:
        yield f"{scope.login.name} may not connect to the database."


def _role_problems(cursor: Any, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield (schema, problem) for roles that are missing, have powers, or strange members."""
    wanted = {scope.role(schema): schema for schema in (roles.PUBLIC_SCHEMA, *scope.schemas)}
    cursor.execute(
        f"SELECT r.rolname, rolcanlogin OR {roles.POWERS}, "  # noqa: S608
        "coalesce((SELECT array_agg(m.rolname::text ORDER BY 1) FROM pg_auth_members am "
        "JOIN pg_roles m ON m.oid = am.member WHERE am.roleid = r.oid "
        "AND (am.set_option OR am.inherit_option)), '{}'), "
        "coalesce((SELECT array_agg(g.rolname::text ORDER BY 1) FROM pg_auth_members am "
        "JOIN pg_roles g ON g.oid = am.roleid WHERE am.member = r.oid), '{}') "
        "FROM pg_roles r WHERE r.rolname = ANY (%s)",
        [list(wanted)],
    )
    found = {name: (powers, members, groups) for name, powers, members, groups in cursor.fetchall()}
    for role, schema in wanted.items():
        if role not in found:
            yield schema, f"The role {role} does not exist."
            continue
        powers, members, groups = found[role]
        if powers:
            yield schema, f"The role {role} may log in, or has powers no tenant should have."
        strangers = [name for name in members if name not in (scope.login.name, scope.owner)]
        if strangers or scope.login.name not in members:
            yield schema, f"The role {role} can be taken by: {', '.join(members) or 'nobody'}."
        expected = [] if schema == roles.PUBLIC_SCHEMA else [scope.group]
        if groups != expected:
            yield schema, f"The role {role} is also: {', '.join(groups) or 'nothing'}."


def _group(cursor: Any, scope: Scope) -> Iterator[str]:
    cursor.execute(
        f"SELECT rolcanlogin OR {roles.POWERS}, "  # noqa: S608
        "ARRAY(SELECT g.rolname::text FROM pg_auth_members am "
        "JOIN pg_roles g ON g.oid = am.roleid WHERE am.member = r.oid ORDER BY 1), "
        "ARRAY(SELECT m.rolname::text FROM pg_auth_members am "
        "JOIN pg_roles m ON m.oid = am.member WHERE am.roleid = r.oid "
        "AND (am.set_option OR am.inherit_option) AND m.rolname <> ALL (%s) ORDER BY 1) "
        "FROM pg_roles r WHERE r.rolname = %s",
        [[scope.owner, *map(scope.role, scope.schemas)], scope.group],
    )
    found = cursor.fetchone()
    if found is None:
        yield f"The role {scope.group} does not exist."
        return
    powers, groups, strangers = found
    if powers:
        yield f"The role {scope.group} may log in, or has powers no tenant should have."
    if groups:
        yield f"The role {scope.group} is also: {', '.join(groups)}."
    if strangers:
        yield f"The role {scope.group} is held by others than tenants: {', '.join(strangers)}."


def _schema_problems(cursor: Any, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield (schema, problem) for schemas that others than their role get into."""
    wanted = {schema: {(scope.role(schema), "USAGE")} for schema in scope.schemas}
    wanted[roles.TEMPLATE] = set()
    wanted[roles.PUBLIC_SCHEMA] = {
        (scope.role(roles.PUBLIC_SCHEMA), "USAGE"),
        (scope.group, "USAGE"),
    }
    cursor.execute(
        "SELECT n.nspname, coalesce(r.rolname, 'everybody'), acl.privilege_type "
        "FROM pg_namespace n, aclexplode(n.nspacl) acl LEFT JOIN pg_roles r ON r.oid = acl.grantee "
        "WHERE n.nspname = ANY (%s) AND acl.grantee <> n.nspowner",
        [list(wanted)],
    )
    found: dict[str, set[tuple[str, str]]] = {schema: set() for schema in wanted}
    for schema, role, right in cursor.fetchall():
        found[schema].add((role, right))
    for schema, rights in found.items():
        for role, right in sorted(rights - wanted[schema]):
            yield schema, f"{role} has {right} on the schema {schema}."
        for role, right in sorted(wanted[schema] - rights):
            yield schema, f"{role} lacks {right} on the schema {schema}."


def _table_problems(cursor: Any, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield (schema, problem) for tables, views and sequences with other rights than declared."""
    narrower = roles.rights_by_table()
    cursor.execute(
        "SELECT n.nspname, c.relname, c.relkind::text, coalesce(r.rolname, 'everybody'), "
        "array_agg(acl.privilege_type) FILTER (WHERE acl.grantee <> c.relowner) "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault("
        "CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner))) acl "
        "LEFT JOIN pg_roles r ON r.oid = acl.grantee "
        "WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') "
        "GROUP BY 1, 2, 3, 4",
        [[roles.TEMPLATE, roles.PUBLIC_SCHEMA, *scope.schemas]],
    )
    tables: dict[tuple[str, str], dict[str, set[str]]] = {}
    for schema, table, kind, role, rights in cursor.fetchall():
        held = tables.setdefault((schema, table), {"kind": {kind}})
        if rights:
            held[role] = set(rights)
    for (schema, table), held in tables.items():
        is_table = "S" not in held.pop("kind")
        wanted: dict[str, set[str]] = {}
        rights_wanted = set(narrower.get(table, roles.ROW_RIGHTS)) if is_table else set()
        if schema != roles.TEMPLATE and rights_wanted:
            wanted[scope.role(schema)] = rights_wanted
        if schema == roles.PUBLIC_SCHEMA and table in OPENINGS:
            wanted[scope.group] = {"SELECT"}
        if held != wanted:
            yield schema, f"{schema}.{table} is open to {_shown(held)}, not to {_shown(wanted)}."

    cursor.execute(
        "SELECT DISTINCT n.nspname, c.relname, a.attname, coalesce(r.rolname, 'everybody') "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "CROSS JOIN LATERAL aclexplode(a.attacl) acl "
        "LEFT JOIN pg_roles r ON r.oid = acl.grantee "
        "WHERE n.nspname = ANY (%s) AND acl.grantee <> c.relowner ORDER BY 1, 2, 3, 4",
        [[roles.TEMPLATE, roles.PUBLIC_SCHEMA, *scope.schemas]],
    )
    for schema, table, column, role in cursor.fetchall():
        yield schema, f"{role} has a right of its own on {schema}.{table}.{column}."


def policy_problems(cursor: Any, scope: Scope) -> Iterator[str]:
    """Yield what is wrong with the rules for the rows of the opened tables."""
    cursor.execute(
        "SELECT c.relname, c.relrowsecurity, p.polname, p.polcmd::text, "
        "ARRAY(SELECT rolname::text FROM pg_roles WHERE oid = ANY (p.polroles)), "
        "obj_description(p.oid, 'pg_policy'), md5(pg_get_expr(p.polqual, p.polrelid)) "
        "FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (%s)",
        [list(OPENINGS)],
    )
    rows = cursor.fetchall()
    for table, opening in OPENINGS.items():
        of_table = [row[1:] for row in rows if row[0] == table]
        if not of_table or not of_table[0][0]:
            yield f"Rows of public.{table} are not kept apart."
            continue
        found = {(name, command, *who, stamp) for _, name, command, who, stamp, _ in of_table}
        condition = next((row[-1] for row in of_table if row[1] == "own_tenant"), None)
        wanted = {
            ("platform", "*", scope.role(roles.PUBLIC_SCHEMA), None),
            ("own_tenant", "r", f"{opening.digest} {condition}"),
        }
        if found != wanted:
            yield f"The rules for rows of public.{table} are not those of this version."


def _routines(cursor: Any, scope: Scope) -> Iterator[str]:
    cursor.execute(
        "SELECT p.oid::regprocedure::text, coalesce(r.rolname, 'everybody') FROM pg_proc p "
        "CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) acl "
        "LEFT JOIN pg_roles r ON r.oid = acl.grantee "
        "WHERE p.pronamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%s)) "
        "AND acl.grantee <> p.proowner ORDER BY 1",
        [[roles.TEMPLATE, roles.PUBLIC_SCHEMA, *scope.schemas]],
    )
    for routine, role in cursor.fetchall():
        yield f"{role} may call {routine}."


def _catalogue(cursor: Any, scope: Scope) -> Iterator[str]:
    found = read_open_catalogue(cursor)
    if found.functions:
        yield f"{len(found.functions)} functions are open to everybody, {found.functions[0]} first."
    if found.relations:
        yield f"{len(found.relations)} tables of the catalogue are open to everybody."
    if found.languages:
        yield f"Everybody may use the languages {', '.join(found.languages)}."

    names = [scope.group, *map(scope.role, (roles.PUBLIC_SCHEMA, *scope.schemas))]
    yield from (f"{role} itself has a right on {thing}." for role, thing in
                read_own_grants(cursor, names))  # fmt: skip


def _shown(rights: dict[str, set[str]]) -> str:
    held = [f"{role} ({', '.join(sorted(some))})" for role, some in sorted(rights.items())]
    return "; ".join(held) or "nobody"
