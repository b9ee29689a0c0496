"""What workers and scans do with executions: claim, keep, finish, lose, expire."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.utils import timezone

from execfabric.core import wake
from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict
from execfabric.core.roles import SYSTEM
from executors.contract import ExecutionResult

from .models import Artifact, Execution, LogChunk
from .moves import move_execution, send_execution
from .states import WAITING, Status

LEASE = timedelta(seconds=30)
RESEND_AFTER = timedelta(minutes=5)
"""A queued run nobody claimed for this long is sent again; a second delivery does nothing."""
CONFIRM_WITHIN = timedelta(hours=24)


class StaleLease(Conflict):
    """Another worker holds this run, or it is over; what this one did is not recorded."""

    code = "stale_lease"


@action("executions.execution.claim", title="Claim an execution", roles=SYSTEM, target="execution")
def claim_execution(*, actor: Actor, execution: Execution) -> Execution:
    """Take a queued execution for this worker. Raises InvalidTransition when it is not queued."""
    now = timezone.now()
    return move_execution(
        execution,
        to=Status.RUNNING,
        lease_token=uuid4(),
        lease_expires_at=now + LEASE,
        worker=socket.gethostname()[:100],
        started_at=now,
    )


def renew_lease(execution: Execution) -> bool:
    """Keep the run for this worker; return whether it should go on (False: cancel it).

    A heartbeat, not an act: no audit event. Raises StaleLease.
    """
    held = Execution.objects.filter(pk=execution.pk, lease_token=execution.lease_token)
    if not held.update(lease_expires_at=timezone.now() + LEASE):
        raise StaleLease("This run was given up or taken over.")
    return not held.filter(cancel_requested_at__isnull=False).exists()


def append_log(execution: Execution, *, seq: int, stream: str, text: str) -> None:
    """Store one piece of log, numbered by the worker that holds the run, and wake readers."""
    LogChunk.objects.create(
        execution=execution, seq=seq, stream=stream, text=text, at=timezone.now()
    )
    wake.announce(execution.topic)


def note_progress(execution: Execution, *, fraction: float, message: str) -> None:
    """Store the newest progress of the run, and wake readers."""
    Execution.objects.filter(pk=execution.pk, lease_token=execution.lease_token).update(
        progress_fraction=fraction, progress_message=message[:200]
    )
    wake.announce(execution.topic)


@action(
    "executions.execution.finish", title="Finish an execution", roles=SYSTEM, target="execution"
)
def finish_execution(
    *,
    actor: Actor,
    execution: Execution,
    result: ExecutionResult,
    artifacts: Sequence[Artifact],
) -> Execution:
    """Record how the run ended, with its artifacts, all or nothing. Raises StaleLease."""
    fresh = Execution.objects.select_for_update().get(pk=execution.pk)
    if fresh.lease_token is None or fresh.lease_token != execution.lease_token:
        raise StaleLease("This run was given up or taken over; its result is not recorded.")
    Artifact.objects.bulk_create(artifacts)
    return move_execution(fresh, to=Status(result.outcome.value), **_fields_of(result))


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


def scan_executions(now: datetime) -> None:
    """In the current schema: end lost runs, expire old requests, send forgotten ones again."""
    scanner = Actor.system("scan")
    lost = Execution.objects.filter(status=Status.RUNNING, lease_expires_at__lt=now)
    for execution in lost:
        _unless_overtaken(lose_execution, scanner, execution, found_at=now)
    old = Execution.objects.filter(status__in=WAITING, created_at__lt=now - CONFIRM_WITHIN)
    for execution in old:
        _unless_overtaken(expire_execution, scanner, execution, expired_at=now)
    unclaimed = Execution.objects.filter(status=Status.QUEUED, sent_at__lt=now - RESEND_AFTER)
    for execution in unclaimed:
        send_execution(execution)


def _unless_overtaken(service: Any, actor: Actor, execution: Execution, **moment: datetime) -> None:
    # Its worker or a person was faster; the refusal is in the trail.
    with contextlib.suppress(Conflict):
        service(actor=actor, execution=execution, **moment)


def _fields_of(result: ExecutionResult) -> dict[str, Any]:
    usage = result.usage
    return {
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
