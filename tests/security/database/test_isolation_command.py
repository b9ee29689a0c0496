"""``manage.py isolation`` finds what opens a tenant to others, and repair mends it."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from tests.owner import owner_connection

SABOTAGES = {
    "a table open to everybody": (
        "GRANT SELECT ON {other}.accounts_account TO PUBLIC",
        "{other}.accounts_account is open to everybody (SELECT)",
    ),
    "a table open to another tenant": (
        "GRANT SELECT ON {other}.accounts_account TO {me}",
        "{other}.accounts_account is open to",
    ),
    "a column open to another tenant": (
        "GRANT SELECT (username) ON {other}.accounts_account TO {me}",
        "has a right of its own on {other}.accounts_account.username",
    ),
    "a column open to everybody": (
        "GRANT UPDATE (title) ON public.registry_tenant TO PUBLIC",
        "everybody has a right of its own on public.registry_tenant.title",
    ),
    "a sequence open to another tenant": (
        "GRANT USAGE ON SEQUENCE {other}.accounts_account_id_seq TO {me}",
        "{other}.accounts_account_id_seq is open to",
    ),
    "a schema open to another tenant": (
        "GRANT USAGE ON SCHEMA {other} TO {me}",
        "has USAGE on the schema {other}",
    ),
    "a schema open to everybody": (
        "GRANT USAGE ON SCHEMA {other} TO PUBLIC",
        "everybody has USAGE on the schema {other}",
    ),
    "a tenant that may create in its schema": (
        "GRANT CREATE ON SCHEMA {own} TO {me}",
        "has CREATE on the schema {own}",
    ),
    "tenants that may create in public": (
        "GRANT CREATE ON SCHEMA public TO {group}",
        "has CREATE on the schema public",
    ),
    "a schema closed to its own tenant": (
        "REVOKE USAGE ON SCHEMA {own} FROM {me}",
        "lacks USAGE on the schema {own}",
    ),
    "an open template": (
        "GRANT USAGE ON SCHEMA tenant_template TO {group}",
        "has USAGE on the schema tenant_template",
    ),
    "a public table open to tenants": (
        "GRANT SELECT ON public.accounts_account TO {group}",
        "public.accounts_account is open to",
    ),
    "rules for rows switched off": (
        "ALTER TABLE public.registry_tenant DISABLE ROW LEVEL SECURITY",
        "Rows of public.registry_tenant are not kept apart",
    ),
    "a rule for rows dropped": (
        "DROP POLICY own_tenant ON public.registry_domain",
        "The rules for rows of public.registry_domain are not those",
    ),
    "a rule for rows widened": (
        "ALTER POLICY own_tenant ON public.registry_tenant USING (true)",
        "The rules for rows of public.registry_tenant are not those",
    ),
    "a rule for rows more": (
        "CREATE POLICY more ON public.registry_tenant TO {group} USING (true)",
        "The rules for rows of public.registry_tenant are not those",
    ),
    "a tenant that the login cannot become": (
        "REVOKE {me} FROM {login}",
        "can be taken by:",
    ),
    "a tenant without the shared role": ("REVOKE {group} FROM {me}", "is also: nothing"),
    "a tenant that may become another": ("GRANT {victim} TO {me}", "can be taken by:"),
    "a tenant that may read everything": ("GRANT pg_read_all_data TO {me}", "is also:"),
    "tenants that may all read everything": ("GRANT pg_read_all_data TO {group}", "is also:"),
    "a login with a tenant's rights at all times": (
        "GRANT {me} TO {login} WITH INHERIT TRUE",
        "has the rights of",
    ),
    "a login that may read everything": ("GRANT pg_read_all_data TO {login}", "has the rights of"),
    "a login that holds the shared role": ("GRANT {group} TO {login}", "has the rights of"),
    "a login with a right of its own": (
        "GRANT SELECT ON public.registry_tenant TO {login}",
        "itself has a right on",
    ),
    "a tenant that may log in": ("ALTER ROLE {me} LOGIN", "may log in, or has powers"),
    "a tenant without rules": ("ALTER ROLE {me} BYPASSRLS", "may log in, or has powers"),
    "a tenant that makes roles": ("ALTER ROLE {me} CREATEROLE", "may log in, or has powers"),
    "a public domain that may log in": ("ALTER ROLE {control} LOGIN", "may log in, or has powers"),
    "a shared role that may log in": ("ALTER ROLE {group} LOGIN", "may log in, or has powers"),
    "a login that makes databases": ("ALTER ROLE {login} CREATEDB", "is a superuser, or"),
    "a login without rules": ("ALTER ROLE {login} BYPASSRLS", "is a superuser, or"),
    "temporary tables for everybody": (
        "GRANT TEMP ON DATABASE {database} TO PUBLIC",
        "Everybody has TEMPORARY on the database",
    ),
    "temporary tables for a tenant": (
        "GRANT TEMP ON DATABASE {database} TO {me}",
        "has TEMPORARY on the database",
    ),
    "new schemas for the login": (
        "GRANT CREATE ON DATABASE {database} TO {login}",
        "on the database",
    ),
    "set_config for everybody": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.set_config TO PUBLIC",
        "functions are open to everybody, set_config(text,text,boolean) first",
    ),
    "set_config for a tenant": (
        "GRANT EXECUTE ON FUNCTION pg_catalog.set_config TO {me}",
        "itself has a right on FUNCTION set_config",
    ),
    "the catalogue for a tenant": (
        "GRANT SELECT ON pg_catalog.pg_class TO {group}",
        "itself has a right on TABLE pg_class",
    ),
    "the catalogue for everybody": (
        "GRANT SELECT ON pg_catalog.pg_stat_activity TO PUBLIC",
        "1 tables of the catalogue are open to everybody",
    ),
    "blocks of code for everybody": (
        "GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC",
        "Everybody may use the languages plpgsql",
    ),
    "a trail that can be changed": (
        "GRANT UPDATE ON {own}.core_auditevent TO {me}",
        "{own}.core_auditevent is open to",
    ),
    "a table without rights": (
        "REVOKE ALL ON {own}.accounts_account FROM {me}",
        "{own}.accounts_account is open to nobody",
    ),
}


def names_filled(text, names):
    for name, value in names.items():
        text = text.replace("{" + name + "}", value)
    return text


def check():
    return isolation("check")


def repair():
    return isolation("repair")


def isolation(what):
    """Return what the command prints; raise CommandError with all of it when it ends with one."""
    said = io.StringIO()
    try:
        call_command("isolation", what, stdout=said)
    except CommandError as error:
        raise CommandError(f"{said.getvalue()}{error}") from None
    return said.getvalue()


@pytest.fixture
def sabotage(committed, names):
    """Return a function that runs statements as the owner; afterwards all is repaired."""

    def run(*statements):
        with owner_connection() as owner:
            for statement in statements:
                owner.execute(names_filled(statement, names))

    yield run
    repair()


def test_a_new_database_keeps_every_promise(committed):
    said = check()

    assert "FAIL" not in said
    assert "3 tenants are kept apart as promised" in said


@pytest.mark.parametrize("what", SABOTAGES)
def test_it_finds_and_mends(sabotage, names, what):
    statement, sentence = SABOTAGES[what]
    sabotage(statement)

    with pytest.raises(CommandError) as found:
        check()
    assert names_filled(sentence, names).replace('"', "") in str(found.value)

    assert "FAIL" not in repair()


def test_it_finds_and_mends_a_table_that_was_created_without_rights(sabotage, names):
    sabotage("CREATE TABLE {own}.later (i int)")
    try:
        with pytest.raises(CommandError, match=r"later is open to nobody"):
            check()

        assert "FAIL" not in repair()
    finally:
        sabotage("DROP TABLE {own}.later")


def test_it_finds_and_mends_a_role_that_is_missing(sabotage, names):
    sabotage("DROP OWNED BY {me}", "DROP ROLE {me}")

    with pytest.raises(CommandError, match=f"The role {names['me'][1:-1]} does not exist"):
        check()
    assert "FAIL" not in repair()
