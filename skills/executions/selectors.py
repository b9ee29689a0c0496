from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet, Subquery, Sum
from django.db.models.functions import Length

from execfabric.core import permissions, statements
from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from execfabric.core.roles import EVERYONE, MANAGERS, SYSTEM

from .approvals.authority import skills_to_approve
from .models import Artifact, Consent, Execution, FileRetention, LogChunk, StoredFile
from .states import Status

FEW_CHUNKS = 8
"""So few are read at once; their characters are counted from there on."""
MOST_CHUNKS = 500

permissions.grant("executions.execution.read", title="See own executions", roles=EVERYONE)
permissions.grant(
    "executions.execution.read_all", title="See everybody's executions", roles=MANAGERS | SYSTEM
)


def executions_visible_to(actor: Actor) -> QuerySet[Execution]:
    """Return the executions actor may read, newest first, with skill, version and requester.

    Own ones; those that wait for an approval actor may give, or got one's decision; all with the
    right to read all.
    """
    executions = with_all(Execution.objects.all())
    if can(actor, "executions.execution.read_all"):
        return executions
    if not can(actor, "executions.execution.read"):
        return executions.none()
    own = Q(requested_by_id=actor.user_id or -1)
    waiting = Q(status=Status.AWAITING_APPROVAL, skill_id__in=skills_to_approve(actor))
    said = Consent.objects.filter(account_id=actor.user_id or -1).values("execution_id")
    return executions.filter(own | waiting | Q(pk__in=said))


def with_all(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    """Return executions with all that is shown of one, in the same statement."""
    days = FileRetention.objects.values("days")[:1]
    related = executions.select_related("skill", "version", "requested_by")
    return related.annotate(days_chosen=Subquery(days))


def days_kept() -> int:
    """Return how many days files are kept in this schema after an execution ended."""
    return _days(FileRetention.objects.values_list("days", flat=True).first())


def files_kept_until(execution: Execution) -> datetime | None:
    """Return when files and log of an execution may be removed; None until it has ended."""
    if execution.finished_at is None:
        return None
    known = execution.__dict__
    days = _days(known["days_chosen"]) if "days_chosen" in known else days_kept()
    return execution.finished_at + timedelta(days=days)


def _days(chosen: int | None) -> int:
    wanted = settings.FILES_KEPT_DAYS if chosen is None else chosen
    return min(wanted, settings.FILES_KEPT_DAYS_MOST)


def bring_up_to_date(execution: Execution, *, in_one_of: Collection[str]) -> bool:
    """Read anew what may have changed of an execution its reader may see.

    False, and nothing is read, while its status is none of those asked for. One prepared statement,
    for those who wait.
    """
    found = statements.send(_READ, [execution.pk, sorted(in_one_of)])
    if not found:
        return False
    *values, days = found[0]
    for name in _CHANGING_ROWS:
        setattr(execution, name, values[_CHANGING.index(name)])
    execution.__dict__.update(zip(_CHANGING, values, strict=True), days_chosen=days)
    return True


_AS_ASKED_FOR = frozenset(
    {
        *("id", "skill_id", "version_id", "requested_by_id", "door", "request_id"),
        *("idempotency_key", "inputs", "inputs_digest", "reason", "mode", "policy_version"),
        "created_at",
    }
)
"""Columns that stay as they were stored first."""
_CHANGING = [
    field.attname for field in Execution._meta.concrete_fields if field.attname not in _AS_ASKED_FOR
]
_CHANGING_ROWS = [name for name in _CHANGING if name.endswith("_id")]
"""Of these the row itself may be known as well, which another id makes forgotten."""
# Of jsonb, as Django has it, psycopg would leave the text.
_COLUMNS = [f"{name}::json" if name == "skipped_artifacts" else name for name in _CHANGING]
_READ = f"""
    SELECT {", ".join(_COLUMNS)}, (SELECT days FROM executions_fileretention)
    FROM executions_execution WHERE id = %s AND status = ANY(%s)
"""  # noqa: S608 - names of our own columns


def log_after(execution: Execution, cursor: int, *, limit: int) -> list[LogChunk]:
    """Return at most limit chunks of the log after the one numbered cursor, in order."""
    return list(execution.log_chunks.filter(seq__gt=cursor).order_by("seq")[:limit])


def log_end(execution: Execution, cursor: int, *, chars: int) -> tuple[list[LogChunk], int]:
    """Return the end of the log after cursor, and how many characters before it are left out.

    The end is about as many characters as asked for; it begins with a whole chunk.
    """
    few = log_after(execution, cursor, limit=FEW_CHUNKS + 1)
    if len(few) <= FEW_CHUNKS:
        return few, 0
    after = execution.log_chunks.filter(seq__gt=cursor)
    sizes = after.order_by("-seq").values_list("seq", Length("text"))[:MOST_CHUNKS]
    first, room = 0, chars
    for seq, size in sizes:
        if first and size > room:
            break
        first, room = seq, room - size
    chunks = list(after.filter(seq__gte=first).order_by("seq"))
    before = after.filter(seq__lt=first).aggregate(chars=Sum(Length("text")))
    return chunks, before["chars"] or 0


def artifacts_visible_to(actor: Actor) -> QuerySet[Artifact]:
    return Artifact.objects.filter(execution__in=executions_visible_to(actor).values("pk"))


def files_usable_by(actor: Actor) -> QuerySet[StoredFile]:
    """Return the uploads actor may use as inputs: the own ones that are still stored."""
    return StoredFile.objects.filter(uploaded_by_id=actor.user_id or -1, content__isnull=False)
