"""What PostgreSQL refuses a tenant's role, whoever sends it: each statement fails for want of a
right, not for anything this application does before it.
"""

from __future__ import annotations

import pytest
from psycopg.errors import InsufficientPrivilege

ROWS_OF_OTHERS = {
    "read another tenant's accounts": "SELECT * FROM {other}.accounts_account",
    "read another tenant's tokens": "TABLE {other}.accounts_apitoken",
    "read another tenant's trail": "SELECT * FROM {other}.core_auditevent",
    "read them in a subquery": "SELECT (SELECT max(username) FROM {other}.accounts_account)",
    "read them while deleting": (
        "WITH gone AS (DELETE FROM {other}.accounts_account RETURNING *) SELECT * FROM gone"
    ),
    "read them in a join": (
        "SELECT b.* FROM accounts_account a FULL JOIN {other}.accounts_account b ON a.id = b.id"
    ),
    "read them by their place on disk": "SELECT currtid2('{other}.accounts_account', '(0,1)')",
    "read them as a file": "COPY {other}.accounts_account TO STDOUT",
    "read them as a file of a query": "COPY (SELECT * FROM {other}.accounts_account) TO STDOUT",
    "read them in a cursor": "DECLARE c CURSOR FOR SELECT * FROM {other}.accounts_account",
    "read them in a prepared statement": "PREPARE p AS SELECT * FROM {other}.accounts_account",
    "read them in a plan": "EXPLAIN ANALYZE SELECT * FROM {other}.accounts_account",
    "test them one by one": (
        "SELECT 1 / (SELECT count(*) FROM {other}.accounts_account WHERE username = 'gina')"
    ),
    "find out that a table of theirs exists": "SELECT '{other}.accounts_account'::regclass",
    "write to another tenant": "INSERT INTO {other}.accounts_account DEFAULT VALUES",
    "change another tenant": "UPDATE {other}.accounts_account SET is_active = false",
    "empty another tenant": "TRUNCATE {other}.accounts_account",
    "merge into another tenant": (
        "MERGE INTO {other}.accounts_account o USING accounts_account a ON o.id = a.id"
        " WHEN MATCHED THEN DELETE"
    ),
    "take another tenant's numbers": "SELECT nextval('{other}.accounts_account_id_seq')",
    "touch another tenant's constraints": "SET CONSTRAINTS {other}.anything IMMEDIATE",
    "vacuum another tenant's table": "ANALYZE {other}.accounts_account",
    "look into the template": "SELECT * FROM tenant_template.accounts_account",
    "query by xml": "SELECT query_to_xml('TABLE {other}.accounts_account', true, false, '')",
    "query a table by xml": (
        "SELECT table_to_xml('public.registry_tenant'::regclass, true, false, '')"
    ),
    "dump a schema by xml": "SELECT schema_to_xml('{other}', true, false, '')",
    "dump the database by xml": "SELECT database_to_xml(true, false, '')",
    "dump the schema's shape by xml": "SELECT schema_to_xmlschema('{other}', true, false, '')",
    "read a cursor by xml": "SELECT cursor_to_xml('c', 1, true, false, '')",
    "query by text search": "SELECT * FROM ts_stat('SELECT 1 FROM {other}.accounts_account')",
    "query by a rewritten text search": (
        "SELECT ts_rewrite('a'::tsquery, 'SELECT * FROM {other}.accounts_account')"
    ),
}
PUBLIC_DOMAIN = {
    "read the platform's accounts": "SELECT * FROM public.accounts_account",
    "read the platform's tokens": "SELECT * FROM public.accounts_apitoken",
    "read the platform's trail": "SELECT * FROM public.core_auditevent",
    "read the platform's sessions": "SELECT * FROM public.accounts_session",
    "read the platform's migrations": "SELECT * FROM public.django_migrations",
    "rename itself in the registry": "UPDATE registry_tenant SET title = 'x'",
    "open itself again": "UPDATE registry_tenant SET status = 'active'",
    "take another host name": (
        "INSERT INTO registry_domain (domain, is_primary, tenant_id)"
        " SELECT 'globex.example', true, id FROM registry_tenant"
    ),
    "delete from the registry": "DELETE FROM registry_tenant",
    "hold rows of the registry": "SELECT * FROM registry_tenant FOR SHARE",
    "take the registry's numbers": "SELECT nextval('public.registry_tenant_id_seq')",
    "add a rule for rows": "CREATE POLICY mine ON registry_tenant USING (true)",
    "drop the rule for rows": "DROP POLICY own_tenant ON registry_tenant",
    "switch the rules for rows off": "ALTER TABLE registry_tenant DISABLE ROW LEVEL SECURITY",
    "leave the rules for rows": "ALTER ROLE {me} BYPASSRLS",
}
OWN_TRAIL = {
    "change its own trail": "UPDATE core_auditevent SET code = 'x'",
    "shorten its own trail": "DELETE FROM core_auditevent",
    "empty its own trail": "TRUNCATE core_auditevent",
    "replace a row of its own trail": (
        "INSERT INTO core_auditevent SELECT * FROM core_auditevent"
        " ON CONFLICT (id) DO UPDATE SET code = 'x'"
    ),
    "switch off what guards its trail": "ALTER TABLE core_auditevent DISABLE TRIGGER ALL",
    "drop what guards its trail": "DROP TRIGGER pgtrigger_append_only_6d6e0 ON core_auditevent",
    "act as a replica, without triggers": "SET session_replication_role = replica",
    "pretend to be migrated": "DELETE FROM django_migrations WHERE app = 'accounts'",
}
OBJECTS = {
    "create a table": "CREATE TABLE {own}.t (i int)",
    "create a table of rows": "SELECT * INTO {own}.t FROM accounts_account",
    "create a table in public": "CREATE TABLE public.t AS SELECT 1",
    "create a temporary table": "CREATE TEMP TABLE t (i int)",
    "create one that hides another": "CREATE TABLE pg_temp.accounts_account (i int)",
    "create a temporary view": "CREATE TEMP VIEW v AS SELECT 1",
    "create a view": "CREATE VIEW {own}.v AS SELECT * FROM registry_tenant",
    "create a sequence": "CREATE SEQUENCE {own}.s",
    "create a type": "CREATE TYPE {own}.t AS (i int)",
    "create a schema": "CREATE SCHEMA mine",
    "create a function": "CREATE FUNCTION {own}.f() RETURNS int LANGUAGE sql RETURN 1",
    "create one that runs as another": (
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"
    ),
    "create a temporary function": "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql RETURN 1",
    "create an operator": "CREATE OPERATOR {own}.= (FUNCTION = int4eq, LEFTARG = int)",
    "create a trigger": (
        "CREATE TRIGGER t BEFORE INSERT ON accounts_account FOR EACH ROW"
        " EXECUTE FUNCTION suppress_redundant_updates_trigger()"
    ),
    "create a rule": "CREATE RULE r AS ON DELETE TO accounts_account DO INSTEAD NOTHING",
    "create an index": "CREATE INDEX ON accounts_account (id)",
    "create statistics": "CREATE STATISTICS {own}.s ON id, username FROM accounts_account",
    "drop its own table": "DROP TABLE accounts_account CASCADE",
    "alter its own table": "ALTER TABLE accounts_account ADD COLUMN c int",
    "give its own table away": "ALTER TABLE accounts_account OWNER TO {victim}",
    "drop its own schema": "DROP SCHEMA {own} CASCADE",
    "create an extension": "CREATE EXTENSION dblink",
    "create a foreign data wrapper": "CREATE FOREIGN DATA WRAPPER w",
    "create an event trigger": ("CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()"),
    "create a publication": "CREATE PUBLICATION p FOR ALL TABLES",
    "create a database": "CREATE DATABASE mine",
    "create a tablespace": "CREATE TABLESPACE t LOCATION '/tmp'",
    "run a block of code": "DO $$ BEGIN PERFORM 1; END $$",
    "load a library": "LOAD 'plpgsql'",
    "reorganise the registry": "CLUSTER registry_tenant USING registry_tenant_pkey",
    "rebuild the registry's indexes": "REINDEX TABLE registry_tenant",
}
SERVER = {
    "read a file": "SELECT pg_read_file('PG_VERSION')",
    "read a file in binary": "SELECT pg_read_binary_file('PG_VERSION')",
    "list a folder": "SELECT pg_ls_dir('.')",
    "write a file": "COPY accounts_account TO '/tmp/rows'",
    "load a file": "COPY accounts_account FROM '/etc/passwd'",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'true'",
    "keep a large object": "SELECT lo_create(0)",
    "import a file as one": "SELECT lo_import('/etc/passwd')",
    "keep bytes as one": "SELECT lo_from_bytea(0, 'x')",
    "change its role by a function": "SELECT set_config('role', 'x', false)",
    "change a setting in a subquery": (
        "SELECT * FROM accounts_account WHERE set_config('role', 'x', false) IS NULL"
    ),
    "change the settings table": "UPDATE pg_settings SET setting = 'x' WHERE name = 'role'",
    "be another user": "SET SESSION AUTHORIZATION {victim}",
    "be the owner": "SET ROLE execfabric",
    "read everything": "SET ROLE pg_read_all_data",
    "end other sessions": "SELECT pg_terminate_backend(pid) FROM (VALUES (0)) v (pid)",
    "cancel other sessions": "SELECT pg_cancel_backend(0)",
    "read what others ask now": "SELECT query FROM pg_stat_activity",
    "read it by the function": "SELECT * FROM pg_stat_get_activity(NULL)",
    "read how others use tables": "SELECT * FROM pg_stat_user_tables",
    "read samples of others' columns": "SELECT * FROM pg_stats",
    "read statistics of columns": "SELECT * FROM pg_statistic",
    "read locks of others": "SELECT * FROM pg_locks",
    "read settings": "SELECT * FROM pg_settings",
    "read who may log in": "SELECT * FROM pg_hba_file_rules",
    "read passwords": "SELECT * FROM pg_authid",
    "describe a view": "SELECT pg_get_viewdef('x')",
    "read roles": "SELECT * FROM pg_roles",
    "read schemas": "SELECT * FROM pg_namespace",
    "read tables": "SELECT * FROM pg_class",
    "read columns": "SELECT * FROM pg_attribute",
    "read databases": "SELECT * FROM pg_database",
    "read table names": "SELECT * FROM information_schema.tables",
    "read schema names": "SELECT * FROM information_schema.schemata",
    "read columns of the standard": "SELECT * FROM information_schema.columns",
    "read rights": "SELECT * FROM information_schema.role_table_grants",
    "weigh another tenant's table": "SELECT pg_total_relation_size('accounts_account'::regclass)",
    "weigh the database": "SELECT pg_database_size(current_database())",
    "ask for a right of others": "SELECT has_schema_privilege('{other}', 'usage')",
    "take an advisory lock": "SELECT pg_advisory_lock(7301002)",
    "try an advisory lock": "SELECT pg_try_advisory_xact_lock(7301003)",
    "send a notice to others": "SELECT pg_notify('anything', 'x')",
    "hand over a snapshot": "SELECT pg_export_snapshot()",
    "switch the log": "SELECT pg_switch_wal()",
    "force a checkpoint": "CHECKPOINT",
    "see where the data is": "SHOW data_directory",
    "see who may log in": "SELECT current_setting('hba_file')",
    "change the server": "ALTER SYSTEM SET work_mem = '1MB'",
    "change the database": "ALTER DATABASE {database} SET search_path = x",
}  # fmt: skip
RIGHTS = {
    "give itself to another": "GRANT {me} TO {victim}",
    "take another's role": "GRANT {victim} TO {me}",
    "give the shared rights away": "GRANT {group} TO {victim}",
    "create a role": "CREATE ROLE mine",
    "drop a role": "DROP ROLE {victim}",
    "log in by itself": "ALTER ROLE {me} LOGIN",
    "make roles": "ALTER ROLE {me} CREATEROLE",
    "be a superuser": "ALTER ROLE {me} SUPERUSER",
    "change the login's password": "ALTER ROLE {login} PASSWORD 'x'",
    "change the login's settings": "ALTER ROLE {login} SET role = x",
    "change everybody's settings": "ALTER ROLE ALL SET search_path = x",
    "let another into its schema": "ALTER SCHEMA {own} OWNER TO {victim}",
    "open what others create": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE {victim} GRANT ALL ON TABLES TO {me}"
    ),
    "give what others own to itself": "REASSIGN OWNED BY {victim} TO {me}",
    "take others' rights away": "DROP OWNED BY {victim}",
}  # fmt: skip


TABLE_LOCKS = {
    "lock another tenant's table": "LOCK TABLE {other}.accounts_account",
    "lock the registry": "LOCK TABLE registry_tenant IN ROW EXCLUSIVE MODE",
    "lock the platform's accounts": "LOCK TABLE public.accounts_account IN ACCESS SHARE MODE",
    "hold its own trail": "LOCK TABLE core_auditevent IN SHARE MODE",
}


@pytest.mark.parametrize(
    ("effect", "statement"),
    [
        pytest.param(effect, statement, id=effect.replace(" ", "_"))
        for group in (ROWS_OF_OTHERS, PUBLIC_DOMAIN, OWN_TRAIL, OBJECTS, SERVER, RIGHTS)
        for effect, statement in group.items()
    ],
)
def test_postgresql_lets_no_tenant(attacker, names, effect, statement):
    with pytest.raises(InsufficientPrivilege):
        attacker.execute(statement.format(**names))


@pytest.mark.parametrize("effect", TABLE_LOCKS)
def test_postgresql_lets_no_tenant_in_a_transaction(attacker, names, effect):
    with pytest.raises(InsufficientPrivilege), attacker.transaction():
        attacker.execute(TABLE_LOCKS[effect].format(**names))
