"""Cursors of the application's sessions: one plain statement at a time.

A tenant's role cannot leave its schema, but a statement ``SET ROLE`` could leave the role. Three
things stand before that: the extended protocol, in which PostgreSQL itself refuses a second
statement, so none can be appended; ``set_config()`` and the like, which the role may not call
(catalog.py); and here, a list of the kinds of statement the platform sends at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.db.backends.postgresql.base import CursorMixin, ServerSideCursor
from django.db.utils import ProgrammingError
from psycopg import ClientCursor
from psycopg.sql import Composable

PLAIN = re.compile(
    r"[\s(]*(SELECT|INSERT|UPDATE|DELETE|WITH|VALUES|SAVEPOINT|RELEASE|ROLLBACK TO"
    r"|SET CONSTRAINTS)\b",
    re.IGNORECASE,
)
"""How a statement begins. No comment may stand before it: those nest, and could hide another."""


class StatementRefused(ProgrammingError):
    """A statement of a kind that no session of the application sends; it was not sent."""


class _PlainStatements:
    """Mixed into a psycopg cursor. ``before_each`` runs before every statement."""

    before_each: Callable[[], None] | None = None

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        self._prepare_for(query)
        return super().execute(query, params, **options)  # type: ignore[misc]

    def copy(self, statement: Any, *_args: Any, **_options: Any) -> Any:
        """Refuse: nothing of the platform copies in a tenant's session."""
        raise StatementRefused("COPY is not sent in a session of the application.")

    def _prepare_for(self, query: Any) -> None:
        connection: Any = self.connection  # type: ignore[attr-defined]
        text = query.as_string(connection) if isinstance(query, Composable) else query
        text = text.decode() if isinstance(text, bytes) else text
        if not PLAIN.match(text):
            raise StatementRefused(
                "A session of the application sends plain reads and writes only. To change tables "
                "run: manage.py migrate_platform"
            )
        if self.before_each is not None:
            self.before_each()


class OneStatementCursor(_PlainStatements, CursorMixin, ClientCursor[Any]):
    """Sends one plain statement per message."""

    def executemany(self, query: Any, params_seq: Iterable[Any], **options: Any) -> None:
        self._prepare_for(query)
        super().executemany(query, params_seq, **options)

    def stream(self, *_args: Any, **_options: Any) -> Any:
        """Refuse: a switch while rows still arrive would throw the rest of them away."""
        raise StatementRefused("Rows are not streamed in a session of the application.")

    def _execute_send(self, query: Any, *, force_extended: bool = False, **options: Any) -> None:
        super()._execute_send(query, force_extended=True, **options)


class PlainServerCursor(_PlainStatements, ServerSideCursor):
    """Declares a cursor on the server, which psycopg always does in a message of its own."""
