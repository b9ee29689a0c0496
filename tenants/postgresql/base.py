"""PostgreSQL backend that is always on the schema it says it is, or raises.

Two faults of the stock django-tenants backend are closed here: a failing switch is swallowed there
and the statement runs on the schema before, and a schema that does not exist is accepted, so that
unqualified names fall through to ``public``.
"""

from __future__ import annotations

import weakref
from typing import Any

from django.db.utils import OperationalError
from django_tenants.postgresql_backend import base
from psycopg import pq


class SchemaSwitchFailed(OperationalError):
    """The connection could not be switched; the statement was not run."""


_confirmed: weakref.WeakKeyDictionary[Any, tuple[str, ...]] = weakref.WeakKeyDictionary()
"""Physical connection -> search path known to be in force outside any transaction."""


class DatabaseWrapper(base.DatabaseWrapper):
    """Switches schema in one statement, and in none when the connection is already there."""

    _setting_search_path: bool
    search_path_set_schemas: tuple[str, ...] | None

    def _handle_search_path(self, cursor: Any = None) -> None:
        if self._setting_search_path or self.search_path_set_schemas:
            return
        wanted = tuple(self._get_cursor_search_paths())
        if _confirmed.get(self.connection) == wanted:
            self.search_path_set_schemas = wanted
            return
        _confirmed.pop(self.connection, None)
        if self.connection.info.transaction_status == pq.TransactionStatus.INERROR:
            return  # PostgreSQL refuses every statement until the rollback, the caller's too.
        self._setting_search_path = True
        own_cursor = self.connection.cursor() if cursor is None else cursor
        try:
            own_cursor.execute(_switch_statement(wanted))
        except Exception as error:
            raise SchemaSwitchFailed(f"Could not switch to schema {wanted[0]}.") from error
        finally:
            self._setting_search_path = False
            if cursor is None:
                own_cursor.close()
        self.search_path_set_schemas = wanted
        if self.connection.info.transaction_status == pq.TransactionStatus.IDLE:
            # Inside a transaction a rollback would take the setting back.
            _confirmed[self.connection] = wanted


def _switch_statement(schemas: tuple[str, ...]) -> str:
    """Return the statement that sets the search path, and fails if its first schema is missing.

    The cast is checked when the statement is parsed, so nothing is set when it fails.
    """
    path = ", ".join(base.quote_schema_name(schema) for schema in schemas)
    own = base.quote_schema_name(schemas[0])
    return (
        f"SELECT set_config('search_path', {_literal(path)}, false), {_literal(own)}::regnamespace"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
