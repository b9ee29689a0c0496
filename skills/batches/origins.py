"""What pages of lower floors show of batches: a way in from a skill, a way back from a row."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _

from execfabric.core.actor import Actor
from execfabric.core.permissions import can
from skills.catalogue.models import Skill
from skills.executions.hooks import Origin
from skills.executions.models import Execution

from .models import BatchRow


def origin_of(execution: Execution) -> Origin | None:
    row = BatchRow.objects.select_related("batch").filter(execution=execution).first()
    if row is None:
        return None
    label = _("row %(number)s of %(name)s") % {"number": row.number, "name": row.batch.name}
    return Origin(label, reverse("batches:batch-detail", args=[row.batch_id]))


def new_batch_of(skill: Skill) -> str:
    return reverse("batches:batch-new", args=[skill.name])


def may_begin(actor: Actor, skill: Skill) -> bool:
    manual = skill.version is not None and skill.version.manual
    return manual and can(actor, "batches.batch.create", skill)
