from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidInput, NotFound
from execfabric.core.roles import PLATFORM
from skills.catalogue.models import Skill, SkillVersion
from skills.catalogue.releases.services import withdraw_version as withdraw_here
from skills.executions.lifecycle import recall_execution
from skills.executions.models import Execution
from skills.executions.states import WAITING, Status
from tenants.registry.models import Tenant

from ..models import Recall

LONGEST_REASON = 2000
RECALL = "hot_update.version.recall"


@action(RECALL, title="Withdraw a version", roles=PLATFORM, target="tenant")
def recall_version(*, actor: Actor, tenant: Tenant, skill: str, number: int, reason: str) -> Recall:
    """Let nobody in any tenant start the files of this version any more, from the commit on.

    What waits or is queued ends with the reason; what runs goes on. Raises NotFound, InvalidInput
    without a reason, Conflict when it is withdrawn already.
    """
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        wrong = f"Say why, in at most {LONGEST_REASON} characters; everybody who runs it reads it."
        raise InvalidInput("Give a reason.", fields={"reason": wrong})
    digest = _digest_of(tenant, skill, number)
    now = timezone.now()
    recall, is_new = Recall.objects.get_or_create(
        digest=digest,
        defaults={"reason": reason, "recalled_by": actor.username, "recalled_at": now},
    )
    known = len(recall.places)
    for each in list(Tenant.objects.order_by("schema_name")):
        with schema_context(each.schema_name):
            recall.places += _recall_here(each.name, digest, reason, actor.username, now)
    if not is_new and len(recall.places) == known:  # Else it was registered anew meanwhile.
        raise Conflict(f"These files are withdrawn since {recall.recalled_at:%Y-%m-%d %H:%M} UTC.")
    recall.save(update_fields=["places"])
    return recall


def _digest_of(tenant: Tenant, skill: str, number: int) -> str:
    with schema_context(tenant.schema_name):
        found = SkillVersion.objects.filter(
            skill__name=skill, number=number, script_version__isnull=False
        )
        for digest in found.values_list("script_version__digest", flat=True):
            return str(digest)
    raise NotFound(f"{tenant.name} has no version {number} of {skill}.")


def _recall_here(
    tenant: str, digest: str, reason: str, by: str, now: datetime
) -> list[dict[str, Any]]:
    """Withdraw every version of the schema at hand that has these files; return which they were."""
    places = []
    system = Actor.system("recall")
    # Who makes or binds a version holds this lock, too: what is under way is seen afterwards.
    of_these_files = SkillVersion.objects.filter(script_version__digest=digest)
    skills = Skill.objects.select_for_update(no_key=True).order_by("pk")
    list(skills.filter(pk__in=of_these_files.values("skill_id")))
    versions = of_these_files.select_related("skill").filter(withdrawal__isnull=True)
    for version in list(versions):
        withdraw_here(actor=system, version=version, reason=reason, by=by, withdrawn_at=now)
        waiting = Execution.objects.filter(version=version, status__in=[*WAITING, Status.QUEUED])
        ended = 0
        for execution in list(waiting.select_for_update(of=("self",), skip_locked=True)):
            recall_execution(actor=system, execution=execution, reason=reason)
            ended += 1
        places.append(
            {
                "tenant": tenant,
                "skill": version.skill.name,
                "version": version.number,
                "was_in_use": version.skill.version_id == version.pk,
                "ended": ended,
            }
        )
    return places
