"""Which processes do the platform's work: each says so every few seconds, in Redis or Valkey."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings
from django.utils import timezone
from pydantic import TypeAdapter, ValidationError

from execfabric import __version__

from .redis import client

logger = structlog.get_logger(__name__)

KEY = "execfabric:workers"
TELL_EVERY_S = 5.0
SILENT_AFTER = timedelta(seconds=20)
"""One that says nothing for so long is taken for dead, or cut off."""
REMEMBERED_FOR = timedelta(hours=24)
"""How long one that went without a word is still shown."""


@dataclass(frozen=True, slots=True)
class Presence:
    """One process, as it last told about itself."""

    name: str
    """Host and process id."""
    does: str
    """"runs" carries out executions, "tasks" does scans, checks and other work of the platform."""
    queues: tuple[str, ...]
    slots: int
    """How much it does at once."""
    busy: int | None
    """How many of its slots are taken; None where it does not count them."""
    sandbox: str
    """Level of isolation that runs get."""
    version: str
    started_at: datetime
    seen_at: datetime

    def is_silent(self, now: datetime) -> bool:
        return now - self.seen_at > SILENT_AFTER


_FORM = TypeAdapter(Presence)


def own_presence(*, does: str, queues: tuple[str, ...], slots: int) -> Presence:
    """Return what this process tells about itself."""
    now = timezone.now()
    return Presence(
        name=f"{socket.gethostname()}:{os.getpid()}",
        does=does,
        queues=queues,
        slots=slots,
        busy=None,
        sandbox=settings.SANDBOX,
        version=__version__,
        started_at=now,
        seen_at=now,
    )


def tell(presence: Presence, *, busy: int | None = None) -> None:
    """Say that this process is there. Redis that is away is logged, and no error."""
    told = replace(presence, busy=busy, seen_at=timezone.now())
    try:
        client().hset(KEY, presence.name, _FORM.dump_json(told).decode())
    except redis.RedisError as error:
        logger.warning("presence.not_told", error=str(error))


def leave(presence: Presence) -> None:
    """Say that this process ends as it should."""
    try:
        client().hdel(KEY, presence.name)
    except redis.RedisError as error:
        logger.warning("presence.not_told", error=str(error))


def known_workers(now: datetime) -> list[Presence] | None:
    """Return the processes of the last day, by name; None where Redis does not say."""
    found: list[Presence] = []
    try:
        told: dict[str, str] = client().hgetall(KEY)  # type: ignore[assignment]  # decoded
        for name, text in told.items():
            try:
                presence = _FORM.validate_json(text)
            except ValidationError:  # Of another release.
                continue
            if now - presence.seen_at > REMEMBERED_FOR:
                client().hdel(KEY, name)
            else:
                found.append(presence)
    except redis.RedisError:
        return None
    return sorted(found, key=lambda one: (one.does, one.name))


def tell_in_background(presence: Presence) -> Callable[[], None]:
    """Tell every few seconds, in a thread, until the returned function is called."""
    over = threading.Event()

    def keep_telling() -> None:
        tell(presence)
        while not over.wait(TELL_EVERY_S):
            tell(presence)
        leave(presence)

    thread = threading.Thread(target=keep_telling, name="presence", daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        thread.join(1.0)

    return stop
