"""Reads that wait: woken by a change, never by polling the database."""

from __future__ import annotations

from execfabric.core import wake
from execfabric.core.actor import Actor

from .models import Execution, LogChunk
from .selectors import log_after, read_execution
from .states import FINAL, WAITING, Status

LONGEST_WAIT_S = 30.0
SETTLED = FINAL | WAITING


def seconds(text: str) -> float:
    """Return how long a ``?wait=`` asks to wait, 0 to LONGEST_WAIT_S; nonsense is 0."""
    try:
        wanted = float(text or 0)
    except ValueError:
        return 0.0
    return min(max(wanted, 0.0), LONGEST_WAIT_S) if wanted == wanted else 0.0


def log_cursor(text: str) -> int:
    """Return the cursor an ``?after=`` names; nonsense is 0, the beginning."""
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def settled(execution: Execution, *, actor: Actor, wait_s: float) -> Execution:
    """Return execution as soon as it is over or needs a person, else as it is after wait_s."""
    if wait_s <= 0 or execution.is_final or execution.awaits_a_person:
        return execution

    seen = wake.wait_until(
        execution.topic,
        lambda: read_execution(execution.pk, in_one_of=SETTLED),
        enough=lambda seen: seen is not None,
        timeout_s=wait_s,
        waiter=actor.username,
        heeds=lambda news: news in SETTLED,
    )
    return seen or read_execution(execution.pk, in_one_of=Status.values) or execution


def new_log(
    execution: Execution, cursor: int, *, actor: Actor, wait_s: float
) -> tuple[list[LogChunk], bool]:
    """Return the log after cursor, and whether that is all there will ever be.

    Waits up to wait_s for something new while the execution goes on.
    """

    def look() -> tuple[list[LogChunk], bool]:
        # The state first: what is final when we look has its whole log stored.
        execution.refresh_from_db(fields=["status"])
        over = execution.is_final
        chunks = log_after(execution, cursor)
        last = chunks[-1].seq if chunks else cursor
        return chunks, over and not log_after(execution, last, limit=1)

    return wake.wait_until(
        execution.topic,
        look,
        enough=lambda seen: bool(seen[0]) or seen[1],
        timeout_s=wait_s,
        waiter=actor.username,
    )
