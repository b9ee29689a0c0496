from __future__ import annotations

from django.db.models import Q, QuerySet

from execfabric.core import permissions
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, SYSTEM
from skills.catalogue.models import Right, SkillGrant

from .models import Artifact, Execution, LogChunk, StoredFile
from .states import Status

permissions.grant("executions.execution.read", title="See own executions", roles=EVERYONE)
permissions.grant(
    "executions.execution.read_all", title="See everybody's executions", roles=MANAGERS | SYSTEM
)


def executions_visible_to(actor: Actor) -> QuerySet[Execution]:
    """Return the executions actor may read, newest first, with skill, version and requester.

    Own ones; those that wait for an approval actor may give, or got one's decision; all with the
    right to read all.
    """
    executions = Execution.objects.select_related("skill", "version", "requested_by")
    if can(actor, "executions.execution.read_all"):
        return executions
    if not can(actor, "executions.execution.read"):
        return executions.none()
    own = Q(requested_by_id=actor.user_id or -1)
    approvable = SkillGrant.objects.filter(
        Q(role__in=actor.roles) | Q(account_id=actor.user_id or -1), right=Right.APPROVE
    )
    waiting = Q(status=Status.AWAITING_APPROVAL, skill_id__in=approvable.values("skill_id"))
    decided = Q(approved_by_id=actor.user_id or -1) | Q(rejected_by_id=actor.user_id or -1)
    return executions.filter(own | waiting | decided)


def log_after(execution: Execution, cursor: int, *, limit: int = 500) -> list[LogChunk]:
    """Return at most limit pieces of the log after the one numbered cursor, in order."""
    return list(execution.log_chunks.filter(seq__gt=cursor).order_by("seq")[:limit])


def artifacts_visible_to(actor: Actor) -> QuerySet[Artifact]:
    return Artifact.objects.filter(execution__in=executions_visible_to(actor).values("pk"))


def files_usable_by(actor: Actor) -> QuerySet[StoredFile]:
    """Return the uploads actor may use as inputs: the own ones."""
    return StoredFile.objects.filter(uploaded_by_id=actor.user_id or -1)
