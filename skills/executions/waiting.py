"""Reads that wait: woken by a change, never by polling the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID
from zlib import crc32

from execfabric.core import wake
from execfabric.core.actor import Actor
from execfabric.core.ids import uuid7

from .lifecycle import PROGRESS
from .models import Execution, LogChunk, topic_of
from .selectors import bring_up_to_date, log_after
from .states import FINAL, WAITING, Status

LONGEST_WAIT_S = 30.0
LIVE_FIELDS = ("status", "cancel_requested_at", "progress_fraction", "progress_message")
CHUNKS_AT_ONCE = 60
"""Chunks of log per answer, 32 Ki characters at most each."""
PIECES_AT_ONCE = 5_000
"""The same where a script's two streams take turns with every word."""
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
    """Return execution as soon as it is over or needs a person, else as it is after wait_s.

    It is brought up to date.
    """
    if wait_s <= 0 or execution.status in SETTLED:
        return execution

    has_settled = wake.wait_until(
        execution.topic,
        _settling(execution),
        enough=bool,
        timeout_s=wait_s,
        waiter=actor.username,
        heeds=_settles,
    )
    return execution if has_settled else _as_it_is(execution)


@contextmanager
def awaited(actor: Actor, wait_s: float) -> Iterator[AwaitedExecution]:
    """Wait up to wait_s for an execution that is asked for in the block."""
    execution_id = uuid7()
    if wait_s <= 0:
        yield AwaitedExecution(execution_id, actor, wait_s, None)
        return
    # Whoever listens before it is there need not look again.
    topic = topic_of(execution_id)
    with wake.listening(topic, waiter=actor.username, is_first=True) as listener:
        yield AwaitedExecution(execution_id, actor, wait_s, listener)


@dataclass(frozen=True, slots=True)
class AwaitedExecution:
    id: UUID
    """What the execution is to be stored under."""
    actor: Actor
    wait_s: float
    listener: wake.Listener | None

    def settled(self, execution: Execution) -> Execution:
        """Return it as ``settled`` does; it may also be one that was there before."""
        if self.listener is None or execution.pk != self.id:
            return settled(execution, actor=self.actor, wait_s=self.wait_s)
        if execution.status in SETTLED:
            return execution
        has_settled = self.listener.wait_until(
            _settling(execution), enough=bool, timeout_s=self.wait_s, heeds=_settles
        )
        return execution if has_settled else _as_it_is(execution)


def _settling(execution: Execution) -> Callable[[], bool]:
    return lambda: bring_up_to_date(execution, in_one_of=SETTLED)


def _settles(news: str) -> bool:
    return news in SETTLED


def _as_it_is(execution: Execution) -> Execution:
    bring_up_to_date(execution, in_one_of=Status.values)
    return execution


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
        chunks = log_after(execution, cursor, limit=CHUNKS_AT_ONCE)
        fits = _first_of(chunks)
        return fits, over and len(fits) == len(chunks) < CHUNKS_AT_ONCE

    return wake.wait_until(
        (execution.topic, execution.live_topic),
        look,
        enough=lambda seen: bool(seen[0]) or seen[1],
        timeout_s=wait_s,
        waiter=actor.username,
        heeds=lambda news: news != PROGRESS,
    )


def _first_of(chunks: list[LogChunk]) -> list[LogChunk]:
    """Return as many of chunks as go into one answer: at least one."""
    pieces = 0
    for number, chunk in enumerate(chunks):
        pieces += len(chunk.pieces)
        if number and pieces > PIECES_AT_ONCE:
            return chunks[:number]
    return chunks


def has_news(
    execution: Execution, *, cursor: int, seen: str, told: str, actor: Actor, wait_s: float
) -> bool:
    """Return whether the page of execution has something new to show, waiting up to wait_s for it.

    The page has the log up to cursor, and shows the state and the progress of these marks.
    execution is brought up to date.
    """

    def look() -> bool:
        execution.refresh_from_db(fields=LIVE_FIELDS)
        return (
            execution.is_final
            or state_mark(execution) != seen
            or progress_mark(execution) != told
            or execution.log_chunks.filter(seq__gt=cursor).exists()
        )

    return wake.wait_until(
        (execution.topic, execution.live_topic),
        look,
        enough=bool,
        timeout_s=wait_s,
        waiter=actor.username,
    )


def state_mark(execution: Execution) -> str:
    """Return a word that changes whenever more than log and progress did."""
    return f"{execution.status}{'-stopping' if execution.cancel_requested_at else ''}"


def progress_mark(execution: Execution) -> str:
    """Return a word that changes with the progress."""
    told = f"{execution.progress_fraction} {execution.progress_message}"
    return f"{crc32(told.encode()):x}"
