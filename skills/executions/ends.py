"""Records runs that ended at about the same time in one statement, for executions nobody waits for.

Those are the rows of batches: to record one by itself costs the worker, the database and the broker
about as much as to record several. Each is recorded with its event and its log, or not at all; the
lease of each is kept until it is. What does not fit, and what is refused, is recorded by itself
(recording.py), with all that follows from there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core import audit, statements, wake
from execfabric.core.actions import action, write_each_recorded
from execfabric.core.actor import Actor, current_schema
from execfabric.core.connections import drop_dead_connections
from execfabric.core.models import AuditEvent, Outcome
from execfabric.core.request_context import request_id_scope
from execfabric.core.roles import SYSTEM
from executors.contract import ExecutionResult

from . import hooks, outcomes, queue
from .gathering import Gathering
from .models import Execution, LogChunk
from .news import UnstoredNews
from .recording import record_result
from .states import Status

logger = structlog.get_logger(__name__)

GATHERED_S = 0.03
"""What ends within this time is recorded together, as long as there is more to run; so much more is
lost with a worker's death."""
MOST_WAITING = 64
"""More wait only where recording them hangs; then each slot records its own again."""
MOST_TOGETHER = 16
"""Each may have a result of a megabyte, and all are in one statement."""
FINISH = "executions.execution.finish"


@dataclass(frozen=True, slots=True)
class End:
    """How one run ended that this worker holds."""

    execution: Execution
    result: ExecutionResult
    news: UnstoredNews
    at: datetime
    let_go: Callable[[], None]
    """Called when it is recorded: its lease need not be kept any more."""


@action(
    "executions.execution.finish_several",
    title="Finish several executions together",
    roles=SYSTEM,
    in_one_statement=True,
)
def finish_executions(*, actor: Actor, ends: Sequence[End]) -> set[UUID]:
    """Record ends, all or none, but for those whose lease is stale; return whose were recorded.

    Each leaves an event of its own, as one that is finished by itself does.
    """
    rows = write_each_recorded(
        _FINISH_EACH,
        [json.dumps([_values_of(end) for end in ends], default=str)],
        events=[_event_of(actor, end) for end in ends],
        along=(_LOG, [json.dumps([_log_of(end) for end in ends if end.news.log], default=str)]),
    )
    finished = {pk for (pk,) in rows}
    told = defaultdict(list)
    for end in ends:
        if end.execution.pk in finished:
            told[end.execution.door].append(end.execution.pk)
    wake.announce_all(
        (end.execution.topic, end.result.outcome.value)
        for end in ends
        if end.execution.pk in finished
    )
    for door, executions in told.items():
        hooks.tell_finished(door, executions)
    return finished


def _values_of(end: End) -> dict[str, Any]:
    return {
        "id": end.execution.pk,
        "lease_token": end.execution.lease_token,
        "status": end.result.outcome.value,
        **outcomes.fields_of(end.result),
        "finished_at": end.at,
        **end.news.progress_fields(),
    }


def _log_of(end: End) -> dict[str, Any]:
    (chunk,) = end.news.log
    return {
        "execution_id": end.execution.pk,
        "seq": chunk.seq,
        "stream": chunk.stream,
        "text": chunk.text,
        "at": chunk.at,
    }


def _event_of(actor: Actor, end: End) -> AuditEvent:
    given = {"execution": end.execution, "result": end.result, "artifacts": [], "news": end.news}
    event = audit.event_of(
        FINISH, actor=actor, outcome=Outcome.DONE, target=end.execution, inputs=given
    )
    event.request_id = end.execution.request_id
    return event


_TAKEN_OVER = (
    *("status", "stop_reason", "exit_code", "output", "summary", "error", "skipped_artifacts"),
    *("log_bytes_dropped", "wall_s", "cpu_s", "peak_memory_bytes", "finished_at"),
)
_KEPT_IF_SILENT = ("progress_fraction", "progress_message")
_FINISH_EACH = f"""
    UPDATE {Execution._meta.db_table} AS run
    SET lease_token = NULL, lease_expires_at = NULL,
        {", ".join(f"{name} = given.{name}" for name in _TAKEN_OVER)},
        {", ".join(f"{name} = coalesce(given.{name}, run.{name})" for name in _KEPT_IF_SILENT)}
    FROM {statements.rows_given(Execution, ("id", "lease_token", *_TAKEN_OVER, *_KEPT_IF_SILENT))}
    WHERE run.id = given.id AND run.lease_token = given.lease_token
        AND run.status = '{Status.RUNNING}'
    RETURNING run.id
"""  # noqa: S608 - names of our own columns
_LOG = f"""
    INSERT INTO {LogChunk._meta.db_table} (execution_id, seq, stream, text, at)
    SELECT given.execution_id, given.seq, given.stream, given.text, given.at
    FROM {statements.rows_given(LogChunk, ("execution_id", "seq", "stream", "text", "at"))}
    JOIN act ON act.id = given.execution_id
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of our own columns


class Recorder(Gathering[str, End]):
    """Records ends in a thread of its own, those of a schema together, while it is started."""

    failed = "executions.end_not_recorded"
    """As with a slot that could not: they end as lost."""

    def __init__(self) -> None:
        super().__init__("recorder", gathered_s=GATHERED_S, expects_more=queue.has_more)

    def start(self) -> None:
        global _recorder
        super().start()
        _recorder = self

    def stop(self, timeout_s: float) -> None:
        """Record what is left; from then on each end is recorded by whoever brought it about."""
        global _recorder
        _recorder = None
        super().stop(timeout_s)

    def add(self, end: End) -> bool:
        """Keep end to be recorded; return whether it will be."""
        return self.waiting < MOST_WAITING and self.take(current_schema(), [end])

    def do(self, kind: str, items: Sequence[End]) -> None:
        try:
            with schema_context(kind):
                _record(items)
        finally:
            for end in items:
                end.let_go()


def _record(ends: Sequence[End]) -> None:
    for first in range(0, len(ends), MOST_TOGETHER):
        _record_together(ends[first : first + MOST_TOGETHER])


def _record_together(ends: Sequence[End]) -> None:
    actor = Actor.system("worker")
    finished: set[UUID] = set()
    if len(ends) > 1:
        try:
            finished = finish_executions(actor=actor, ends=ends)
        except Exception:  # One of them, or the database: each by itself it becomes clear.
            logger.warning("executions.recorded_apart", ended=len(ends), exc_info=True)
            drop_dead_connections()
    for end in ends:
        if end.execution.pk not in finished:
            _record_alone(actor, end)


def _record_alone(actor: Actor, end: End) -> None:
    """Record one as its slot would, under the id of its request. What fails keeps no other."""
    with request_id_scope(end.execution.request_id):
        try:
            record_result(actor, end.execution, end.result, end.news)
        except Exception:  # As with a slot that could not: it ends as lost.
            logger.exception("executions.end_not_recorded", execution=str(end.execution.pk))
            drop_dead_connections()


_recorder: Recorder | None = None


def hand_over(
    execution: Execution, result: ExecutionResult, news: UnstoredNews, let_go: Callable[[], None]
) -> bool:
    """Leave it to the recorder to store how a run ended; False where whoever asks has to.

    let_go is called when that is done. Where it is left, its lease must be kept until then.
    """
    recorder = _recorder  # Another thread may take it away.
    is_fit = (
        hooks.has_owner(execution.door)
        and not execution.is_limited
        and not result.artifacts
        and len(news.log) <= 1
    )
    if recorder is None or not is_fit:
        return False
    return recorder.add(End(execution, result, news, timezone.now(), let_go))
