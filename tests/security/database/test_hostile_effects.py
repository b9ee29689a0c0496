"""What PostgreSQL lets a tenant's role send, and what must not come of it."""

from __future__ import annotations

import contextlib

import pytest
from psycopg.errors import (
    DataError,
    FeatureNotSupported,
    InsufficientPrivilege,
    ObjectNotInPrerequisiteState,
)

from tests.owner import owner_connection

from .hostile import OTHERS, session_of

SHOW_NOTHING_OF_OTHERS = {
    "the registry": "SELECT * FROM registry_tenant",
    "the hosts": "SELECT * FROM registry_domain",
    "the registry with rules off": "SET row_security = off; SELECT * FROM registry_tenant",
    "the registry as text": "SELECT string_agg(t::text, ',') FROM registry_tenant t",
    "the registry as json": "SELECT json_agg(t) FROM registry_tenant t",
    "the registry by its place on disk": (
        "SELECT t.* FROM generate_series(0, 9) b, registry_tenant t"
        " WHERE t.ctid = ('(' || b || ',1)')::tid OR t.ctid = ('(0,' || b || ')')::tid"
    ),
    "the registry joined with itself": (
        "SELECT * FROM registry_domain d LEFT JOIN registry_tenant t ON d.tenant_id <> t.id"
    ),
    "a sample of the registry": "SELECT * FROM registry_tenant TABLESAMPLE SYSTEM (100)",
    "the registry in a cursor that stays": (
        "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM registry_tenant; FETCH ALL FROM c"
    ),
    "the range of the registry": "SELECT min(name), max(name), count(*) FROM registry_tenant",
    "the first host by its index": (
        "SET enable_seqscan = off; SELECT * FROM registry_domain WHERE domain > 'g' ORDER BY 1"
    ),
    "a path of another tenant": "SET search_path = {other}, public; SELECT * FROM registry_tenant",
    "a path that puts public first": (
        "SET search_path = public, {own}; SELECT * FROM registry_tenant"
    ),
    "a setting that once named the tenant": (
        "SET app.tenant = '{other}'; SELECT * FROM registry_tenant"
    ),
    "the names that the standard keeps": "SELECT * FROM information_schema.character_sets",
    "the plan's statistics": "EXPLAIN (FORMAT JSON) SELECT * FROM registry_tenant",
    "all settings that may be shown": "SHOW ALL",
}  # fmt: skip
ORACLES = {
    "a division": "SELECT * FROM registry_tenant WHERE 1 / (length(name) - 6) >= 0",
    "a cheap condition beside one": (
        "SELECT 1 FROM registry_tenant WHERE 1 / (length(name) - 6) >= 0 AND name = 'globex'"
    ),
    "a division in a join": (
        "SELECT 1 FROM registry_tenant t JOIN registry_domain d"
        " ON 1 / (length(d.domain) - 16) = t.id"
    ),
    "a division in a subquery": (
        "SELECT EXISTS (SELECT FROM registry_domain WHERE 1 / (length(domain) - 16) > 5)"
    ),
    "an order": "SELECT 1 FROM registry_tenant ORDER BY 1 / (length(name) - 6)",
    "an aggregate": "SELECT sum(1 / (length(name) - 6)) FROM registry_tenant",
    "a group": "SELECT 1 / (length(name) - 6) FROM registry_tenant GROUP BY 1",
    "a cast": (
        "SELECT 1 FROM registry_tenant"
        " WHERE (CASE name WHEN 'globex' THEN 'x' ELSE '1' END)::int = 1"
    ),
}
"""Each fails on the row of globex, and on no row of anybody else."""
CHANGE_NOTHING = {
    "GRANT SELECT ON accounts_account TO {victim}": "SELECT * FROM {own}.accounts_account",
    "GRANT USAGE ON SCHEMA {own} TO {victim}": "SELECT * FROM {own}.accounts_account",
    "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {victim}": "TABLE {own}.accounts_account",
    "GRANT USAGE ON SCHEMA public TO PUBLIC": "SELECT * FROM public.accounts_account",
    "GRANT ALL ON DATABASE {database} TO {victim}": "CREATE TEMP TABLE t (i int)",
    "GRANT USAGE ON LANGUAGE plpgsql TO {victim}": "DO $$ BEGIN PERFORM 1; END $$",
}  # fmt: skip


@pytest.fixture
def in_transaction(attacker):
    with attacker.transaction(force_rollback=True):
        yield attacker


def rows(session, statements):
    """Run statements parted by semicolons; return the rows of the last one."""
    *before, last = statements.split("; ")
    for statement in before:
        session.execute(statement)
    return session.execute(last).fetchall()


@pytest.mark.parametrize("what", SHOW_NOTHING_OF_OTHERS)
def test_nothing_of_others_is_shown_by(in_transaction, names, what):
    try:
        shown = repr(rows(in_transaction, SHOW_NOTHING_OF_OTHERS[what].format(**names)))
    except InsufficientPrivilege:
        return

    assert not [mark for mark in OTHERS if mark in shown]


@pytest.mark.parametrize("what", ["registry_tenant", "registry_domain"])
def test_the_shared_tables_hold_rows_of_others_and_show_one_s_own(attacker, names, what):
    with owner_connection() as owner:
        everybody_s = owner.execute(f"SELECT count(*) FROM public.{what}").fetchone()[0]
    own = attacker.execute(f"SELECT count(*) FROM {what}").fetchone()[0]

    assert 0 < own < everybody_s


@pytest.mark.parametrize("what", ORACLES)
def test_a_row_of_another_tenant_makes_no_condition_fail_in(in_transaction, what):
    with owner_connection() as owner:
        owner.execute("SET search_path = public")
        with pytest.raises(DataError):
            owner.execute(ORACLES[what])

    in_transaction.execute(ORACLES[what])


@pytest.mark.parametrize("grant", CHANGE_NOTHING)
def test_a_tenant_opens_nothing_by(names, schemas, grant):
    """PostgreSQL only warns of a grant that gives nothing."""
    attempt = CHANGE_NOTHING[grant].format(**names)
    with owner_connection() as owner, owner.transaction(force_rollback=True):
        owner.execute(f"SET LOCAL ROLE {names['me']}")
        with contextlib.suppress(InsufficientPrivilege), owner.transaction():
            owner.execute(grant.format(**names))
        owner.execute("RESET ROLE")
        owner.execute(f"SET LOCAL ROLE {names['victim']}")
        with pytest.raises(InsufficientPrivilege):
            owner.execute(attempt)


def test_a_tenant_takes_no_shared_right_away(names, schemas):
    with owner_connection() as owner, owner.transaction(force_rollback=True):
        owner.execute(f"SET LOCAL ROLE {names['me']}")
        owner.execute(f"DROP OWNED BY {names['group']}")
        owner.execute(f"DROP OWNED BY {names['me']}")
        owner.execute(f"SET LOCAL search_path = {schemas['acme']}, public")

        assert owner.execute("SELECT name FROM registry_tenant").fetchall() == [("acme",)]
        assert owner.execute("SELECT count(*) FROM accounts_account").fetchone()[0] > 0


def test_a_transaction_cannot_be_left_behind_prepared(attacker):
    with pytest.raises(ObjectNotInPrerequisiteState), attacker.transaction():
        attacker.execute("PREPARE TRANSACTION 'left behind'")


def test_vacuum_and_analyze_leave_the_registry_alone(attacker):
    def last_time():
        with owner_connection() as owner:
            return owner.execute(
                "SELECT vacuum_count, analyze_count FROM pg_stat_user_tables"
                " WHERE relid = 'public.registry_tenant'::regclass"
            ).fetchone()

    before = last_time()
    warnings = []
    attacker.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
    attacker.execute("VACUUM public.registry_tenant")
    attacker.execute("ANALYZE public.registry_tenant")

    assert len([text for text in warnings if "permission denied" in text]) == 2
    assert last_time() == before


def test_no_external_entity_is_read_from_xml(attacker):
    document = """<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;</x>"""
    try:
        shown = attacker.execute("SELECT xmlparse(document %s)::text", [document]).fetchone()[0]
    except FeatureNotSupported:
        return  # Built without XML.

    assert "root:" not in shown


def test_the_login_itself_has_no_more_than_nothing(attacker, names):
    """What is left to a statement that gets out of its role, until it takes another."""
    attacker.execute("RESET ROLE")
    for table in ("{own}.accounts_account", "{other}.accounts_account", "public.registry_tenant"):
        with pytest.raises(InsufficientPrivilege):
            attacker.execute(f"SELECT * FROM {table}".format(**names))


def test_each_tenant_shows_itself(schemas):
    """What the tests above look for in vain is there to be found."""
    with session_of(schemas["globex"]) as session:
        shown = repr(session.execute("SELECT * FROM registry_tenant").fetchall())
        people = repr(session.execute("SELECT username FROM accounts_account").fetchall())

    assert "globex" in shown
    assert "gina" in people
