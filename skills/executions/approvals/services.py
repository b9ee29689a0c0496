"""What people do about approvals beside giving them: rules, delegation; and the reminder."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.core.mail import send_mail
from django.db import transaction
from django.utils import timezone

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.permissions import can, target_rule
from execfabric.core.roles import EVERYONE, MANAGERS, SYSTEM
from skills.catalogue.models import Risk
from skills.executions.models import Execution
from skills.executions.policy import (
    LONGEST_WAIT_H,
    MOST_APPROVALS,
    PLATFORM_MINIMUM,
    Demand,
    digest_of_rules,
)
from tenants.accounts.models import Account, Group

from .models import ApprovalRules, Delegation
from .reminding import Reminder, reminder_of

LONGEST_DELEGATION = timedelta(days=90)


@action(
    "executions.rules.set", title="Set the rules for approvals", roles=MANAGERS, needs_proof=True
)
def set_rules(
    *,
    actor: Actor,
    demands: Mapping[str, Demand],
    expires_after_h: int = LONGEST_WAIT_H,
    remind_after_h: int = 4,
) -> ApprovalRules:
    """Put other rules in force for this tenant; at once, for what waits or is queued too.

    demands are by risk, all of them. Raises InvalidInput where one is below the platform's minimum
    or out of range.
    """
    fields = _wrong_demands(demands)
    if not 1 <= expires_after_h <= LONGEST_WAIT_H:
        fields["expires_after_h"] = f"Give 1 to {LONGEST_WAIT_H} hours."
    if not 1 <= remind_after_h <= LONGEST_WAIT_H:
        fields["remind_after_h"] = f"Give 1 to {LONGEST_WAIT_H} hours."
    if fields:
        raise InvalidInput("These rules are not possible.", fields=fields)
    stored = {risk: demand._asdict() for risk, demand in sorted(demands.items())}
    return ApprovalRules.objects.create(
        demands=stored,
        expires_after_h=expires_after_h,
        remind_after_h=remind_after_h,
        digest=digest_of_rules(stored, expires_after_h),
        set_by_id=actor.user_id,
        set_at=timezone.now(),
    )


def _wrong_demands(demands: Mapping[str, Demand]) -> dict[str, str]:
    fields = {}
    for risk in Risk.values:
        demand = demands.get(risk)
        if demand is None:
            fields[risk] = "Say what this risk needs."
        elif not 0 <= demand.approvals <= MOST_APPROVALS:
            fields[risk] = f"Ask for 0 to {MOST_APPROVALS} approvals."
        elif not demand.covers(PLATFORM_MINIMUM[risk]):
            fields[risk] = "The platform demands more than this; it can only be tightened."
    for unknown in demands.keys() - set(Risk.values):
        fields[str(unknown)[:40]] = "There is no such risk."
    return fields


@action("executions.delegation.create", title="Delegate approvals", roles=EVERYONE)
def delegate(
    *,
    actor: Actor,
    ends_at: datetime,
    to_account: Account | None = None,
    to_group: Group | None = None,
    starts_at: datetime | None = None,
) -> Delegation:
    """Let one account or one group approve what actor may, until ends_at (90 days at most).

    What was delegated to actor is not passed on. Raises InvalidInput.
    """
    now = timezone.now()
    starts = starts_at or now
    fields = {}
    if (to_account is None) == (to_group is None):
        fields["to"] = "Choose one account or one group."
    elif to_account is not None and to_account.pk == actor.user_id:
        fields["to"] = "Choose somebody else."
    elif to_account is not None and not to_account.is_active:
        fields["to"] = "This account is not active."
    if not max(starts, now) < ends_at <= max(starts, now) + LONGEST_DELEGATION:
        fields["ends_at"] = f"Choose a moment within {LONGEST_DELEGATION.days} days."
    if fields:
        raise InvalidInput("This cannot be delegated like that.", fields=fields)
    return Delegation.objects.create(
        delegator_id=actor.require_account(),
        to_account=to_account,
        to_group=to_group,
        starts_at=starts,
        ends_at=ends_at,
    )


@action("executions.delegation.end", title="End a delegation", roles=EVERYONE, target="delegation")
def end_delegation(*, actor: Actor, delegation: Delegation) -> Delegation:
    """End it now. Raises Conflict when it has ended."""
    now = timezone.now()
    fresh = Delegation.objects.select_for_update().get(pk=delegation.pk)
    if fresh.ends_at <= now:
        raise Conflict("This delegation has ended already.")
    fresh.starts_at, fresh.ends_at = min(fresh.starts_at, now), now
    fresh.save(update_fields=["starts_at", "ends_at"])
    return fresh


@target_rule("executions.delegation.end")
def _may_end(actor: Actor, delegation: object) -> bool:
    return isinstance(delegation, Delegation) and (
        delegation.delegator_id == actor.user_id or can(actor, "executions.rules.set")
    )


@action(
    "executions.execution.remind",
    title="Remind those whom a request waits for",
    roles=SYSTEM,
    target="execution",
)
def remind(*, actor: Actor, execution: Execution, reminded_at: datetime) -> Execution:
    """Note that execution waits for too long, and mail those who can let it go on, once.

    Raises Conflict when it does not wait any more, or they were reminded. Mail that cannot be sent
    is logged; it is not tried again.
    """
    fresh = Execution.objects.select_for_update().get(pk=execution.pk)
    if not fresh.awaits_a_person or fresh.reminded_at is not None:
        raise Conflict("There is nobody to remind of this.")
    fresh.reminded_at = reminded_at
    fresh.save(update_fields=["reminded_at"])
    reminder = reminder_of(fresh, reminded_at)
    transaction.on_commit(lambda: _send(reminder), robust=True)
    return fresh


def _send(reminder: Reminder) -> None:
    for address in reminder.addresses:  # One each: nobody reads who else may approve.
        send_mail(reminder.subject, reminder.text, None, [address])
