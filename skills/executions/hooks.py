"""Where floors above say what follows when executions of theirs end, and at each scan.

Which executions are theirs is told by the door they came through, so that those of other doors cost
nothing here.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.db import connections, transaction
from django_tenants.utils import schema_context

from execfabric.core.actor import Door, current_schema
from execfabric.core.connections import drop_dead_connections

from .models import Execution

logger = structlog.get_logger(__name__)

TOGETHER_S = 0.05
"""What ends within this time is told at once: to count a row costs as much as to finish it."""
LAST_TELLING_S = 2.0


@dataclass(frozen=True, slots=True)
class Origin:
    """What an execution is part of, for its page."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The floor whose executions come through one door."""

    finished: Callable[[Sequence[UUID]], None]
    """Told which of them ended, once that is committed. A second time must do no harm."""
    scan: Callable[[datetime, bool], None]
    """Called at each scan of a schema; the flag says whether its tenant is open."""
    origin_of: Callable[[Execution], Origin | None]


_OWNERS: dict[str, Owner] = {}


def own_door(door: Door, owner: Owner) -> None:
    """Let owner hear of the executions of door. A second owner is an error."""
    if door in _OWNERS:
        raise ValueError(f"The door {door} has an owner.")
    _OWNERS[door] = owner


def has_owner(door: str) -> bool:
    return door in _OWNERS


def tell_finished(door: str, executions: Sequence[UUID]) -> None:
    """Say that executions, all of one door, ended, once the transaction at hand has committed."""
    owner, schema = _OWNERS.get(door), current_schema()
    if owner is None:
        return

    def tell() -> None:
        together = _together  # Another thread may take it away.
        if together is None or not together.add(schema, owner, executions):
            with schema_context(schema):  # The commit may be that of another schema's act.
                owner.finished(executions)

    # What goes wrong is logged and made up for by the scan; the end of the run is recorded.
    transaction.on_commit(tell, robust=True)


class Together:
    """Tells owners in a thread of its own, of several ends at once, while it is started."""

    def __init__(self) -> None:
        self._ended: defaultdict[tuple[str, Owner], list[UUID]] = defaultdict(list)
        self._is_over = False
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="ends", daemon=True)

    def start(self) -> None:
        global _together
        self._thread.start()
        _together = self

    def stop(self) -> None:
        """Tell what is left; from then on each end is told by whoever ended it."""
        global _together
        _together = None
        self._stopping.set()
        self._has_some.set()
        self._thread.join(LAST_TELLING_S)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def add(self, schema: str, owner: Owner, executions: Sequence[UUID]) -> bool:
        """Keep executions to be told; return whether they will be, which nothing is at the end."""
        with self._lock:
            if self._is_over:
                return False
            self._ended[schema, owner].extend(executions)
        self._has_some.set()
        return True

    def _serve(self) -> None:
        try:
            while not self._stopping.is_set():
                self._has_some.wait()
                self._stopping.wait(TOGETHER_S)
                self._has_some.clear()
                self._tell_all()
            self._tell_all(is_last=True)  # What came while the others were told.
        finally:
            connections.close_all()

    def _tell_all(self, *, is_last: bool = False) -> None:
        with self._lock:
            ended, self._ended = self._ended, defaultdict(list)
            self._is_over = is_last
        for (schema, owner), executions in ended.items():
            try:
                drop_dead_connections()  # Nothing may have been told for hours.
                with schema_context(schema):
                    owner.finished(executions)
            except Exception:  # The scan makes up for it.
                logger.exception("executions.end_not_told", ended=len(executions))
                connections.close_all()


_together: Together | None = None


def scan_owners(now: datetime, *, is_open: bool) -> None:
    for owner in _OWNERS.values():
        owner.scan(now, is_open)


def origin_of(execution: Execution) -> Origin | None:
    owner = _OWNERS.get(execution.door)
    return owner.origin_of(execution) if owner else None
