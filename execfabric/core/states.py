"""State machines are tables; move() is the only way from one state to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import models
from django.db.models import Q

from .errors import InvalidTransition

Transitions = Mapping[Any, frozenset[Any]]
Row = TypeVar("Row", bound=models.Model)


def move(row: Row, *, to: Any, table: Transitions, **fields: Any) -> Row:
    """Lock row, check the move from its stored status, save status and fields; return the row.

    Works on a fresh copy under a row lock, so a stale ``row`` cannot undo another's move. Raises
    InvalidTransition. Must run inside a transaction.
    """
    fresh = type(row)._default_manager.select_for_update().get(pk=row.pk)
    _require_move(fresh, to, table)
    fields["status"] = to
    for name, value in fields.items():
        setattr(fresh, name, value)
    fresh.save(update_fields=list(fields))
    return fresh


def advance(
    row: Row, *, to: Any, table: Transitions, only_if: Q | None = None, **fields: Any
) -> bool:
    """Move row, in one statement, from the status it was read with; return whether that was right.

    For the busiest moves: nothing is read, and nothing is changed where the stored row has another
    status by now or does not fit only_if. Else row itself is brought up to date. Raises
    InvalidTransition where the table does not allow the move.
    """
    _require_move(row, to, table)
    fields["status"] = to
    found = type(row)._default_manager.filter(pk=row.pk, status=row.status)  # type: ignore[attr-defined]
    if not (found.filter(only_if) if only_if else found).update(**fields):
        return False
    for name, value in fields.items():
        setattr(row, name, value)
    return True


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


def _require_move(row: models.Model, to: Any, table: Transitions) -> None:
    current = row.status  # type: ignore[attr-defined]
    if to not in table[current]:
        noun = row._meta.verbose_name
        raise InvalidTransition(f"This {noun} is {_words(current)}; it cannot become {_words(to)}.")


def _words(status: Any) -> str:
    return str(getattr(status, "value", status)).replace("_", " ")
