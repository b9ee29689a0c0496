"""What those who decide see: exactly what will run, and what is different from last time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from execfabric.core.actor import Actor
from skills.executions import policy
from skills.executions.inputs import file_ids
from skills.executions.models import Consent, Execution, StoredFile
from skills.executions.presentation import HIDDEN, plain, title_of

from .authority import approvers_of
from .models import ConsentKind
from .rules import rules_in_force
from .standing import approvals_standing, demand_met


@dataclass(frozen=True, slots=True)
class Change:
    """One input that differs from the requester's last run of the skill."""

    title: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Shown:
    demand: policy.Demand
    given: int
    """Approvals so far."""
    approvers: int
    """How many people can approve it now, those who did among them."""
    consents: list[Consent]
    counts_no_more: set[int]
    """Accounts that approved it and could not do so any more."""
    last_run: Execution | None
    changes: list[Change]
    expires_at: Any


def shown_to_decide(execution: Execution) -> Shown:
    """Return what the page of a waiting execution shows beside its inputs."""
    rules, now = rules_in_force(), timezone.now()
    last_run = last_run_before(execution)
    people = approvers_of(execution.skill, requester_id=execution.requested_by_id, now=now)
    consents = consents_of(execution)
    good = approvals_standing(execution, now=now)
    return Shown(
        demand=policy.decide(execution.version, rules).demand,
        given=demand_met(execution, now=now).approvals,
        approvers=people.count(),
        consents=consents,
        counts_no_more={
            one.account_id
            for one in consents
            if one.kind == ConsentKind.APPROVE and one.account_id not in good
        },
        last_run=last_run,
        changes=changes_since(last_run, execution) if last_run else [],
        expires_at=execution.created_at + rules.expires_after,
    )


def consents_of(execution: Execution) -> list[Consent]:
    said = execution.consents.select_related("account", "authority")
    return list(said.exclude(kind=ConsentKind.REJECT))


def last_run_before(execution: Execution) -> Execution | None:
    """Return the requester's last run of the same skill that really started."""
    return (
        Execution.objects.select_related("version")
        .filter(
            requested_by_id=execution.requested_by_id,
            skill_id=execution.skill_id,
            started_at__isnull=False,
            pk__lt=execution.pk,
        )
        .order_by("-pk")
        .first()
    )


def changes_since(last: Execution, execution: Execution) -> list[Change]:
    """Return the inputs that differ; of a secret only that it does, of a file its digest."""
    changes = []
    names = dict.fromkeys([*execution.version.input_fields, *execution.inputs, *last.inputs])
    for name in names:
        before, now = _comparable(last, name), _comparable(execution, name)
        if before == now:
            continue
        title = title_of(name, execution.version.input_fields.get(name))
        if name in execution.version.secret_inputs | last.version.secret_inputs:
            changes.append(Change(title, HIDDEN, HIDDEN))
        else:
            changes.append(Change(title, _text(before), _text(now)))
    return changes


_ABSENT = object()


def _comparable(execution: Execution, name: str) -> Any:
    if name not in execution.inputs:
        return _ABSENT
    value = execution.inputs[name]
    if name not in execution.version.file_inputs:
        return value
    found = StoredFile.objects.in_bulk(file_ids(value) or [])
    return [f"{one.name} ({one.sha256[:12]})" for one in found.values()]


def _text(value: Any) -> str:
    return "–" if value is _ABSENT else plain(value)


def said_by(actor: Actor, execution: Execution) -> bool:
    """Return whether actor has approved execution already."""
    return Consent.objects.filter(
        execution=execution, account_id=actor.user_id or -1, kind=ConsentKind.APPROVE
    ).exists()
