"""What the platform does with running batches: hand over rows, count those that end, finish."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from execfabric.core import audit, statements
from execfabric.core.actions import action
from execfabric.core.actor import Actor, Door, current_schema
from execfabric.core.errors import Conflict, NotPermitted
from execfabric.core.ids import uuid7
from execfabric.core.models import Outcome
from execfabric.core.permissions import can
from execfabric.core.roles import SYSTEM
from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.selectors import reason_version_withdrawn
from skills.executions import policy
from skills.executions.approvals.lifecycle import let_all_run
from skills.executions.approvals.rules import rules_in_force
from skills.executions.files import hold_files
from skills.executions.inputs import digest_of, input_file_ids
from skills.executions.models import Execution, InputUse
from skills.executions.states import FINAL as FINAL_EXECUTION
from skills.executions.states import Status
from tenants.accounts.actors import actor_for_account

from . import approving, dispatch, undecided
from .approving import SAID, approvals_standing, check_cleared, is_approved_no_more, unused_right
from .models import Batch, BatchApproval, BatchRow
from .moves import locked, move_batch
from .states import BatchStatus, RowStatus

logger = structlog.get_logger(__name__)

ROWS_PER_SCAN = 1000
FILE_EXPIRED = "was given a file that has expired; upload it again"
NOT_ANY_MORE = "Who asked for this batch may not run the skill any more, or it was disabled."


def insert_once(batch: Batch) -> Batch | None:
    """Insert batch; return the one that was asked for with the same key before, if any."""
    if batch.idempotency_key is None:
        batch.save(force_insert=True)
        return None
    same = Batch.objects.filter(
        requested_by_id=batch.requested_by_id, idempotency_key=batch.idempotency_key
    )
    earlier = same.first()
    if earlier is None:
        try:
            with transaction.atomic():
                batch.save(force_insert=True)
        except IntegrityError:
            # Another request with the same key was first.
            earlier = same.get()
        else:
            return None
    asked = (earlier.skill_id, earlier.asked_digest or batch.asked_digest)
    if asked != (batch.skill_id, batch.asked_digest):
        raise Conflict("This idempotency key was used for another request. Choose a new one.")
    return earlier


def go_on(batch_id: UUID) -> None:
    """Do what a batch needs next, if anything: hand over rows, or say that it is over."""
    system = Actor.system("batch")
    with transaction.atomic():
        batch = locked(batch_id)
        running = batch.status == BatchStatus.RUNNING
        idle = not batch.sent_rows
        if running and (dispatch.wants_more(batch) or (idle and batch.waiting_rows)):
            if not (why := _why_held(batch)):
                batch = release_rows(actor=system, batch=batch, released_at=timezone.now())
                while batch.waiting_rows and not batch.sent_rows:  # Their files have expired.
                    batch = release_rows(actor=system, batch=batch, released_at=timezone.now())
            else:
                hold_batch(actor=system, batch=batch, reason=why)
        # Where the files of all rows left have expired, nothing was sent.
        if not batch.sent_rows and _has_ended(batch):
            finish_batch(actor=system, batch=batch, finished_at=timezone.now())


def record_approval(actor: Actor, batch: Batch) -> BatchApproval:
    """Store actor's approval. Raises Conflict where it, or the right behind it, was used before."""
    now = timezone.now()
    authority = unused_right(actor, batch, now=now)
    try:
        with transaction.atomic():
            return BatchApproval.objects.create(
                batch=batch,
                asked_at=batch.asked_at,
                requester_id=batch.requested_by_id,
                account_id=actor.require_account(),
                authority_id=authority,
                door=actor.door,
                at=now,
            )
    except IntegrityError:
        raise Conflict(SAID) from None


@action("batches.batch.release", title="Hand over rows of a batch", roles=SYSTEM, target="batch")
def release_rows(*, actor: Actor, batch: Batch, released_at: datetime) -> Batch:
    """Turn the next waiting rows into queued executions, as many as the window has room for.

    batch is locked. Raises NotPermitted unless those whom the skill demands let the batch go on.
    """
    rules = rules_in_force()
    decision = policy.decide(batch.version, rules)
    check_cleared(batch, decision, now=released_at)
    batch.window_rows = dispatch.next_window(batch, released_at)
    room = max(batch.window_rows - batch.sent_rows, 1)
    waiting = [
        _Handed(*values)
        for values in batch.rows.filter(status=RowStatus.WAITING)
        .order_by("number")
        .values_list("pk", "inputs", "execution_id")[:room]
    ]
    files = {row.pk: input_file_ids(batch.version, row.inputs) for row in waiting}
    there = hold_files(set().union(*files.values())) if any(files.values()) else set()
    rows = [row for row in waiting if files[row.pk] <= there]
    lost = [row for row in waiting if not files[row.pk] <= there]
    alike = _execution_of(batch, released_at, mode=decision.mode, policy_version=rules.version)
    if rows:
        _hand_over(batch, rows, alike)
    if decision.mode != policy.Mode.AUTO:
        let_all_run(
            [_made_of(alike, row) for row in rows],
            confirmed_by=batch.confirmed_by_id,
            approved_by=approvals_standing(batch, now=released_at),
            said_at=released_at,
        )
    InputUse.objects.bulk_create(
        InputUse(execution_id=row.execution_id, file_id=one)
        for row in rows
        for one in sorted(files[row.pk])
    )
    if lost:
        gone = batch.rows.filter(pk__in=[row.pk for row in lost])
        gone.update(status=RowStatus.INVALID, errors={"row": FILE_EXPIRED})
    batch.waiting_rows -= len(waiting)
    batch.invalid_rows += len(lost)
    batch.sent_rows += len(rows)
    batch.released_at = released_at
    batch.over_at_release = batch.over_rows
    batch.save(
        update_fields=[
            *("window_rows", "waiting_rows", "sent_rows", "invalid_rows"),
            *("released_at", "over_at_release"),
        ]
    )
    dispatch.send_chunk(batch.version, [row.execution_id for row in rows])
    return batch


@action("batches.batch.hold", title="Hold a batch", roles=SYSTEM, target="batch")
def hold_batch(*, actor: Actor, batch: Batch, reason: str) -> Batch:
    """Pause a batch that may not go on as it is; the reason is shown on its page."""
    return move_batch(batch, to=BatchStatus.PAUSED, held_because=reason)


@action("batches.batch.finish", title="Finish a batch", roles=SYSTEM, target="batch")
def finish_batch(*, actor: Actor, batch: Batch, finished_at: datetime) -> Batch:
    """Say that no row of a batch will run any more. batch is locked."""
    stopped = batch.status == BatchStatus.CANCELLING
    to = BatchStatus.CANCELLED if stopped else BatchStatus.FINISHED
    return move_batch(batch, to=to, finished_at=finished_at)


class _Ended:
    """Executions of one schema that ended and are not counted yet, in this process."""

    def __init__(self) -> None:
        self.waiting: deque[UUID] = deque()
        self.lock = threading.Lock()

    def take(self) -> list[UUID]:
        return [self.waiting.popleft() for _ in range(len(self.waiting))]


_ended: defaultdict[str, _Ended] = defaultdict(_Ended)


def rows_ended(executions: Sequence[UUID]) -> None:
    """Count rows whose executions ended, and see their batches on. Harmless a second time.

    Threads that end runs at the same time do not wait for each other: one counts for all.
    """
    ended = _ended[current_schema()]
    ended.waiting.extend(executions)
    # Who finds the lock taken may go: its holder looks again after it has let go.
    while ended.waiting and ended.lock.acquire(blocking=False):
        try:
            for batch in count_ended(ended.take()):
                if dispatch.wants_more(batch) or not batch.sent_rows:
                    go_on(batch.pk)
        finally:
            ended.lock.release()


def count_ended(executions: Sequence[UUID]) -> list[Batch]:
    """Move the counters of the rows that ended, in one statement; return the batches it touched."""
    failures = [RowStatus.FAILED, RowStatus.TIMED_OUT, RowStatus.LOST]
    told = [RowStatus.SUCCEEDED, *failures]
    values = [list(executions), told, list(executions), sorted(FINAL_EXECUTION), failures]
    found = statements.send(_COUNT_ENDED, values)
    return [
        Batch(pk=pk, waiting_rows=waiting, sent_rows=sent, window_rows=window)
        for pk, waiting, sent, window in found
    ]


# The lock on the batch comes before the writes to its rows, as everywhere.
_COUNT_ENDED = f"""
    WITH held AS MATERIALIZED (
        SELECT id FROM {Batch._meta.db_table} WHERE id IN (
            SELECT batch_id FROM {BatchRow._meta.db_table} WHERE execution_id = ANY(%s::uuid[])
        ) ORDER BY id FOR UPDATE
    ), ended AS (
        UPDATE {BatchRow._meta.db_table} AS line SET status =
            CASE WHEN run.status = ANY(%s::text[]) THEN run.status ELSE '{RowStatus.CANCELLED}' END
        FROM held, {Execution._meta.db_table} AS run
        WHERE line.batch_id = held.id AND line.execution_id = run.id
            AND line.execution_id = ANY(%s::uuid[]) AND line.status = '{RowStatus.SENT}'
            AND run.status = ANY(%s::text[])
        RETURNING line.batch_id, line.status
    ), counted AS (
        SELECT batch_id, count(*) AS rows,
            count(*) FILTER (WHERE status = '{RowStatus.SUCCEEDED}') AS succeeded,
            count(*) FILTER (WHERE status = ANY(%s::text[])) AS failed,
            count(*) FILTER (WHERE status = '{RowStatus.CANCELLED}') AS cancelled
        FROM ended GROUP BY batch_id
    )
    UPDATE {Batch._meta.db_table} AS batch SET
        sent_rows = batch.sent_rows - counted.rows,
        succeeded_rows = batch.succeeded_rows + counted.succeeded,
        failed_rows = batch.failed_rows + counted.failed,
        cancelled_rows = batch.cancelled_rows + counted.cancelled
    FROM counted WHERE batch.id = counted.batch_id
    RETURNING batch.id, batch.waiting_rows, batch.sent_rows, batch.window_rows
"""  # noqa: S608 - our own names and words


def scan_batches(now: datetime, is_open: bool) -> None:
    """In the current schema: expire what nobody decided about; make up for what was not counted.

    A batch that fails is logged and keeps no other from its turn. Rows of a tenant that is not open
    stay where they are.
    """
    undecided.end_undecided(now)
    if not is_open:
        return
    going = {BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.CANCELLING}
    for batch in Batch.objects.filter(status__in=going):
        try:
            uncounted = batch.rows.filter(
                status=RowStatus.SENT, execution__status__in=sorted(FINAL_EXECUTION)
            )
            count_ended(list(uncounted.values_list("execution_id", flat=True)[:ROWS_PER_SCAN]))
            go_on(batch.pk)
        except Exception:  # The scan is the one that helps all the others.
            logger.exception("scan.batch_failed", batch=str(batch.pk))


def _has_ended(batch: Batch) -> bool:
    if batch.status == BatchStatus.CANCELLING:
        return True
    return not batch.waiting_rows and batch.status in {BatchStatus.RUNNING, BatchStatus.PAUSED}


def _why_held(batch: Batch) -> str:
    """Return why no more rows may be handed over, or an empty string.

    Raises NotPermitted where it got past those the skill itself demands, which no service does.
    """
    if reason := reason_version_withdrawn(batch.version_id):
        return VersionWithdrawn(reason).message
    requester = actor_for_account(batch.requested_by, door=Door.BATCH)
    if not can(requester, "executions.execution.request", batch.skill):
        return NOT_ANY_MORE
    now, minimum = timezone.now(), policy.decide(batch.version, policy.Rules())
    if is_approved_no_more(batch, minimum, now=now):
        return approving.NOT_ANY_MORE
    check_cleared(batch, minimum, now=now)
    try:
        check_cleared(batch, policy.decide(batch.version, rules_in_force()), now=now)
    except NotPermitted as refusal:
        return refusal.message  # The rules have become stricter on the way.
    return ""


@dataclass(slots=True)
class _Handed:
    """A row that becomes an execution."""

    pk: int
    inputs: dict[str, Any]
    before: UUID | None
    """The execution it became earlier, of which this is a retry."""
    execution_id: UUID = field(default_factory=uuid7)
    event_id: UUID = field(default_factory=uuid7)


def _execution_of(batch: Batch, at: datetime, **decided: str) -> Execution:
    """Return what the executions of all rows have in common, as one that is not stored."""
    return Execution(
        skill=batch.skill,
        version=batch.version,
        requested_by=batch.requested_by,
        door=Door.BATCH,
        request_id=batch.request_id,
        status=Status.QUEUED,
        confirmed_by_id=batch.confirmed_by_id,
        approved_by_id=batch.approved_by_id,
        **decided,
        created_at=at,
        sent_at=at,
    )


def _made_of(alike: Execution, row: _Handed) -> Execution:
    """Return the execution that a row became, as far as those who let it run ask for it."""
    made = copy(alike)
    made.pk, made.inputs = row.execution_id, row.inputs
    return made


def _hand_over(batch: Batch, rows: Sequence[_Handed], alike: Execution) -> None:
    """Store the execution that each row becomes, and its event, in one statement.

    What they have in common goes once, and inputs do not go at all: they lie in the database.
    """
    event = audit.event_of(
        "executions.execution.request",
        actor=actor_for_account(batch.requested_by, door=Door.BATCH),
        outcome=Outcome.DONE,
        target=alike,
        inputs={"batch": batch},
        is_labelled=False,
    )
    stored, stored_values = statements.insert_of(alike, source="given", taken=_OF_EXECUTION)
    recorded, recorded_values = statements.insert_of(event, source="given", taken=_OF_EVENT)
    given = [
        str(batch.skill),
        [row.pk for row in rows],
        [row.execution_id for row in rows],
        [row.event_id for row in rows],
        [digest_of(row.inputs) for row in rows],
    ]
    statements.send(
        f"WITH given AS ({_GIVEN}), stored AS ({stored}), recorded AS ({recorded}) {_LINK}",
        [*given, *stored_values, *recorded_values],
    )


_GIVEN = f"""
    SELECT made.*, line.inputs, line.execution_id AS before,
        left(%s::text || ' ' || made.execution_id, {audit.LONGEST_TEXT}) AS label
    FROM unnest(%s::bigint[], %s::uuid[], %s::uuid[], %s::text[])
        AS made (row_id, execution_id, event_id, digest)
    JOIN {BatchRow._meta.db_table} AS line ON line.id = made.row_id
"""  # noqa: S608 - name of our own table
_OF_EXECUTION = {
    "id": "execution_id",
    "inputs": "inputs",
    "inputs_digest": "digest",
    "retry_of_id": "before",
}
_OF_EVENT = {"id": "event_id", "target_id": "execution_id", "target_label": "label"}
_LINK = f"""
    UPDATE {BatchRow._meta.db_table} AS line
    SET status = '{RowStatus.SENT}', execution_id = given.execution_id
    FROM given WHERE line.id = given.row_id
"""  # noqa: S608 - names of our own tables and words
