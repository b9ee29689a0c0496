"""A session is on the schema and in the role it says it is, or raises."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.utils import DataError, OperationalError
from django_tenants.utils import schema_context
from psycopg import pq

from execfabric.core import statements
from tenants.accounts.models import Account
from tenants.postgresql.base import DatabaseWrapper, SchemaSwitchFailed
from tenants.postgresql.cursors import StatementRefused
from tenants.postgresql.owner import OwnerUnknown, as_owner
from tests.owner import owner_connection

WHERE = "SELECT current_schema(), current_user"


def usernames():
    return set(Account.objects.values_list("username", flat=True))


def where(session=connection):
    """Return what PostgreSQL itself says of a session: schema first on the path, and role."""
    with session.cursor() as cursor:
        cursor.execute(WHERE)
        return cursor.fetchone()


def role(tenant):
    return f"{connection.settings_dict['NAME']}_{tenant.schema_name}"


def kill(session):
    with owner_connection() as server:
        pid = session.connection.info.backend_pid
        server.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_each_tenant_sees_its_own_accounts(acme, globex):
    with schema_context(acme.schema_name):
        assert "olivia" in usernames()
    with schema_context(globex.schema_name):
        assert "gina" in usernames()
        assert "olivia" not in usernames()


def test_schema_and_role_are_always_the_same_tenant_s(acme, globex):
    for tenant in (acme, globex, acme):
        with schema_context(tenant.schema_name):
            assert where() == (tenant.schema_name, role(tenant))


def test_a_schema_that_does_not_exist_raises_and_nothing_runs(acme):
    with pytest.raises(SchemaSwitchFailed), transaction.atomic():
        with schema_context("tenant_9999"):
            usernames()


def test_a_failing_switch_never_runs_the_statement_on_the_schema_before(acme, globex, monkeypatch):
    connection.set_tenant(acme)
    usernames()

    # The first of the two statements alone would do: a path of one tenant, the role of another.
    monkeypatch.setattr(
        DatabaseWrapper,
        "_switch_statement",
        lambda _self, path: b"SET search_path = " + path + b"; SET ROLE nobody_at_all",
    )
    with pytest.raises(OperationalError), transaction.atomic():
        with schema_context(globex.schema_name):
            usernames()
    monkeypatch.undo()

    assert where() == (acme.schema_name, role(acme))


def test_a_rolled_back_switch_is_not_believed(acme, globex):
    class Undo(Exception):
        pass

    connection.set_tenant(acme)
    usernames()
    with pytest.raises(Undo), transaction.atomic():
        connection.set_tenant(globex)
        usernames()
        raise Undo

    assert where() == (globex.schema_name, role(globex))
    assert "gina" in usernames()


def test_a_cursor_that_was_opened_before_follows_to_another_tenant(acme, globex):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        with schema_context(globex.schema_name):
            usernames()
        cursor.execute("SELECT current_schema()")

        assert cursor.fetchone()[0] == connection.schema_name


def test_a_statement_that_is_kept_is_the_present_tenant_s_each_time(acme, globex):
    for tenant in (acme, globex, acme):
        with schema_context(tenant.schema_name):
            assert statements.send(WHERE, []) == [(tenant.schema_name, role(tenant))]


def test_one_that_failed_keeps_neither_values_nor_rows(acme):
    divide = "SELECT 12 / %s::integer"
    assert statements.send(divide, [4]) == [(3,)]
    with pytest.raises(DataError), transaction.atomic():
        statements.send(divide, [0])

    assert statements.send(divide, [6]) == [(2,)]
    kept = connection._kept[divide]
    assert (kept._query, kept.pgresult, kept._results) == (None, None, [])


def test_one_that_somebody_closed_is_opened_again(acme):
    with connection.kept_cursor(WHERE):
        pass

    assert statements.send(WHERE, []) == [where()]


def test_rows_read_in_pieces_are_the_tenant_s_own(acme, globex):
    with schema_context(globex.schema_name), transaction.atomic():
        names = {account.username for account in Account.objects.iterator(chunk_size=1)}

    assert "gina" in names
    assert "olivia" not in names


@pytest.mark.parametrize("name", ['a"; DROP SCHEMA public; --', "Acme", "a b", "a-b"])
def test_a_name_that_would_need_quotes_is_refused(acme, name):
    with pytest.raises(Exception, match="schema name"):
        with schema_context(name):
            usernames()


class TestMessages:
    """Counted on the wire, on a connection of its own outside any transaction, as a request is."""

    @pytest.fixture
    def plain(self, acme, globex):
        other = connection.copy()
        yield other
        other.close()

    @contextmanager
    def counted(self, session):
        """Yield a list that is, afterwards, one entry a message that asked the server something."""
        asked: list[str] = []
        session.ensure_connection()
        with tempfile.TemporaryFile("w+") as trace:
            session.connection.pgconn.trace(trace.fileno())
            yield asked
            session.connection.pgconn.untrace()
            trace.seek(0)
            # One question is either one simple Query, or an extended one, which ends with a Sync.
            asked += [line for line in trace if "\tQuery\t" in line or "\tSync" in line]

    def messages(self, session, tenant):
        session.set_tenant(tenant)
        with self.counted(session) as asked, session.cursor() as cursor:
            cursor.execute("SELECT 1")
        return len(asked)

    def test_the_first_use_of_a_tenant_costs_one_message_more(self, plain, acme):
        assert self.messages(plain, acme) == 2

    def test_the_same_tenant_again_costs_none(self, plain, acme):
        self.messages(plain, acme)

        assert self.messages(plain, acme) == 1

    def test_another_tenant_costs_one_again(self, plain, acme, globex):
        self.messages(plain, acme)

        assert self.messages(plain, globex) == 2

    def test_a_new_physical_connection_is_switched_anew(self, plain, acme):
        self.messages(plain, acme)
        plain.close()

        assert self.messages(plain, acme) == 2

    def test_a_transaction_on_the_same_tenant_is_not_switched_again(self, plain, acme):
        self.messages(plain, acme)
        plain.set_autocommit(False)
        try:
            assert self.messages(plain, acme) == 2  # BEGIN is the other one.
        finally:
            plain.rollback()
            plain.set_autocommit(True)

        assert self.messages(plain, acme) == 1

    def test_asking_whether_it_is_alive_costs_none(self, plain, acme):
        self.messages(plain, acme)

        with self.counted(plain) as asked:
            assert plain.is_usable()

        assert asked == []

    def test_a_kept_statement_costs_one_message_once_it_is_prepared(self, plain, acme):
        self.messages(plain, acme)
        self.send_kept(plain, 1)

        with self.counted(plain) as asked:
            assert self.send_kept(plain, 2) == [(2,)]

        assert len(asked) == 1

    def test_a_kept_statement_begins_the_transaction_it_is_the_first_of(self, plain, acme):
        self.messages(plain, acme)
        self.send_kept(plain, 1)
        plain.set_autocommit(False)
        try:
            assert self.send_kept(plain, 2) == [(2,)]
            assert plain.connection.info.transaction_status == pq.TransactionStatus.INTRANS
            assert self.send_kept(plain, 3) == [(3,)]
        finally:
            plain.rollback()
            plain.set_autocommit(True)

    def test_a_kept_statement_on_a_killed_connection_raises_what_others_do(self, plain, acme):
        self.messages(plain, acme)
        self.send_kept(plain, 1)
        kill(plain)
        for _ in range(2):
            with pytest.raises(OperationalError):
                self.send_kept(plain, 2)
        plain.close()

        assert self.send_kept(plain, 3) == [(3,)]

    def test_a_kept_statement_goes_on_after_a_migration_changed_what_it_returns(self, plain, acme):
        text = sys.intern("SELECT * FROM changing")
        self.messages(plain, acme)
        with owner_connection() as owner:
            owner.execute(f"CREATE TABLE {acme.schema_name}.changing AS SELECT 1::integer AS one")
            owner.execute(f"GRANT SELECT ON {acme.schema_name}.changing TO {role(acme)}")
            try:
                found = []
                for kind in ("integer", "bigint", "text"):
                    owner.execute(f"ALTER TABLE {acme.schema_name}.changing ALTER one TYPE {kind}")
                    for _ in range(3):
                        cursor = plain.kept_cursor(text)
                        cursor.execute(text, [])
                        found += cursor.take_rows()
            finally:
                owner.execute(f"DROP TABLE {acme.schema_name}.changing")

        assert found == [(1,)] * 6 + [("1",)] * 3

    def send_kept(self, session, value):
        text = sys.intern("SELECT %s::integer")
        cursor = session.kept_cursor(text)
        cursor.execute(text, [value])
        return cursor.take_rows()

    def test_a_killed_connection_is_known_to_be_dead(self, plain, acme):
        self.messages(plain, acme)
        kill(plain)

        assert not plain.is_usable()

    def test_a_killed_connection_raises_and_the_next_one_is_on_the_tenant(self, plain, acme):
        self.messages(plain, acme)
        kill(plain)
        with pytest.raises(OperationalError):
            self.messages(plain, acme)
        plain.close()

        assert where(plain) == (acme.schema_name, role(acme))


class TestStatements:
    """Only one plain statement at a time is sent in a session of the application."""

    @pytest.mark.parametrize(
        "sql",
        [
            "SET ROLE none",
            "  reset role",
            "/* */ SELECT 1",
            "/* /* */ SELECT */ SET ROLE none",
            "-- SELECT\nSET ROLE none",
            "DO $$ BEGIN END $$",
            "DISCARD ALL",
            "BEGIN",
            "COPY accounts_account TO STDOUT",
            "CREATE TEMP TABLE t (i int)",
            "SELECTION",
            "SELECT set_config('role', 'x', false)",
            "SELECT * FROM ts_stat('SELECT 1')",
            "SELECT query_to_xml('SELECT 1', true, true, '')",
            'SELECT U&"\\0073et_config"(1)',
            "",
        ],
    )
    def test_another_kind_is_not_sent(self, acme, sql):
        with pytest.raises(StatementRefused), connection.cursor() as cursor:
            cursor.execute(sql)

        assert where() == (acme.schema_name, role(acme))

    def test_a_second_one_is_refused_by_postgresql(self, acme):
        with pytest.raises(Exception, match="multiple commands"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1; RESET ROLE")

        assert where() == (acme.schema_name, role(acme))

    def test_copy_and_many_are_no_way_round(self, acme):
        with connection.cursor() as cursor:
            with pytest.raises(StatementRefused):
                cursor.cursor.copy("COPY accounts_account TO STDOUT")
            with pytest.raises(StatementRefused):
                cursor.executemany("SET ROLE none", [()])
            with pytest.raises(StatementRefused):
                list(cursor.cursor.stream("SET ROLE none"))


class TestTheOwner:
    @pytest.fixture
    def untouched(self, django_db_setup, django_db_blocker):
        """No transaction around the test."""
        with django_db_blocker.unblock():
            connection.set_schema_to_public()
            yield
            connection.close()

    def test_it_is_the_connection_meanwhile_and_not_afterwards(self, untouched):
        before = where()
        with as_owner():
            assert where() == ("public", settings.DATABASE_OWNER["USER"])

        assert where() == before

    def test_a_schema_that_does_not_exist_is_none_to_the_owner_either(self, untouched):
        with as_owner(), schema_context("tenant_9999"):
            with pytest.raises(SchemaSwitchFailed):
                usernames()

    def test_its_cursors_follow_to_another_schema(self, untouched):
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            with schema_context("tenant_1001"):
                cursor.execute("SELECT current_schema()")
                assert cursor.fetchone() == ("tenant_1001",)

    def test_entering_twice_is_entering_once(self, untouched):
        with as_owner():
            outer = connection.connection
            with as_owner():
                where()
            where()
            assert outer in (None, connection.connection)

    def test_what_it_did_in_a_transaction_is_undone_with_it(self, untouched):
        with as_owner():
            with pytest.raises(ZeroDivisionError), transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("CREATE ROLE somebody_for_a_moment")
                raise ZeroDivisionError
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_roles WHERE rolname = 'somebody_for_a_moment'")
                assert cursor.fetchone() is None

    def test_it_does_not_join_a_transaction_unnoticed(self, acme):
        with pytest.raises(RuntimeError, match="transaction"), as_owner():
            pass

    def test_a_process_that_does_not_know_it_says_what_to_do(self, untouched, settings):
        settings.DATABASE_OWNER = None

        with pytest.raises(OwnerUnknown, match="EXECFABRIC_DATABASE_OWNER_URL"), as_owner():
            pass


class TestTheLogin:
    def test_a_superuser_is_refused_at_the_first_connection(self, django_db_setup):
        wrong = DatabaseWrapper({**connection.settings_dict, **settings.DATABASE_OWNER}, "default")

        with pytest.raises(ImproperlyConfigured, match="superuser"):
            wrong.connect()

        assert wrong.connection is None

    def test_it_has_no_rights_before_it_takes_a_role(self, acme):
        login = connection.settings_dict
        with owner_connection(user=login["USER"], password=login["PASSWORD"]) as session:
            for table in ("public.registry_tenant", f"{acme.schema_name}.accounts_account"):
                with pytest.raises(Exception, match="permission denied"):
                    session.execute(f"SELECT * FROM {table}")
            assert session.info.transaction_status == pq.TransactionStatus.IDLE
