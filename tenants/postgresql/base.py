"""PostgreSQL backend that is always on the schema and in the role it says it is, or raises.

The platform logs in with a role that has no rights by itself. For each schema there is one role
with rights on that schema only (roles.py); schema and role are switched together, in one message.
Whether a switch is needed is read off the connection: PostgreSQL (18 and later) reports every
change of ``search_path`` by itself, one undone by a rollback too, so nothing is remembered here
that could be wrong.
"""

from __future__ import annotations

import re
import select
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.psycopg_any import register_tzloader
from django.db.utils import OperationalError
from django_tenants.postgresql_backend import base
from psycopg import Error as PsycopgError
from psycopg import adapters, pq
from psycopg.abc import Loader

from .cursors import FollowingCursor, OneStatementCursor, PlainServerCursor, PreparedCursor
from .roles import role_of

MOST_KEPT = 100
"""Cursors of a session; psycopg keeps as many statements prepared."""
NEVER_BY_ITSELF = 1 << 30
"""How often psycopg lets a statement come before it prepares it unasked."""
FAST_MOMENTS = cast(
    "type[Loader]", adapters.get_loader(adapters.types["timestamptz"].oid, pq.Format.TEXT)
)
"""What psycopg brings along, in C, for moments that a statement returns."""
SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""Names that PostgreSQL reports back without quotes."""


class SchemaSwitchFailed(OperationalError):
    """The connection could not be switched; the statement was not run."""


class DatabaseWrapper(base.DatabaseWrapper):
    """A session of the application: in a tenant's schema and role, or in the public domain's."""

    is_owner = False
    """Whether this is a session of the owner (owner.py), which takes no role."""

    schema_name: str
    _path: bytes | None = None
    """The wanted search_path as PostgreSQL reports it; None until it is needed."""
    _switched: Any = None
    """The physical connection that was switched at least once."""
    _kept: dict[str, PreparedCursor]
    """Cursors of the physical connection, by statement."""

    def set_tenant(self, tenant: Any, include_public: bool = True) -> None:
        self._path = None
        super().set_tenant(tenant, include_public)

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params["cursor_factory"] = FollowingCursor if self.is_owner else OneStatementCursor
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        try:
            self._require_usable(connection)
        except (ImproperlyConfigured, OperationalError):
            connection.close()
            raise
        connection.prepare_threshold = NEVER_BY_ITSELF
        self._kept = {}
        return connection

    def is_usable(self) -> bool:
        """Return whether the connection is alive; asked before each request and task.

        A server that went away has closed the connection, which makes it readable. Only then is it
        worth a statement.
        """
        if self.connection.pgconn.status != pq.ConnStatus.OK:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        if not poll.poll(0):
            return True
        usable: bool = super().is_usable()
        return usable

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = super().create_cursor() if name is None else self._create_server_cursor(name)
        cursor.before_each = self.enter_schema
        return cursor

    def kept_cursor(self, statement: str) -> Any:
        """Return the cursor of a statement, which is prepared; nobody needs to close it.

        See ``execfabric.core.statements``. It knows from the last time how values and rows are
        converted, which takes as long to find out as the rest of a short statement.
        """
        self.close_if_health_check_failed()
        if self.connection is None:
            self.ensure_connection()
        cursor = self._kept.get(statement)
        if cursor is None or cursor.closed:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            with self.wrap_database_errors:
                cursor = self._kept[statement] = self._create_prepared_cursor()
        return self._prepare_cursor(cursor)

    def _create_prepared_cursor(self) -> PreparedCursor:
        cursor = PreparedCursor(self.connection)
        # Django's own goes by a pattern in Python, to put its time zone in place of the session's,
        # which is the same one.
        cursor.adapters.register_loader("timestamptz", FAST_MOMENTS)
        cursor.before_each = self.enter_schema
        return cursor

    def _create_server_cursor(self, name: str) -> Any:
        """Return what Django's create_cursor(name) would, but of our own kind."""
        kind: Any = PlainServerCursor
        withhold = self.connection.autocommit
        cursor = kind(self.connection, name, scrollable=False, withhold=withhold)
        register_tzloader(self.timezone, cursor)
        return cursor

    def _handle_search_path(self, cursor: Any = None) -> None:
        """Called by the base class for each new cursor. Ours enter with each statement instead."""

    def enter_schema(self) -> None:
        """Switch unless the connection is there already. Raises SchemaSwitchFailed.

        Nothing is done while a failed transaction waits for its rollback: PostgreSQL refuses every
        statement until then.
        """
        path = self._path or self._search_path()
        pgconn = self.connection.pgconn
        if self._switched is self.connection and pgconn.parameter_status(b"search_path") == path:
            return
        if pgconn.transaction_status == pq.TransactionStatus.INERROR:
            return
        # Not by a cursor: that would open a transaction, whose rollback would take this back.
        done = pgconn.exec_(self._switch_statement(path))
        if done.status != pq.ExecStatus.COMMAND_OK:
            reason = PsycopgError(done.error_message.decode(errors="replace"))
            raise SchemaSwitchFailed(f"Could not switch to {self.schema_name}.") from reason
        self._switched = self.connection

    def _search_path(self) -> bytes:
        """Return the path in the form PostgreSQL reports it. Raises for a name it would quote."""
        names = self._get_cursor_search_paths()
        if not all(SCHEMA_NAME.fullmatch(name) for name in names):
            raise ImproperlyConfigured(f"{names[0]!r} is not a schema name.")
        self._path = ", ".join(names).encode()
        return self._path

    def _switch_statement(self, path: bytes) -> bytes:
        """Return one message of which everything takes effect, or nothing does."""
        if self.is_owner:
            # No role is missing where a schema is, so that is asked for by name.
            exists = f"SELECT '{self.schema_name}'::regnamespace; "
            return exists.encode() + b"SET search_path = " + path + b"; SET ROLE NONE"
        role = role_of(self.settings_dict["NAME"], self.schema_name)
        return b"SET search_path = " + path + f'; SET ROLE "{role}"'.encode()

    def _require_usable(self, connection: Any) -> None:
        """Raise ImproperlyConfigured for a server or a login that cannot keep tenants apart."""
        answer = connection.pgconn.exec_(b"SELECT pg_backend_pid()")
        if answer.status != pq.ExecStatus.TUPLES_OK:
            raise OperationalError("The connection broke as soon as it was made.")
        if answer.get_value(0, 0) != str(connection.info.backend_pid).encode():
            raise ImproperlyConfigured(
                "The database is reached through a pooler. It could hand a session on while that "
                "is in a tenant's role; connect to PostgreSQL itself."
            )
        if connection.info.parameter_status("search_path") is None:
            raise ImproperlyConfigured(
                "PostgreSQL 18 or newer is needed: older ones do not report their search_path."
            )
        if not self.is_owner and connection.info.parameter_status("is_superuser") != "off":
            raise ImproperlyConfigured(
                "EXECFABRIC_DATABASE_URL logs in as a superuser, whom nothing keeps out of a "
                "tenant. Name a role without rights there (it is created when it is missing) and "
                "give this one as EXECFABRIC_DATABASE_OWNER_URL."
            )
