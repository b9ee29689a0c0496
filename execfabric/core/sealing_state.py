"""How sealing goes, as the clock last told: for the governance pages and /healthz."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import redis
from django.conf import settings
from pydantic import TypeAdapter, ValidationError

from .redis import client

KEY = "execfabric:audit:sealing"


@dataclass(slots=True)
class SealingState:
    at: datetime
    """When the clock looked."""
    has_key: bool = True
    sealed: int = 0
    """Events sealed in that look."""
    took_s: float = 0.0
    late: dict[str, datetime] = field(default_factory=dict)
    """By schema, since when an event waits, where that is too long."""
    failed: dict[str, str] = field(default_factory=dict)
    """By schema, why its trail could not be sealed, or its seals not be copied."""
    troubles: dict[str, str] = field(default_factory=dict)
    """What else fails for longer (copies by webhook, archives, …), and why."""


_FORM = TypeAdapter(SealingState)


def late_after() -> timedelta:
    """Return how long an event may wait for its seal: a few looks of the clock."""
    return timedelta(seconds=max(60, 6 * settings.SEAL_EVERY_S))


def remember(state: SealingState) -> None:
    client().set(KEY, _FORM.dump_json(state).decode(), ex=timedelta(days=7))


def known_state() -> SealingState | None:
    """Return what the clock last told; None when it is not known."""
    try:
        text = client().get(KEY)
        return _FORM.validate_json(str(text)) if text else None
    except (redis.RedisError, ValidationError):
        return None


def is_in_time(state: SealingState | None, *, now: datetime) -> bool:
    """Return whether every trail is sealed and copied, as far as the clock told lately."""
    return (
        state is not None
        and state.has_key
        and not state.late
        and not state.failed
        and not state.troubles
        and now - state.at <= late_after()
    )
