"""State machines are tables; move() is the only way from one state to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import models

from .errors import InvalidTransition

Transitions = Mapping[Any, frozenset[Any]]
Row = TypeVar("Row", bound=models.Model)


def move(row: Row, *, to: Any, table: Transitions, **fields: Any) -> Row:
    """Lock row, check the move from its stored status, save status and fields; return the row.

    Works on a fresh copy under a row lock, so a stale ``row`` cannot undo another's move. Raises
    InvalidTransition. Must run inside a transaction.
    """
    fresh = type(row)._default_manager.select_for_update().get(pk=row.pk)
    require_move(fresh, to, table)
    fields["status"] = to
    for name, value in fields.items():
        setattr(fresh, name, value)
    fresh.save(update_fields=list(fields))
    return fresh


def require_move(row: models.Model, to: Any, table: Transitions) -> None:
    """Raise InvalidTransition unless the table allows the move from the status row has.

    For moves that one statement makes where the stored row still has that status.
    """
    current = row.status  # type: ignore[attr-defined]
    if to not in table[current]:
        noun = row._meta.verbose_name
        raise InvalidTransition(f"This {noun} is {_words(current)}; it cannot become {_words(to)}.")


def advance_all(
    rows: models.QuerySet[Any], *, since: Any, to: Any, table: Transitions, **fields: Any
) -> int:
    """Move those of rows that are in the state since, in one statement; return how many were.

    Raises InvalidTransition where the table does not allow the move.
    """
    if to not in table[since]:
        noun = rows.model._meta.verbose_name_plural
        raise InvalidTransition(f"{_words(since)} {noun} cannot become {_words(to)}.")
    return rows.filter(status=since).update(status=to, **fields)


def _words(status: Any) -> str:
    return str(getattr(status, "value", status)).replace("_", " ")
