"""What workers and scans do with executions: claim, keep, finish, lose, expire."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import structlog
from django.db import connection
from django.db.models import Exists, Q
from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidTransition
from execfabric.core.roles import SYSTEM
from executors.contract import ExecutionResult
from tenants.registry.models import OPEN_STATUSES, Tenant

from .models import Artifact, Execution, LogChunk
from .moves import advance_execution, move_execution, send_execution
from .news import NO_NEWS, UnstoredNews
from .states import WAITING, Status

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
RENEW_EVERY = LEASE / 6
RESEND_AFTER = timedelta(minutes=5)
"""A queued run nobody claimed for this long is sent again; a second delivery does nothing."""
RESEND_ANYWAY_AFTER = timedelta(hours=1)
"""The same while messages wait in the queue: most likely its own is among them."""
CONFIRM_WITHIN = timedelta(hours=24)
HOST = socket.gethostname()[:100]
GIVEN_UP = "This run was given up or taken over; nothing more of it is recorded."


class StaleLease(Conflict):
    """Another worker holds this run, or it is over; what this one did is not recorded."""

    code = "stale_lease"


class TenantClosed(Conflict):
    """The tenant takes no work now; its executions stay queued."""

    code = "tenant_closed"


@action("executions.execution.claim", title="Claim an execution", roles=SYSTEM, target="execution")
def claim_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Take a queued execution for this worker.

    Raises InvalidTransition when it is not queued, TenantClosed when its tenant is suspended or
    closed.
    """
    # Not the tenant the task came with: a worker keeps that one for a while.
    open_tenant = Tenant.objects.filter(schema_name=current_schema(), status__in=OPEN_STATUSES)
    now = timezone.now()
    claimed = advance_execution(
        execution,
        to=Status.RUNNING,
        only_if=Q(Exists(open_tenant)),
        lease_token=uuid4(),
        lease_expires_at=now + LEASE,
        worker=HOST,
        started_at=now,
    )
    if claimed:
        return execution
    if not open_tenant.exists():
        raise TenantClosed("This tenant takes no work now. The execution stays queued.")
    raise InvalidTransition("This execution is not queued any more; another worker has it.")


def renew_lease(execution: Execution) -> bool:
    """Keep the run for this worker; return whether it should go on (False: cancel it).

    May be called often: it writes once in RENEW_EVERY. A heartbeat, not an act: no audit event.
    Raises StaleLease.
    """
    held = Execution.objects.filter(
        pk=execution.pk, status=Status.RUNNING, lease_token=execution.lease_token
    )
    now = timezone.now()
    found = held.values_list("lease_expires_at", "cancel_requested_at").first()
    if found is None:
        raise StaleLease(GIVEN_UP)
    expires_at, cancel_requested_at = found
    is_due = expires_at is None or expires_at <= now + LEASE - RENEW_EVERY
    if is_due and not held.update(lease_expires_at=now + LEASE):
        raise StaleLease(GIVEN_UP)  # Between look and write.
    return cancel_requested_at is None


def append_log(execution: Execution, *, seq: int, stream: str, text: str) -> None:
    """Store one piece of log, numbered by the worker that holds the run.

    The same again changes nothing. Raises StaleLease, so that nothing is added to a run that is
    over. Waking readers is for the caller, who may have more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT_LOG, [seq, stream, text, timezone.now(), execution.pk, execution.lease_token]
        )
        if not cursor.rowcount:
            raise StaleLease(GIVEN_UP)


# One statement, so that the check costs no second way to the database. The lock makes it wait for
# a transaction that ends the run at this moment, and then see its outcome.
_INSERT_LOG = f"""
    INSERT INTO {LogChunk._meta.db_table} (seq, stream, text, at, execution_id)
    SELECT %s, %s, %s, %s, id FROM {Execution._meta.db_table}
    WHERE id = %s AND lease_token = %s FOR SHARE
    ON CONFLICT (execution_id, seq) DO UPDATE SET seq = excluded.seq
"""  # noqa: S608 - names of our own tables


def _store_rest(log: Sequence[LogChunk]) -> None:
    rows: list[list[Any]] = [
        [one.seq, one.stream, one.text, one.at, one.execution_id] for one in log
    ]
    with connection.cursor() as cursor:
        for start in range(0, len(rows), 16):  # What is sent together is held in memory twice.
            cursor.executemany(_INSERT_REST, rows[start : start + 16])


# A piece whose storing was never answered may be there. Django would send all pieces as one array,
# whose making takes longer than storing it.
_INSERT_REST = f"""
    INSERT INTO {LogChunk._meta.db_table} (seq, stream, text, at, execution_id)
    VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of our own tables


def note_progress(execution: Execution, *, fraction: float, message: str) -> None:
    """Store the newest progress of the run; waking readers is for the caller. Raises StaleLease."""
    held = Execution.objects.filter(
        pk=execution.pk, status=Status.RUNNING, lease_token=execution.lease_token
    )
    if not held.update(progress_fraction=fraction, progress_message=message[:200]):
        raise StaleLease(GIVEN_UP)


@action(
    "executions.execution.finish", title="Finish an execution", roles=SYSTEM, target="execution"
)
def finish_execution(
    *,
    actor: Actor,
    execution: Execution,
    result: ExecutionResult,
    artifacts: Sequence[Artifact],
    news: UnstoredNews = NO_NEWS,
) -> Execution:
    """Record how the run ended, its artifacts and last news, all or nothing. Raises StaleLease."""
    held = Q(lease_token=execution.lease_token)
    outcome = Status(result.outcome.value)
    if execution.lease_token is None or execution.status != Status.RUNNING:
        raise StaleLease(GIVEN_UP)
    if not advance_execution(execution, to=outcome, only_if=held, **_fields_of(result, news)):
        raise StaleLease(GIVEN_UP)
    if artifacts:
        Artifact.objects.bulk_create(artifacts)
    if news.log:
        _store_rest(news.log)
    return execution


@action("executions.execution.lose", title="Give up a lost run", roles=SYSTEM, target="execution")
def lose_execution(*, actor: Actor, execution: Execution, found_at: datetime) -> Execution:
    """End a run whose worker no longer renews its lease. Raises Conflict if it does after all."""
    fresh = Execution.objects.select_for_update().get(pk=execution.pk)
    if fresh.lease_expires_at is None or fresh.lease_expires_at > found_at:
        raise Conflict("The worker of this run is alive.")
    return move_execution(
        fresh,
        to=Status.LOST,
        error="The worker that ran this stopped without reporting. It may have run in part.",
        summary="Lost: the worker stopped without reporting.",
        lease_token=None,
        lease_expires_at=None,
        finished_at=found_at,
    )


@action("executions.execution.expire", title="Expire a request", roles=SYSTEM, target="execution")
def expire_execution(*, actor: Actor, execution: Execution, expired_at: datetime) -> Execution:
    """End a request nobody confirmed or approved in time. Raises InvalidTransition."""
    return move_execution(
        execution,
        to=Status.EXPIRED,
        summary="Expired: nobody confirmed or approved it in time.",
        finished_at=expired_at,
    )


def scan_executions(now: datetime, *, resend_after: timedelta | None = RESEND_AFTER) -> None:
    """In the current schema: end lost runs, expire old requests, send forgotten ones again.

    Forgotten is what was sent longer than resend_after ago and is still queued; None sends nothing.
    A row that fails is logged and keeps no other from its turn.
    """
    scanner = Actor.system("scan")
    for execution in Execution.objects.filter(status=Status.RUNNING, lease_expires_at__lt=now):
        with _on_its_own(execution):
            lose_execution(actor=scanner, execution=execution, found_at=now)
    old = Execution.objects.filter(status__in=WAITING, created_at__lt=now - CONFIRM_WITHIN)
    for execution in old:
        with _on_its_own(execution):
            expire_execution(actor=scanner, execution=execution, expired_at=now)
    if resend_after is None:
        return
    for execution in Execution.objects.filter(status=Status.QUEUED, sent_at__lt=now - resend_after):
        with _on_its_own(execution):
            send_execution(execution)


@contextlib.contextmanager
def _on_its_own(execution: Execution) -> Iterator[None]:
    try:
        yield
    except Conflict:
        pass  # Its worker or a person was faster; the refusal is in the trail.
    except Exception:  # The scan is the one that helps all the others.
        logger.exception("scan.execution_failed", execution=str(execution.pk))


def _fields_of(result: ExecutionResult, news: UnstoredNews) -> dict[str, Any]:
    usage = result.usage
    fraction, message = news.progress or (None, "")
    progress = {"progress_fraction": fraction, "progress_message": message[:200]}
    return {
        **(progress if news.progress else {}),
        "stop_reason": result.stop_reason.value,
        "exit_code": result.exit_code,
        "output": result.output,
        "summary": result.summary,
        "error": result.error,
        "skipped_artifacts": result.skipped_artifacts,
        "log_bytes_dropped": result.log_bytes_dropped,
        "wall_s": usage.wall_s,
        "cpu_s": usage.cpu_s,
        "peak_memory_bytes": usage.peak_memory_bytes,
        "lease_token": None,
        "lease_expires_at": None,
        "finished_at": timezone.now(),
    }
