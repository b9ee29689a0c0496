"""The database backend is on the schema it says it is, or raises."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection, transaction
from django.db.utils import OperationalError
from django_tenants.utils import schema_context

from tenants.accounts.models import Account
from tenants.postgresql.base import SchemaSwitchFailed


def usernames():
    return set(Account.objects.values_list("username", flat=True))


def current_path():
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        return cursor.fetchone()[0]


def test_each_tenant_sees_its_own_accounts(acme, globex):
    with schema_context(acme.schema_name):
        assert "olivia" in usernames()
    with schema_context(globex.schema_name):
        assert "gina" in usernames()
        assert "olivia" not in usernames()


def test_a_schema_that_does_not_exist_raises_and_nothing_runs(acme):
    with pytest.raises(SchemaSwitchFailed), transaction.atomic():
        with schema_context("tenant_9999"):
            usernames()


def test_a_failing_switch_never_runs_the_statement_on_the_schema_before(acme, globex, monkeypatch):
    with schema_context(acme.schema_name):
        usernames()

    def broken(_schemas):
        return "SELECT pg_cancel_backend(pg_backend_pid())"

    monkeypatch.setattr("tenants.postgresql.base._switch_statement", broken)
    with pytest.raises(OperationalError), transaction.atomic():
        with schema_context(globex.schema_name):
            usernames()


def test_a_rolled_back_switch_is_not_believed(acme, globex):
    class Undo(Exception):
        pass

    connection.set_tenant(acme)
    usernames()
    with pytest.raises(Undo), transaction.atomic():
        connection.set_tenant(globex)
        usernames()
        raise Undo

    assert "gina" in usernames()
    assert globex.schema_name in current_path()


def test_a_name_with_a_quote_is_refused(acme):
    with pytest.raises(Exception, match="schema name"):
        with schema_context('a"; DROP SCHEMA public; --'):
            usernames()


class TestStatements:
    """Counted on a connection of its own outside any transaction, as a request is."""

    @pytest.fixture
    def plain(self, acme, globex):
        other = connection.copy()
        yield other
        other.close()

    def statements(self, plain, tenant):
        plain.set_tenant(tenant)
        ran: list[str] = []
        plain.ensure_connection()

        def watch(execute, sql, params, many, context):
            ran.append(sql)
            return execute(sql, params, many, context)

        with plain.execute_wrapper(watch), plain.cursor() as cursor:
            cursor.execute("SELECT 1")
        return len(ran)

    def test_the_first_use_of_a_tenant_costs_one_statement_more(self, plain, acme):
        assert self.statements(plain, acme) == 2

    def test_the_same_tenant_again_costs_none(self, plain, acme):
        self.statements(plain, acme)

        assert self.statements(plain, acme) == 1

    def test_another_tenant_costs_one_again(self, plain, acme, globex):
        self.statements(plain, acme)

        assert self.statements(plain, globex) == 2

    def test_a_new_physical_connection_is_switched_anew(self, plain, acme):
        self.statements(plain, acme)
        plain.close()

        assert self.statements(plain, acme) == 2

    def test_a_killed_connection_raises_and_the_next_one_is_on_the_tenant(self, plain, acme):
        self.statements(plain, acme)
        with plain.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pid = cursor.fetchone()[0]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        with pytest.raises(OperationalError):
            self.statements(plain, acme)
        plain.close()

        with plain.cursor() as cursor:
            cursor.execute("SHOW search_path")
            assert acme.schema_name in cursor.fetchone()[0]


def test_the_error_names_no_password(acme):
    assert isinstance(SchemaSwitchFailed("x"), OperationalError)
    assert not isinstance(SchemaSwitchFailed("x"), psycopg.Error)
