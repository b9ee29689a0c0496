"""Under which rules a skill version runs. Pages, API, retries, batches, workers: all ask here.

decide() is the one function. The platform's minimum and what the version says always hold; a
tenant's rules can only add to them. What is not known is blocked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from django.db import models

from execfabric.core.actor import Door
from execfabric.core.errors import NotPermitted
from skills.catalogue.models import Approval, Risk, SkillVersion

from .states import Status

MANUAL_DOORS = frozenset({Door.PAGE, Door.API, Door.CLI})
MOST_APPROVALS = 5
LONGEST_WAIT_H = 24


class Mode(models.TextChoices):
    AUTO = "auto", "Runs at once"
    CONFIRM = "confirm", "Needs a confirmation"
    FOUR_EYES = "four_eyes", "Needs the approval of somebody else"
    N_OF_M = "n_of_m", "Needs several approvals"
    BLOCKED = "blocked", "Does not run"


class Demand(NamedTuple):
    """Who must say yes before a run starts."""

    confirm: bool = False
    """The requester, once more, having seen what will run."""
    approvals: int = 0
    """Others, each once."""

    def and_also(self, other: Demand) -> Demand:
        return Demand(self.confirm or other.confirm, max(self.approvals, other.approvals))

    def covers(self, other: Demand) -> bool:
        return self.and_also(other) == self


PLATFORM_MINIMUM: Mapping[str, Demand] = {
    Risk.LOW.value: Demand(),
    Risk.MEDIUM.value: Demand(),
    Risk.HIGH.value: Demand(confirm=True),
}
"""What no tenant can loosen."""
OF_APPROVAL: Mapping[str, Demand] = {
    Approval.NONE.value: Demand(),
    Approval.FOUR_EYES.value: Demand(approvals=1),
}
"""What the review of a version can demand."""


def digest_of_rules(*parts: Any) -> str:
    """Return 16 hexadecimal digits that change with any of parts."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def edition_of(minimum: Mapping[str, Demand], of_approval: Mapping[str, Demand]) -> str:
    return digest_of_rules(
        *({name: one._asdict() for name, one in table.items()} for table in (minimum, of_approval))
    )


EDITION = edition_of(PLATFORM_MINIMUM, OF_APPROVAL)
"""Identifies the platform's own part of the rules."""
NO_RULES = "0"
"""Stands for the rules of a tenant that has set none."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a tenant has set; with nothing set, the platform's minimum."""

    demands: Mapping[str, Demand] = field(default_factory=lambda: PLATFORM_MINIMUM)
    expires_after: timedelta = timedelta(hours=LONGEST_WAIT_H)
    remind_after: timedelta = timedelta(hours=4)
    digest: str = NO_RULES

    @property
    def version(self) -> str:
        """The policy version: what is in force, platform and tenant."""
        return f"{EDITION}-{self.digest}"


NOTHING = Demand()


@dataclass(frozen=True, slots=True)
class Decision:
    demand: Demand = NOTHING
    blocked: str = ""
    """Why it may not run at all; for a person."""

    @property
    def mode(self) -> Mode:
        if self.blocked:
            return Mode.BLOCKED
        if self.demand.approvals > 1:
            return Mode.N_OF_M
        if self.demand.approvals:
            return Mode.FOUR_EYES
        return Mode.CONFIRM if self.demand.confirm else Mode.AUTO

    def require_allowed(self) -> None:
        """Raise NotPermitted where it is blocked."""
        if self.blocked:
            raise NotPermitted(self.blocked)

    @property
    def first_status(self) -> Status:
        if self.demand.confirm:
            return Status.AWAITING_CONFIRMATION
        return self.status_after_confirmation

    @property
    def status_after_confirmation(self) -> Status:
        return Status.AWAITING_APPROVAL if self.demand.approvals else Status.QUEUED


def decide(version: SkillVersion, rules: Rules) -> Decision:
    """Return what a run of version needs under rules: the most of all that demand anything."""
    minimum = PLATFORM_MINIMUM.get(version.risk)
    own = rules.demands.get(version.risk)
    reviewed = OF_APPROVAL.get(version.approval)
    if minimum is None:
        return Decision(blocked=f"No rule is known for the risk {version.risk!r}: it cannot run.")
    if own is None:
        return Decision(blocked=f"This workspace has no rule for {version.risk} risk.")
    if reviewed is None:
        return Decision(
            blocked=f"No rule is known for the approval {version.approval!r}: it cannot run."
        )
    said = Demand(confirm=bool(version.confirm))
    return Decision(minimum.and_also(own).and_also(reviewed).and_also(said))


def check_cleared(
    decision: Decision,
    *,
    requested_by: int,
    confirmed_by: int | None,
    approved_by: Collection[int],
) -> None:
    """Raise NotPermitted unless the people the decision demands have said yes."""
    decision.require_allowed()
    others = set(approved_by) - {requested_by}
    if decision.demand.confirm and confirmed_by is None:
        raise NotPermitted("This skill runs only after it was confirmed.")
    if len(others) < decision.demand.approvals:
        raise NotPermitted("This skill runs only after somebody else approved it.")


def check_door(version: SkillVersion, door: Door) -> None:
    """Raise NotPermitted where the skill's review did not open this entry."""
    if door in MANUAL_DOORS and not version.manual:
        raise NotPermitted("This skill is not open for manual execution.")
