"""Statements of our own, for the way every run takes: prepared once, then only their values go.

Each text is a constant of the module that sends it; the names in it are resolved in the schema at
hand, as for every other statement.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute

Row = TypeVar("Row", bound=models.Model)


def send(statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
    """Run statement in the current schema and return its rows, in order; none where it has none.

    values stand for its ``%s``. Raises what Django's cursors raise.
    """
    text = sys.intern(statement)  # psycopg knows one it has sent before by identity.
    cursor = connection.kept_cursor(text)  # type: ignore[attr-defined]  # of tenants.postgresql
    cursor.execute(text, values)
    rows: list[tuple[Any, ...]] = cursor.take_rows()
    return rows


def database_now() -> datetime:
    """Return the database's clock: the one that all web processes, workers and scans share."""
    now: datetime = send("SELECT clock_timestamp()", [])[0][0]
    return now


def new_row(model: type[Row], **given: Any) -> Row:
    """Return a row as ``model(**given)`` does, in a tenth of the time. It is not stored yet.

    A related row is given as such, or by its id. No signals are sent.
    """
    # Django sets each column by itself, raises and catches an exception for each that is not given,
    # asks its routers about each related row, and there is but one database.
    columns, made, related = _blank(model)
    row = model.__new__(model)
    row._state = ModelState()
    contents = row.__dict__
    contents.update(columns)
    for name, value in given.items():
        if field := related.get(name):
            contents[field.attname] = value.pk
            field.set_cached_value(row, value)
        elif name in columns:
            contents[name] = value
        else:
            raise TypeError(f"{model.__name__} has no {name}.")
    for name, field in made:
        if contents[name] is _MADE_ANEW:
            contents[name] = field.get_default()
    return row


def stored_row(model: type[Row], names: Sequence[str], values: Sequence[Any]) -> Row:
    """Return the row of those columns as ``model.from_db`` does, in a tenth of the time.

    Whatever is not among them is read when somebody asks for it. No signals are sent.
    """
    _blank(model)
    row = model.__new__(model)
    row._state = state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    row.__dict__.update(zip(names, values, strict=True))
    return row


@functools.lru_cache(maxsize=100)
def _blank(
    model: type[models.Model],
) -> tuple[dict[str, Any], list[tuple[str, Any]], dict[str, Any]]:
    """Return what there is to a new row of model.

    Its columns with their defaults; those whose default is made anew for each row; related rows by
    name. Raises TypeError for a model with columns that are more than a value.
    """
    columns, made, related = {}, [], {}
    for field in model._meta.concrete_fields:
        if field.descriptor_class not in {DeferredAttribute, ForeignKeyDeferredAttribute}:
            raise TypeError(f"{model.__name__}.{field.name} does something when it is set.")
        # Without a default there is a class in its place, which can be called, too.
        if field.has_db_default() or (field.has_default() and callable(field.default)):
            columns[field.attname] = _MADE_ANEW
            made.append((field.attname, field))
        else:
            columns[field.attname] = field.get_default()
        if field.is_relation:
            related[field.name] = field
    return columns, made, related


_MADE_ANEW = object()


def insert_of(
    row: models.Model, *, source: str = "", taken: Mapping[str, str] | None = None
) -> tuple[str, list[Any]]:
    """Return the INSERT of a new row, and its values.

    With source it inserts once for each row of that (a part of a WITH), and taken names the columns
    whose value comes from there, with their names in it.
    """
    names = tuple(sorted((taken or {}).items()))
    contents = row.__dict__
    values = []
    for field, plain in _given(type(row), names):
        # A field with plain values does nothing before it is saved.
        value = contents[field.attname] if plain else field.pre_save(row, add=True)
        if type(value) not in plain:
            value = _as_stored(field, plain, value)
        values.append(value)
    return _insert(type(row), source, names), values


@functools.lru_cache(maxsize=100)
def _given(
    model: type[models.Model], taken: tuple[tuple[str, str], ...]
) -> list[tuple[models.Field[Any, Any], frozenset[type]]]:
    """Return the fields of a new row that are not taken from elsewhere, with their plain values."""
    elsewhere = dict(taken)
    return [
        (field, _plain_values(field))
        for field in model._meta.concrete_fields
        if not field.generated and field.column not in elsewhere
    ]


def _plain_values(field: models.Field[Any, Any]) -> frozenset[type]:
    """Return the types of values that are stored as they are; none where the field itself has a say
    in its value."""
    if isinstance(field, (models.CharField, models.TextField)):
        return _TEXTS
    if isinstance(field, _PLAIN_FIELDS):
        return _PLAIN_VALUES
    if isinstance(field, models.DateTimeField) and not (field.auto_now or field.auto_now_add):
        return _MOMENTS
    return frozenset()


def insert_each_of(rows: Sequence[models.Model], *, fits: str) -> tuple[str, str]:
    """Return an INSERT of those of rows, all of one model, that fit ``act``, and its one value.

    act is a part of a WITH; fits joins the rows, called given, with it.
    """
    model = type(rows[0])
    fields = _given(model, ())
    values = [
        {field.column: _in_json(row, field, plain) for field, plain in fields} for row in rows
    ]
    return _insert_each(model, fits), json.dumps(values, default=str)


@functools.lru_cache(maxsize=100)
def _insert_each(model: type[models.Model], fits: str) -> str:
    names = [str(field.column) for field, _ in _given(model, ())]
    listed = ", ".join(f'"{name}"' for name in names)
    wanted = ", ".join(f'given."{name}"' for name in names)
    return (
        f'INSERT INTO "{model._meta.db_table}" ({listed}) '  # noqa: S608
        f"SELECT {wanted} FROM {rows_given(model, names)} JOIN act ON {fits}"
    )


def rows_given(model: type[models.Model], columns: Sequence[str]) -> str:
    """Return what stands for several rows of model in a FROM: one value, a list of objects in JSON.

    In the statement they are called given.
    """
    kinds = {
        str(field.column): str(field.db_type(connection)).partition("(")[0]
        for field in model._meta.concrete_fields
    }
    # As json, which keeps the values inside as they are written.
    listed = ", ".join(f'"{name}" {kinds[name]}' for name in columns)
    return f"json_to_recordset(%s::json) AS given ({listed})"


def update_of(
    model: type[models.Model], changes: Mapping[str, Any], *, where: Mapping[str, Any]
) -> tuple[str, list[Any]]:
    """Return the UPDATE of the row that fits where, and its values. Both are given by field."""
    changed, fits = tuple(changes), tuple(where)
    values = [
        value if type(value) in plain else _as_stored(field, plain, value)
        for (field, plain), value in zip(
            _named(model, changed + fits), (*changes.values(), *where.values()), strict=True
        )
    ]
    return _update(model, changed, fits), values


@functools.lru_cache(maxsize=100)
def _named(
    model: type[models.Model], names: tuple[str, ...]
) -> list[tuple[models.Field[Any, Any], frozenset[type]]]:
    fields = [_field(model, name) for name in names]
    return [(field, _plain_values(field)) for field in fields]


@functools.lru_cache(maxsize=100)
def _update(model: type[models.Model], changes: tuple[str, ...], where: tuple[str, ...]) -> str:
    changed = ", ".join(f'"{_field(model, name).column}" = %s' for name in changes)
    fits = " AND ".join(f'"{_field(model, name).column}" = %s' for name in where)
    return f'UPDATE "{model._meta.db_table}" SET {changed} WHERE {fits}'  # noqa: S608


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", model._meta.get_field(name))


def _as_stored(field: models.Field[Any, Any], plain: frozenset[type], value: Any) -> Any:
    """Return what psycopg is to send; most often that is value, and Django takes ten calls to say
    so, for each of the columns."""
    if type(value) in plain:
        return value
    if plain is _TEXTS and isinstance(value, str):  # A member of an enum.
        return value
    if plain is _MOMENTS and type(value) is datetime and value.tzinfo:
        return value
    return field.get_db_prep_save(value, connection=connection)


def _in_json(row: models.Model, field: models.Field[Any, Any], plain: frozenset[type]) -> Any:
    value = row.__dict__[field.attname] if plain else field.pre_save(row, add=True)
    return value if isinstance(field, models.JSONField) else _as_stored(field, plain, value)


_PLAIN_VALUES: frozenset[type] = frozenset({str, int, float, bool, UUID, type(None)})
_TEXTS: frozenset[type] = frozenset({str, type(None)})
_MOMENTS: frozenset[type] = frozenset({type(None)})
"""Of a moment it depends on its time zone."""
_PLAIN_FIELDS = (
    models.CharField,
    models.TextField,
    models.IntegerField,
    models.FloatField,
    models.BooleanField,
    models.UUIDField,
    models.ForeignKey,
)


@functools.lru_cache(maxsize=100)
def _insert(model: type[models.Model], source: str, taken: tuple[tuple[str, str], ...]) -> str:
    from_source = dict(taken)
    columns, places = [], []
    for field in model._meta.concrete_fields:
        if field.generated:
            continue
        columns.append(f'"{field.column}"')
        known = from_source.get(str(field.column))
        # Said by name: in a SELECT PostgreSQL would take an untyped value for a text.
        # Without its length, to which it would be cut in silence.
        kind = str(field.db_type(connection)).partition("(")[0]
        places.append(f"{source}.{known}" if known else f"%s::{kind}")
    listed = ", ".join(places)
    values = f"SELECT {listed} FROM {source}" if source else f"VALUES ({listed})"  # noqa: S608
    return f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)}) {values}'
