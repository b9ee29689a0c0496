"""Writes audit events. Called by @action, and by acts on many rows that leave one for each."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from datetime import date
from enum import Enum
from typing import Any
from uuid import UUID

from django.db import models

from .actor import Actor, current_schema
from .models import AuditEvent, Outcome
from .request_context import current_agent, current_request_id
from .statements import new_row

LONGEST_TEXT = 200
DEEPEST = 20
"""Levels of nested values that are written down; as deep as the inputs of a skill may be."""
SKILL_INPUTS = "inputs"
"""Argument whose values are a user's data: they stand on the execution, the trail has names."""
WITH_AGENT = "accounts."
"""Acts of this area say in their details, under "agent", what the client calls itself."""
SECRET_WORDS = ("password", "secret", "token", "credential", "api_key")


def record(
    code: str,
    *,
    actor: Actor,
    outcome: Outcome,
    target: object = None,
    inputs: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEvent:
    """Append one event in the current schema, inside the transaction at hand."""
    event = event_of(
        code, actor=actor, outcome=outcome, target=target, inputs=inputs, reason=reason
    )
    event.save(force_insert=True)
    return event


def record_many(
    code: str, *, actor: Actor, targets: Iterable[models.Model], inputs: Mapping[str, Any]
) -> None:
    """Append one event for each target of an act that was done to all of them, in few statements.

    Called inside an action, which has checked the permission and has an event of its own.
    """
    described = {name: describe(name, value) for name, value in inputs.items()}
    events = []
    for target in targets:
        event = event_of(code, actor=actor, outcome=Outcome.DONE, target=target)
        event.details = described
        events.append(event)
    AuditEvent.objects.bulk_create(events, batch_size=1000)


def event_of(
    code: str,
    *,
    actor: Actor,
    outcome: Outcome,
    target: object = None,
    inputs: Mapping[str, Any] | None = None,
    reason: str = "",
    is_labelled: bool = True,
) -> AuditEvent:
    """Return the event of an act in the current schema; it is not stored yet.

    is_labelled: whether target is complete enough to be named.
    """
    row = target if isinstance(target, models.Model) else None
    details = {
        name: _names_of(value) if name == SKILL_INPUTS else describe(name, value)
        for name, value in (inputs or {}).items()
    }
    if code.startswith(WITH_AGENT) and (agent := current_agent()):
        details["agent"] = storable(agent[:LONGEST_TEXT])
    return new_row(
        AuditEvent,
        code=code,
        outcome=outcome,
        schema=current_schema(),
        actor_id=actor.user_id,
        actor_name=storable(actor.username or "anonymous")[:150],
        door=actor.door,
        address=actor.address,
        target_type=row._meta.label_lower if row else "",
        target_id=str(row.pk)[:64] if row else "",
        target_label=storable(str(row))[:LONGEST_TEXT] if row and is_labelled else "",
        request_id=current_request_id(),
        reason=storable(reason)[:2000],
        details=details,
    )


def _names_of(values: Any) -> Any:
    known = isinstance(values, Mapping)
    return sorted(storable(str(name))[:LONGEST_TEXT] for name in list(values)[:50]) if known else []


def describe(name: str, value: Any, *, depth: int = 1) -> Any:
    """Return value in a form fit for the trail: rows by id, bulk by size, secrets not at all.

    Whatever value is, the result can be stored: what was refused for its form is recorded too.
    """
    names_a_secret = _names_a_secret if len(name) <= LONGEST_TEXT else _holds_secret_word
    if names_a_secret(name):
        return "(hidden)"
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case Enum():
            return value.value
        case models.Model():
            label = storable(str(value))[:LONGEST_TEXT]
            return {"type": value._meta.label_lower, "id": str(value.pk), "label": label}
        case str():
            return storable(value) if len(value) <= LONGEST_TEXT else f"({len(value)} characters)"
        case bytes():
            return f"({len(value)} bytes)"
        case date() | UUID():
            return str(value)
        case Mapping() | list() | tuple() | set() | frozenset() if depth > DEEPEST:
            return "(nested deeper)"
        case Mapping():
            items = list(value.items())[:50]
            return {
                storable(str(key))[:LONGEST_TEXT]: describe(str(key), item, depth=depth + 1)
                for key, item in items
            }
        case list() | tuple() | set() | frozenset():
            return [describe(name, item, depth=depth + 1) for item in list(value)[:50]]
        case _:
            return f"({type(value).__name__})"


def _holds_secret_word(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)


_names_a_secret = functools.lru_cache(maxsize=1000)(_holds_secret_word)
"""The same, kept for names that nobody chose to be long."""


def storable(text: str) -> str:
    """Return text with what PostgreSQL cannot hold (NUL, lone surrogates) replaced."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
