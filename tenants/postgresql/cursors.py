"""Cursors of the application's sessions: one plain statement at a time.

A tenant's role cannot leave its schema, but a statement ``SET ROLE`` could leave the role. Three
things stand before that: the extended protocol, in which PostgreSQL itself refuses a second
statement, so none can be appended; ``set_config()`` and the like, which the role may not call
(catalog.py); and here, a list of the kinds of statement the platform sends at all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from django.db.backends.postgresql.base import CursorMixin, ServerSideCursor
from django.db.utils import ProgrammingError
from psycopg import ClientCursor, Cursor
from psycopg._queries import PostgresQuery, _query2pg_nocache
from psycopg.errors import FeatureNotSupported
from psycopg.sql import Composable

PLAIN = re.compile(
    r"[\s(]*(SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|SAVEPOINT|RELEASE|ROLLBACK TO"
    r"|SET CONSTRAINTS)\b",
    re.IGNORECASE,
)
"""How a statement begins. No comment may stand before it: those nest, and could hide another."""
REVOKED = ("set_config", "ts_stat", "ts_rewrite", "_to_xml", "dblink", 'u&"')
"""Functions that leave the role or run a text as a query, and a spelling that hides a name.

Revoked as well, where the owner is a superuser. Looked for before values are put in; as plain parts
of the text, since a pattern would take longer than the statement.
"""


class StatementRefused(ProgrammingError):
    """A statement of a kind that no session of the application sends; it was not sent."""


class FollowingCursor(CursorMixin, ClientCursor[Any]):
    """Calls ``before_each`` before each statement: the way into the current schema."""

    before_each: Callable[[], None] | None = None

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        self._come_before(query)
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        self._come_before(query)
        super().executemany(query, params_seq, **options)

    def _come_before(self, query: Any) -> None:
        if self.before_each is not None:
            self.before_each()


class NoSideDoors:
    """Refuses what a cursor of psycopg would send without its execute."""

    def copy(self, *_args: Any, **_options: Any) -> Any:
        """Refuse: nothing of the platform copies in a tenant's session."""
        raise StatementRefused("COPY is not sent in a session of the application.")

    def stream(self, *_args: Any, **_options: Any) -> Any:
        """Refuse: a switch while rows still arrive would throw the rest of them away."""
        raise StatementRefused("Rows are not streamed in a session of the application.")

    def executemany(self, *_args: Any, **_options: Any) -> Any:
        """Refuse, where nobody needs it."""
        raise StatementRefused("This cursor sends one statement at a time.")


class OneStatementCursor(NoSideDoors, FollowingCursor):
    """Sends one plain statement per message."""

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        FollowingCursor.executemany(self, query, params_seq, **options)

    def _come_before(self, query: Any) -> None:
        _require_plain(self, query)
        super()._come_before(query)

    def _execute_send(self, query: Any, *, force_extended: bool = False, **options: Any) -> None:
        super()._execute_send(query, force_extended=True, **options)


class KeptQuery(PostgresQuery):
    """A statement with its places numbered as PostgreSQL wants them, which is done once.

    psycopg forgets that of long statements, since those of others seldom come again.
    """

    __slots__ = ()

    def convert(self, query: Any, vars: Any) -> None:  # noqa: A002 - its name at psycopg
        self.query, self._want_formats, self._order, self._parts = _numbered(query)
        self.dump(vars)


@functools.lru_cache(maxsize=200)
def _numbered(text: str) -> Any:
    return _query2pg_nocache(text.encode(), "utf-8")


class PreparedCursor(NoSideDoors, CursorMixin, Cursor[Any]):
    """Sends a plain statement that PostgreSQL parses and plans once for each session.

    For the few statements that are sent all the time; values stay apart from the text.
    """

    _query_cls = KeptQuery
    before_each: Callable[[], None] | None = None

    def execute(self, query: Any, params: Any = None, **_options: Any) -> Any:
        _require_plain_constant(query)
        if self.before_each is not None:
            self.before_each()
        try:
            return super().execute(query, params, prepare=True)
        except FeatureNotSupported:
            # A migration has changed a column that the plan returns; PostgreSQL plans it anew, by
            # another name. To clear all would deallocate what is prepared next, too.
            prepared, statement = self._conn._prepared, cast("PostgresQuery", self._query)
            prepared._names.pop(prepared.key(statement), None)
            if not self._conn.autocommit or self._conn.pgconn.transaction_status:
                raise
            return super().execute(query, params, prepare=True)

    def take_rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of the last statement, none where it has none, and let go of them."""
        # Not self.description, which would describe every column.
        rows = list(self.fetchall()) if self.pgresult and self.pgresult.nfields else []
        self._reset()
        return rows

    def _convert_query(self, *args: Any, **kwargs: Any) -> Any:
        # What Django writes down of a statement, and psycopg does not keep of one prepared before.
        self._query = super()._convert_query(*args, **kwargs)
        return self._query


class PlainServerCursor(NoSideDoors, ServerSideCursor):
    """Declares a cursor on the server, which psycopg always does in a message of its own."""

    before_each: Callable[[], None] | None = None

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        _require_plain(self, query)
        if self.before_each is not None:
            self.before_each()
        return super().execute(query, params, **options)  # type: ignore[misc]  # untyped mixin


def _require_plain(cursor: Any, query: Any) -> None:
    text = query.as_string(cursor.connection) if isinstance(query, Composable) else query
    _require_plain_text(text.decode() if isinstance(text, bytes) else text)


@functools.lru_cache(maxsize=200)
def _require_plain_constant(text: str) -> None:
    _require_plain_text(text)


def _require_plain_text(text: str) -> None:
    lower = text.lower()
    if not PLAIN.match(text) or any(word in lower for word in REVOKED):
        raise StatementRefused(
            "A session of the application sends plain reads and writes only. Tables are changed by "
            "manage.py migrate_platform."
        )
