"""No statement sent by Django's connection in a tenant leaves the tenant's role, whichever way it
is sent; what is read afterwards is the tenant's own.
"""

from __future__ import annotations

import contextlib

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models.expressions import RawSQL
from django_tenants.utils import schema_context
from psycopg import Error as PsycopgError
from psycopg import sql

from tenants.accounts.models import Account
from tenants.postgresql.cursors import StatementRefused
from tenants.registry.models import Tenant

from .hostile import OTHERS, names_for

REFUSED = (DatabaseError, PsycopgError)
"""psycopg's own error reaches those who use its cursor without Django's wrapper."""
SWITCHES = [
    "SET ROLE {victim}",
    "SET ROLE NONE",
    "RESET ROLE",
    "RESET ALL",
    "SET SESSION AUTHORIZATION DEFAULT",
    "SET SESSION AUTHORIZATION {victim}",
    "SET LOCAL ROLE {victim}",
    "SET SESSION ROLE {victim}",
    "SET role = {victim}",
    "SET role TO {victim}",
    "SET search_path = {other}",
    "DISCARD ALL",
    "ROLLBACK",
    "COMMIT",
    "ABORT",
    "DO $$ BEGIN EXECUTE 'SET ROLE {victim}'; END $$",
    "EXECUTE anything",
    "PREPARE p AS SELECT 1",
    "DROP OWNED BY {group}",
    "COPY (SELECT 1) TO STDOUT",
    "LISTEN anything",
    "NOTIFY anything",
    "LOCK TABLE registry_tenant",
    "EXPLAIN ANALYZE SELECT * FROM registry_tenant",
    "ALTER ROLE {me} SET role = {victim}",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET role = {victim} RETURN 1",
]
DISGUISES = [
    "{}",
    "{};",
    "\n\t {}",
    "({})",
    "/* SELECT */ {}",
    "/* /* */ SELECT 1; */ {}",
    "-- SELECT 1\n{}",
    "-- SELECT 1\r{}",
    "\ufeff{}",
    "\u00a0{}",
    "SELECT 1; {}",
    "SELECT 1 ; {} ;",
    "SELECT 1;/**/{}",
    "SELECT 1;\n--\n{}",
    "SELECT 1 /* ; */ ; {}",
    "SELECT ';' ; {}",
    "SELECT $a$;$a$; {}",
    "SELECT E'\\''; {}",
    "SELECT U&'\\0027'; {}",
    "SAVEPOINT s; {}",
    "RELEASE s; {}",
    "ROLLBACK TO s; {}",
    "SET CONSTRAINTS ALL IMMEDIATE; {}",
    "VALUES (1); {}",
    "WITH a AS ({}) SELECT 1",
    "WITH a AS (SELECT 1) {}",
    "SELECT ({})",
    "SELECT 1 UNION {}",
    "INSERT INTO accounts_account {}",
    "SELECT /* {} */ 1; {}",
]
FUNCTIONS = [
    "SELECT set_config('role', {role}, false)",
    "SELECT set_config('role', {role}, true)",
    "SELECT pg_catalog.set_config('role', {role}, false)",
    "SELECT set_config('session_authorization', {role}, false)",
    "SELECT set_config('search_path', {schema}, false)",
    "SELECT set_config('ROLE', 'none', false)",
    "VALUES (set_config('role', {role}, false))",
    "WITH a AS MATERIALIZED (SELECT set_config('role', {role}, false)) SELECT * FROM a",
    "SELECT 1 FROM accounts_account WHERE set_config('role', {role}, false) <> ''",
    "SELECT 1 ORDER BY set_config('role', {role}, false)",
    "SELECT 1 LIMIT length(set_config('role', {role}, false))",
    "UPDATE accounts_account SET email = set_config('role', {role}, false)",
    "DELETE FROM accounts_account WHERE set_config('role', {role}, false) IS NULL",
    "SELECT * FROM json_populate_record(NULL::pg_settings, json_build_object('name', 'role'))"
    " WHERE set_config('role', {role}, false) <> ''",
    "UPDATE pg_settings SET setting = {role} WHERE name = 'role'",
    "SELECT query_to_xml('SET ROLE ' || {role}, true, false, '')",
    "SELECT query_to_xml('SELECT set_config(''role'', ''x'', false)', true, false, '')",
    "SELECT * FROM ts_stat('SET ROLE none')",
    "SELECT pg_reload_conf()",
    "SELECT dblink('dbname=' || current_database(), 'SELECT 1')",
]


@pytest.fixture
def tenants(acme, globex):
    connection.set_tenant(acme)
    return acme, globex


@pytest.fixture
def braces(tenants):
    own, other = (tenant.schema_name for tenant in tenants)
    names = names_for(own, other)
    return {**names, "role": names["victim"].replace('"', "'"), "schema": f"'{other}'"}


def fill(statement, braces):
    for name, value in braces.items():
        statement = statement.replace("{" + name + "}", value)
    return statement


def stand_still(tenants):
    """Assert that PostgreSQL says we are in acme's role, and reads of others find nothing."""
    acme, globex = tenants
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_schema(), current_setting('role')")
        role = f"{connection.settings_dict['NAME']}_{acme.schema_name}"
        assert cursor.fetchone() == (role, acme.schema_name, role)
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
        Account.objects.raw(f"SELECT * FROM {globex.schema_name}.accounts_account")[0]
    shown = repr([*Account.objects.values_list(), *Tenant.objects.values_list()])
    assert "olivia" in shown
    assert not [mark for mark in OTHERS if mark in shown]


def by_execute(text):
    with connection.cursor() as cursor:
        cursor.execute(text)


def by_execute_with_parameters(text):
    with connection.cursor() as cursor:
        cursor.execute(text.replace("%", "%%") + " -- %s", [1])


def by_executemany(text):
    with connection.cursor() as cursor:
        cursor.executemany(text, [(), ()])


def by_a_composable(text):
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(text.replace("{", "{{").replace("}", "}}")).format())


def by_bytes(text):
    with connection.cursor() as cursor:
        cursor.execute(text.encode())


def by_stream(text):
    with connection.cursor() as cursor:
        list(cursor.cursor.stream(text))


def by_copy(text):
    with connection.cursor() as cursor, cursor.cursor.copy(text):
        pass


def by_a_named_cursor(text):
    with connection.chunked_cursor() as cursor:
        cursor.execute(text)
        cursor.fetchall()


def by_a_prepared_statement(text):
    with connection.kept_cursor(text) as cursor:
        cursor.execute(text)


def by_many_prepared_ones(text):
    with connection.kept_cursor(text) as cursor:
        cursor.executemany(text, [(), ()])


def by_the_driver_s_connection(text):
    connection.connection.execute(text)


def by_a_pipeline(text):
    with connection.connection.pipeline(), connection.cursor() as cursor:
        cursor.execute(text)


def by_raw(text):
    list(Account.objects.raw(text))


def by_an_iterator_of_raw(text):
    list(Account.objects.raw(text).iterator())


def by_raw_sql(text):
    list(Account.objects.annotate(x=RawSQL(text, [])).values_list("x"))


def by_extra(text):
    list(Account.objects.extra(where=[f"1 = 1); {text}; --"]))


def by_extra_select(text):
    list(Account.objects.extra(select={"x": f"1); {text}; --"}).iterator(chunk_size=1))


def by_a_function_s_name(text):
    with connection.cursor() as cursor:
        cursor.callproc(f"now(); {text}; --")


def by_a_savepoint_s_name(text):
    with connection.cursor() as cursor:
        cursor.execute(f"SAVEPOINT s; {text}")


PLAIN_WAYS = [
    by_execute,
    by_execute_with_parameters,
    by_executemany,
    by_a_composable,
    by_bytes,
    by_a_named_cursor,
    by_a_prepared_statement,
    by_the_driver_s_connection,
    by_raw,
    by_an_iterator_of_raw,
    by_raw_sql,
]
WAYS = [value for name, value in list(globals().items()) if name.startswith("by_")]


@pytest.mark.parametrize("way", PLAIN_WAYS, ids=lambda way: way.__name__)
def test_a_plain_statement_is_sent(tenants, way):
    way("SELECT id FROM accounts_account ORDER BY id LIMIT 1")

    stand_still(tenants)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_no_way_of_sending_leaves_the_role(tenants, braces, way):
    for switch in SWITCHES:
        with pytest.raises(REFUSED), transaction.atomic():
            way(fill(switch, braces))
        stand_still(tenants)


@pytest.mark.parametrize("way", [by_execute, by_executemany, by_a_named_cursor])
def test_no_disguise_helps(tenants, braces, way):
    for disguise in DISGUISES:
        for switch in ("SET ROLE {victim}", "RESET ROLE", "DISCARD ALL"):
            with pytest.raises(REFUSED), transaction.atomic():
                way(disguise.replace("{}", fill(switch, braces)))
        stand_still(tenants)


@pytest.mark.parametrize("way", [by_execute, by_a_named_cursor, by_raw])
def test_no_function_leaves_the_role(tenants, braces, way):
    for statement in FUNCTIONS:
        with pytest.raises(REFUSED), transaction.atomic():
            way(fill(statement, braces))
        stand_still(tenants)


def test_a_procedure_called_by_name_does_not_either(tenants, braces):
    with pytest.raises(REFUSED), transaction.atomic(), connection.cursor() as cursor:
        cursor.callproc("set_config", ["role", braces["victim"].strip('"'), False])

    stand_still(tenants)


def test_values_stay_values(tenants, braces):
    hostile = f"'; SET ROLE {braces['victim']}; --"
    for value in (hostile, "\\" + hostile, "\\'; RESET ROLE; --", "%s'; RESET ROLE; --"):
        assert not Account.objects.filter(username=value).exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s", [value])
            assert cursor.fetchone() == (value,)

    stand_still(tenants)


def test_going_back_before_the_switch_does_not_leave_the_role(tenants):
    """A savepoint from another tenant's time brings its role back; the next statement must not
    run in it.
    """
    globex = tenants[1]
    with transaction.atomic():
        with schema_context(globex.schema_name):
            by_execute("SAVEPOINT before")
            assert Account.objects.filter(username="gina").exists()
        Account.objects.count()
        by_execute("ROLLBACK TO before")
        stand_still(tenants)


def test_a_named_cursor_opened_before_follows_to_another_tenant(tenants):
    globex = tenants[1]
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        with schema_context(globex.schema_name):
            assert Account.objects.filter(username="gina").exists()
        cursor.execute("SELECT username FROM accounts_account")

        assert ("gina",) not in cursor.fetchall()


def test_rows_are_not_streamed(tenants):
    """What a switch in the middle would do to the rest of the rows is to lose it."""
    with pytest.raises(StatementRefused), connection.cursor() as cursor:
        list(cursor.cursor.stream("SELECT username FROM accounts_account"))


@pytest.mark.parametrize(
    ("kind", "door", "further"),
    [
        *((kind, "copy", ()) for kind in ("cursor", "kept_cursor", "chunked_cursor")),
        *((kind, "stream", ()) for kind in ("cursor", "kept_cursor", "chunked_cursor")),
        # The plain cursor's is guarded as its execute is: see above.
        *((kind, "executemany", ([()],)) for kind in ("kept_cursor", "chunked_cursor")),
    ],
)
def test_no_cursor_has_a_way_around_its_execute(tenants, kind, door, further):
    """Not even for what would do no harm: nothing there switches to the schema at hand first."""
    with (
        pytest.raises(StatementRefused),
        transaction.atomic(),
        getattr(connection, kind)(*(["SELECT 1"] if kind == "kept_cursor" else [])) as cursor,
    ):
        getattr(cursor.cursor, door)("SELECT 1", *further)


def test_a_failed_transaction_reads_nothing_of_another_tenant(tenants):
    globex = tenants[1]
    with contextlib.suppress(DatabaseError), transaction.atomic():
        with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")
        with schema_context(globex.schema_name):
            with pytest.raises(DatabaseError):
                Account.objects.count()

    stand_still(tenants)


def test_rows_in_pieces_stay_one_tenant_s_while_another_is_read_in_between(tenants):
    globex = tenants[1]
    names = []
    with transaction.atomic():
        for account in Account.objects.iterator(chunk_size=1):
            names.append(account.username)
            with schema_context(globex.schema_name):
                assert Account.objects.filter(username="gina").exists()

    assert "gina" not in names
    assert len(names) == Account.objects.count() > 2
