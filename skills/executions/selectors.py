from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q, QuerySet

from execfabric.core import permissions, statements
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, SYSTEM
from skills.catalogue.models import Skill
from skills.catalogue.selectors import known_version
from tenants.accounts.models import Account

from .approvals.authority import skills_to_approve
from .models import Artifact, Consent, Execution, LogChunk, StoredFile
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
    waiting = Q(status=Status.AWAITING_APPROVAL, skill_id__in=skills_to_approve(actor))
    said = Consent.objects.filter(account_id=actor.user_id or -1).values("execution_id")
    return executions.filter(own | waiting | Q(pk__in=said))


def read_execution(execution_id: UUID, *, in_one_of: Collection[str]) -> Execution | None:
    """Return an execution its reader may see, with skill, version and requester.

    None while its status is none of those asked for. One prepared statement, for those who wait.
    """
    found = statements.send(_READ, [execution_id, sorted(in_one_of)])
    if not found:
        return None
    *values, skill, username = found[0]
    execution = Execution.from_db(DEFAULT_DB_ALIAS, _FIELDS, values)
    execution.version = known_version(execution.version_id)
    execution.skill = Skill(pk=execution.skill_id, name=skill)
    if execution.requested_by_id is not None:
        execution.requested_by = Account(pk=execution.requested_by_id, username=username)
    return execution


_FIELDS = [field.attname for field in Execution._meta.concrete_fields]
_READ = f"""
    SELECT {", ".join(f"execution.{name}" for name in _FIELDS)}, skill.name, requester.username
    FROM executions_execution execution
        JOIN catalogue_skill skill ON skill.id = execution.skill_id
        LEFT JOIN accounts_account requester ON requester.id = execution.requested_by_id
    WHERE execution.id = %s AND execution.status = ANY(%s)
"""  # noqa: S608 - names of our own columns


def log_after(execution: Execution, cursor: int, *, limit: int = 500) -> list[LogChunk]:
    """Return at most limit pieces of the log after the one numbered cursor, in order."""
    return list(execution.log_chunks.filter(seq__gt=cursor).order_by("seq")[:limit])


def artifacts_visible_to(actor: Actor) -> QuerySet[Artifact]:
    return Artifact.objects.filter(execution__in=executions_visible_to(actor).values("pk"))


def files_usable_by(actor: Actor) -> QuerySet[StoredFile]:
    """Return the uploads actor may use as inputs: the own ones."""
    return StoredFile.objects.filter(uploaded_by_id=actor.user_id or -1)
