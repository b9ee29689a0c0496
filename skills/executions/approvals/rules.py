"""The rules of the tenant at hand: those in force, and those this process read last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from execfabric.core import permissions
from execfabric.core.actor import current_schema
from execfabric.core.roles import MANAGERS
from skills.executions.policy import EDITION, NO_RULES, Demand, Rules

from .models import ApprovalRules

permissions.grant("executions.rules.read", title="See the rules for approvals", roles=MANAGERS)

_last_read: dict[str, Rules] = {}

_NEWEST = "SELECT rules.digest FROM executions_approvalrules rules ORDER BY rules.id DESC LIMIT 1"
POLICY_IN_FORCE = f"('{EDITION}-' || coalesce(({_NEWEST}), '{NO_RULES}'))"
"""SQL for the policy version in force, to stand in another statement."""


def rules_in_force() -> Rules:
    """Return the rules as the database has them now."""
    row = ApprovalRules.objects.order_by("-id").first()
    rules = Rules() if row is None else _from_row(row)
    _last_read[current_schema()] = rules
    return rules


def rules_last_read() -> Rules:
    """Return the rules this process read last; whoever acts on them checks their version.

    The statement that stores a request does, and so does the one that claims it.
    """
    return _last_read.get(current_schema()) or rules_in_force()


def _from_row(row: ApprovalRules) -> Rules:
    return Rules(
        demands=_demands_of(row.demands),
        expires_after=timedelta(hours=row.expires_after_h),
        remind_after=timedelta(hours=row.remind_after_h),
        digest=row.digest,
    )


def _demands_of(stored: Any) -> Mapping[str, Demand]:
    """Return the demands by risk. What cannot be read is left out, and so blocks."""
    found = {}
    for risk, demand in stored.items() if isinstance(stored, Mapping) else ():
        match demand:
            case {"confirm": bool(confirm), "approvals": int(approvals)} if approvals >= 0:
                found[str(risk)] = Demand(confirm, approvals)
    return found
