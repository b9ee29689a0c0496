"""What workers and scans do with executions: claim, keep, finish, lose, expire."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, Func
from django.utils import timezone

from execfabric.core import statements, wake
from execfabric.core.actions import action, write_recorded
from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict, InvalidTransition, Postponed
from execfabric.core.roles import SYSTEM
from execfabric.core.states import require_move
from executors.contract import ExecutionResult
from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.models import Skill, Withdrawal
from skills.catalogue.selectors import known_version
from tenants.registry.models import OPEN_STATUSES

from . import hooks, limits, outcomes, retries
from .approvals.lifecycle import clear_to_start
from .approvals.rules import POLICY_IN_FORCE
from .approvals.standing import NotCleared
from .models import Artifact, Execution, LogChunk
from .moves import move_execution
from .news import NO_NEWS, UnstoredNews
from .policy import LONGEST_WAIT_H, Mode
from .states import EXECUTION_TRANSITIONS, Status

logger = structlog.get_logger(__name__)

LEASE = timedelta(seconds=settings.LEASE_S)
"""By the database's clock, so that it does not matter what workers and scans believe."""
RENEW_EVERY = LEASE / 6
LONGEST_LEASE = LEASE + timedelta(minutes=10)
"""A lease that ends later was written before the clock was set back."""
DATABASE_CLOCK = Func(function="clock_timestamp", output_field=DateTimeField())
CONFIRM_WITHIN = timedelta(hours=LONGEST_WAIT_H)
HOST = socket.gethostname()[:100]
LOG = "log"
PROGRESS = "progress"
CANCEL = "cancel"
"""What is announced of an execution beside its new status."""
GIVEN_UP = "This run was given up or taken over; nothing more of it is recorded."


class StaleLease(Conflict):
    """Another worker holds this run, or it is over; what this one did is not recorded."""

    code = "stale_lease"


class TenantClosed(Conflict):
    """The tenant takes no work now; its executions stay queued."""

    code = "tenant_closed"


@action(
    "executions.execution.claim",
    title="Claim an execution",
    roles=SYSTEM,
    in_one_statement=True,
)
def claim_execution(
    *,
    actor: Actor,
    execution_id: UUID,
    limits_are_kept: bool = False,
    cleared_under: str | None = None,
) -> Execution:
    """Take a queued execution for this worker; return it with its version.

    limits_are_kept: whether the caller has seen to the concurrency limits. cleared_under: the
    policy version under which the caller has found that it may start; without one, only what was
    asked for under the rules in force, and needs nobody's word, is taken. Waking who looks at it is
    for the caller: a short run is over before anybody has seen it start. Raises Postponed where
    somebody must see to one of the two first, InvalidTransition when the execution is not queued,
    TenantClosed when its tenant is suspended or closed, VersionWithdrawn.
    """
    changes = [Status.RUNNING, uuid4(), LEASE, HOST, timezone.now()]
    opened = [current_schema(), sorted(OPEN_STATUSES)]
    cleared = [cleared_under, Mode.AUTO, cleared_under]
    rows = write_recorded(
        _CLAIM,
        [*changes, execution_id, Status.QUEUED, *opened, limits_are_kept, *cleared],
        about=statements.stored_row(Execution, ["id"], [execution_id]),
        taken={"target_label": "label", "request_id": "request_id"},
    )
    if not rows:
        raise _why_not_claimed(execution_id)
    *values, skill, _ = rows[0]
    execution = statements.stored_row(Execution, _FIELDS, values)
    execution.skill = statements.stored_row(Skill, ["id", "name"], [execution.skill_id, skill])
    execution.version = known_version(execution.version_id)
    execution.is_limited = limits_are_kept
    return execution


_FIELDS = [field.attname for field in Execution._meta.concrete_fields]
_CLAIM = f"""
    UPDATE executions_execution execution
    SET status = %s, lease_token = %s, lease_expires_at = clock_timestamp() + %s, worker = %s,
        started_at = %s
    FROM registry_tenant tenant, catalogue_skillversion version, catalogue_skill skill
    WHERE execution.id = %s AND execution.status = %s
        AND version.id = execution.version_id AND skill.id = execution.skill_id
        AND tenant.schema_name = %s AND tenant.status = ANY(%s)
        AND (%s OR tenant.concurrency IS NULL AND version.concurrency IS NULL)
        AND skill.is_enabled AND (%s::text IS NOT NULL OR execution.mode = %s)
        AND coalesce(%s::text, execution.policy_version) = {POLICY_IN_FORCE}
        AND NOT EXISTS (
            SELECT 1 FROM catalogue_withdrawal gone WHERE gone.version_id = execution.version_id
        )
    RETURNING {", ".join(f"execution.{name}" for name in _FIELDS)},
        skill.name, left(skill.name || ' ' || execution.id, 200) AS label
"""  # noqa: S608 - names of our own columns


def _why_not_claimed(execution_id: UUID) -> Conflict | Postponed:
    if not limits.tenant_is_open():
        return TenantClosed("This tenant takes no work now. The execution stays queued.")
    withdrawal = Withdrawal.objects.filter(version__executions=execution_id).first()
    queued = Execution.objects.filter(pk=execution_id, status=Status.QUEUED).exists()
    if queued and withdrawal is not None:
        return VersionWithdrawn(withdrawal.reason)
    if queued:
        return Postponed("Its limits, or what lets it run, have to be looked at first.")
    return InvalidTransition("This execution is not queued any more; another worker has it.")


def claim_in_turn(actor: Actor, execution_id: UUID) -> Execution | None:
    """Claim an execution that limits apply to, or that may not start just so.

    Returns None if it has to wait: for another run, whose end sends it again, or because the rules
    changed at this moment. What may not start ends here, with the reason. Raises as claim_execution
    does, and NotCleared.
    """
    now = timezone.now()
    try:
        try:
            return _claimed_in_turn(actor, execution_id, now)
        except NotCleared:
            raise
        except Conflict:
            # The record of this refusal was undone with the rest. Asked again, outside of that
            # transaction, it is refused for the same reason, and that stays.
            return claim_execution(actor=actor, execution_id=execution_id)
    except Postponed:
        return None
    except NotCleared as refusal:
        refuse_execution(
            actor=actor,
            execution=Execution.objects.get(pk=execution_id),
            to=refusal.ends_as,
            reason=refusal.message,
            refused_at=now,
        )
        raise


def _claimed_in_turn(actor: Actor, execution_id: UUID, now: datetime) -> Execution | None:
    with transaction.atomic():
        is_limited = limits.apply_to(execution_id)
        if is_limited:
            limits.lock()
            if limits.hold_if_reached(execution_id):
                return None
        version = clear_to_start(execution_id, now=now)
        return claim_execution(
            actor=actor,
            execution_id=execution_id,
            limits_are_kept=is_limited,
            cleared_under=version,
        )


@action(
    "executions.execution.refuse",
    title="Refuse to start an execution",
    roles=SYSTEM,
    target="execution",
)
def refuse_execution(
    *, actor: Actor, execution: Execution, to: Status, reason: str, refused_at: datetime
) -> Execution:
    """End an execution that is queued, or waits, and may not start. Raises InvalidTransition."""
    return move_execution(
        execution, to=to, summary=f"Not started: {reason}"[:500], finished_at=refused_at
    )


def renew_lease(execution: Execution) -> bool:
    """Keep the run for this worker; return whether it should go on (False: cancel it).

    May be called often: it writes once in RENEW_EVERY. A heartbeat, not an act: no audit event.
    Raises StaleLease.
    """
    held = Execution.objects.filter(
        pk=execution.pk, status=Status.RUNNING, lease_token=execution.lease_token
    )
    found = held.values_list("lease_expires_at", "cancel_requested_at", DATABASE_CLOCK).first()
    if found is None:
        raise StaleLease(GIVEN_UP)
    expires_at, cancel_requested_at, now = found
    # Else a clock that was set back would keep the run of a dead worker for as long.
    is_fresh = now + LEASE - RENEW_EVERY < expires_at <= now + LEASE
    if not is_fresh and not held.update(lease_expires_at=DATABASE_CLOCK + LEASE):
        raise StaleLease(GIVEN_UP)  # Between look and write.
    return cancel_requested_at is None


def append_log(execution: Execution, *, seq: int, stream: str, text: str) -> None:
    """Store one piece of log, numbered by the worker that holds the run.

    The same again changes nothing. Raises StaleLease, so that nothing is added to a run that is
    over. Waking readers is for the caller, who may have more.
    """
    values = [seq, stream, text, timezone.now(), execution.pk, execution.lease_token]
    if not statements.send(_INSERT_LOG, values):
        raise StaleLease(GIVEN_UP)


# One statement, so that the check costs no second way to the database. The lock makes it wait for
# a transaction that ends the run at this moment, and then see its outcome.
_INSERT_LOG = f"""
    INSERT INTO {LogChunk._meta.db_table} (seq, stream, text, at, execution_id)
    SELECT %s::integer, %s::text, %s::text, %s::timestamptz, id FROM {Execution._meta.db_table}
    WHERE id = %s AND lease_token = %s FOR SHARE
    ON CONFLICT (execution_id, seq) DO UPDATE SET seq = excluded.seq RETURNING id
"""  # noqa: S608 - names of our own tables

_INSERT_REST = f"""
    INSERT INTO {LogChunk._meta.db_table} (seq, stream, text, at, execution_id)
    SELECT %s::integer, %s::text, %s::text, %s::timestamptz, act.id
    FROM {{source}} ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of our own tables
_WITH_END = _INSERT_REST.format(source="act")
_AFTER_END = _INSERT_REST.format(source="(SELECT %s::uuid AS id) act")
"""A piece whose storing was never answered may be there."""


def note_progress(execution: Execution, *, fraction: float, message: str) -> None:
    """Store the newest progress of the run; waking readers is for the caller. Raises StaleLease."""
    held = Execution.objects.filter(
        pk=execution.pk, status=Status.RUNNING, lease_token=execution.lease_token
    )
    if not held.update(progress_fraction=fraction, progress_message=message[:200]):
        raise StaleLease(GIVEN_UP)


@action(
    "executions.execution.finish",
    title="Finish an execution",
    roles=SYSTEM,
    target="execution",
    in_one_statement=True,
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
    outcome = Status(result.outcome.value)
    if execution.lease_token is None or execution.status != Status.RUNNING:
        raise StaleLease(GIVEN_UP)
    require_move(execution, outcome, EXECUTION_TRANSITIONS)
    # The one piece of a short log goes along in the statement that ends the run.
    with transaction.atomic() if artifacts or news.log[1:] else contextlib.nullcontext():
        changes = _end(execution, outcome, result, news)
        for chunk in news.log[1:]:
            statements.send(_AFTER_END, [*_values_of(chunk), chunk.execution_id])
        Artifact.objects.bulk_create(artifacts)
    for name, value in changes.items():  # Only now: what was undone can be tried again.
        setattr(execution, name, value)
    wake.announce(execution.topic, execution.status)
    hooks.tell_finished(execution.door, [execution.pk])
    if execution.is_limited:
        limits.let_next_go(execution)
    return execution


def _values_of(chunk: LogChunk) -> list[Any]:
    return [chunk.seq, chunk.stream, chunk.text, chunk.at]


def _end(
    execution: Execution, outcome: Status, result: ExecutionResult, news: UnstoredNews
) -> dict[str, Any]:
    """Write how a held run ended; return what has changed. Raises StaleLease."""
    changes = {
        "status": outcome,
        **outcomes.fields_of(result),
        "lease_token": None,
        "lease_expires_at": None,
        "finished_at": timezone.now(),
        **news.progress_fields(),
    }
    held = {"id": execution.pk, "lease_token": execution.lease_token, "status": Status.RUNNING}
    update, values = statements.update_of(Execution, changes, where=held)
    along = (_WITH_END, _values_of(news.log[0])) if news.log else ("", [])
    rows = write_recorded(f"{update} RETURNING id", values, about=execution, along=along)
    if not rows:
        raise StaleLease(GIVEN_UP)
    return changes


@action("executions.execution.lose", title="Give up a lost run", roles=SYSTEM, target="execution")
def lose_execution(*, actor: Actor, execution: Execution, found_at: datetime) -> Execution:
    """End a run whose worker no longer renews its lease. Raises Conflict if it does after all.

    Where its skill says that it may run again, a new execution is queued in its place.
    """
    known = Execution.objects.select_for_update(of=("self",))
    fresh = known.select_related("skill", "version", "requested_by").get(pk=execution.pk)
    if not _is_late(fresh.lease_expires_at, found_at):
        raise Conflict("The worker of this run is alive.")
    error = "The worker that ran this stopped without reporting. It may have run in part."
    again = None
    if not (reason := retries.reason_against(fresh, now=found_at)):
        again = retries.repeat_execution(actor=actor, execution=fresh, lost_at=found_at)
        error += " It is started again."
    elif fresh.version.max_retries:
        error += f" It is not started again: {reason[0].lower()}{reason[1:]}"
    return move_execution(
        fresh,
        to=Status.LOST,
        error=error,
        summary="Lost: the worker stopped without reporting.",
        retried_as=again,
        lease_token=None,
        lease_expires_at=None,
        finished_at=found_at,
    )


def _is_late(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and not now < expires_at <= now + LONGEST_LEASE


@action(
    "executions.execution.recall",
    title="End a request whose version was withdrawn",
    roles=SYSTEM,
    target="execution",
)
def recall_execution(*, actor: Actor, execution: Execution, reason: str) -> Execution:
    """End what waits or is queued; what runs goes on. Raises InvalidTransition."""
    if execution.status == Status.RUNNING:
        raise InvalidTransition("This execution runs already, and goes on.")
    return move_execution(
        execution,
        to=Status.CANCELLED,
        error=f"The platform has withdrawn this version: {reason}",
        summary="Cancelled: its version was withdrawn.",
        finished_at=timezone.now(),
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
