"""What the platform does with consents and grants; people's part is in services.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from execfabric.core.actor import Actor, current_schema
from execfabric.core.errors import Conflict
from execfabric.core.states import require_move
from skills.executions import policy
from skills.executions.models import Execution
from skills.executions.states import EXECUTION_TRANSITIONS, Status

from . import digests
from .models import Consent, ConsentKind, RunGrant
from .rules import rules_in_force
from .standing import grant_needed


def record_consent(
    execution: Execution, kind: ConsentKind, actor: Actor, *, authority: int | None = None
) -> Consent:
    """Store actor's word on execution. Raises Conflict when it was said before."""
    account = actor.require_account()
    try:
        with transaction.atomic():
            return Consent.objects.create(
                execution=execution,
                kind=kind,
                requester_id=execution.requested_by_id,
                account_id=account,
                authority_id=authority or account,
                door=actor.door,
                at=timezone.now(),
            )
    except IntegrityError:
        raise Conflict("You have approved this already.") from None


def issue_grant(execution: Execution, rules: policy.Rules) -> RunGrant:
    """Let execution start once, as it is now, for as long as the rules say."""
    grant = _grant_for(execution, rules)
    grant.save(force_insert=True)
    return grant


def let_all_run(
    executions: Sequence[Execution],
    *,
    confirmed_by: int | None,
    approved_by: Mapping[int, int],
    said_at: datetime,
) -> None:
    """Let stored executions start that the same people have let run together, as a batch.

    approved_by: by account, whose right it used. Each execution gets its own words and grant,
    checked like any other when it is claimed. Raises IntegrityError where the requester is among
    those who approved.
    """
    rules = rules_in_force()
    said = [(ConsentKind.APPROVE, *each) for each in sorted(approved_by.items())]
    if confirmed_by is not None:
        said.append((ConsentKind.CONFIRM, confirmed_by, confirmed_by))
    Consent.objects.bulk_create(
        Consent(
            execution=execution,
            kind=kind,
            requester_id=execution.requested_by_id,
            account_id=account,
            authority_id=authority,
            door=execution.door,
            at=said_at,
        )
        for execution in executions
        for kind, account, authority in said
    )
    versions = {one.version_id: one.version for one in executions}
    bundles = {pk: digests.version_digest(version) for pk, version in versions.items()}
    RunGrant.objects.bulk_create(
        _grant_for(one, rules, version_digest=bundles[one.version_id]) for one in executions
    )


def _grant_for(execution: Execution, rules: policy.Rules, *, version_digest: str = "") -> RunGrant:
    now = timezone.now()
    return RunGrant(
        execution=execution,
        tenant_schema=current_schema(),
        version_digest=version_digest or digests.version_digest(execution.version),
        inputs_digest=digests.inputs_digest(execution),
        requester_id=execution.requested_by_id,
        policy_version=rules.version,
        issued_at=now,
        expires_at=now + rules.expires_after,
    )


def clear_to_start(execution_id: UUID, *, now: datetime) -> str:
    """Use up what lets an execution start; return the policy version that was looked at.

    Inside the transaction that claims it. Raises NotCleared; InvalidTransition when it is not
    queued any more.
    """
    execution = (
        Execution.objects.select_for_update(of=["self"])
        .select_related("skill", "version__script_version", "requested_by")
        .get(pk=execution_id)
    )
    require_move(execution, Status.RUNNING, EXECUTION_TRANSITIONS)
    rules = rules_in_force()
    grant = grant_needed(execution, rules, now=now)
    if grant is not None:
        grant.used_at = now
        grant.save(update_fields=["used_at"])
    return rules.version
