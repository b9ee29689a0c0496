"""Where floors above say what follows when executions of theirs end, and at each scan.

Which executions are theirs is told by the door they came through, so that those of other doors cost
nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django_tenants.utils import schema_context

from execfabric.core.actor import Door, current_schema

from . import queue
from .gathering import Gathering
from .models import Execution

TOGETHER_S = 0.05
"""What ends within this time is told at once, as long as there is more to run: to count a row costs
as much as to finish it."""
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


class Together(Gathering[tuple[str, Owner], UUID]):
    """Tells owners in a thread of its own, of several ends at once, while it is started."""

    failed = "executions.end_not_told"
    """The scan makes up for it."""

    def __init__(self) -> None:
        super().__init__("ends", gathered_s=TOGETHER_S, expects_more=queue.has_more)

    def start(self) -> None:
        global _together
        super().start()
        _together = self

    def stop(self, timeout_s: float = LAST_TELLING_S) -> None:
        """Tell what is left; from then on each end is told by whoever ended it."""
        global _together
        _together = None
        super().stop(timeout_s)

    def add(self, schema: str, owner: Owner, executions: Sequence[UUID]) -> bool:
        """Keep executions to be told; return whether they will be, which nothing is at the end."""
        return self.take((schema, owner), executions)

    def do(self, kind: tuple[str, Owner], items: Sequence[UUID]) -> None:
        schema, owner = kind
        with schema_context(schema):
            owner.finished(items)


_together: Together | None = None


def scan_owners(now: datetime, *, is_open: bool) -> None:
    for owner in _OWNERS.values():
        owner.scan(now, is_open)


def origin_of(execution: Execution) -> Origin | None:
    owner = _OWNERS.get(execution.door)
    return owner.origin_of(execution) if owner else None
