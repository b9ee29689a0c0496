from __future__ import annotations

from django_tenants.utils import schema_context

from execfabric.core.errors import Conflict
from skills.catalogue.models import SkillVersion

from ..models import Revision
from ..states import Step, StepStatus


def registered_version(revision: Revision) -> SkillVersion:
    """Return the version that the step register made. Raises Conflict where it has not."""
    step = revision.steps.filter(step=Step.REGISTER, status=StepStatus.DONE).first()
    if step is None:
        raise Conflict("Nothing is registered yet.")
    with schema_context(revision.submission.tenant.schema_name):
        versions = SkillVersion.objects.select_related("skill", "script_version__script")
        return versions.get(
            pk=step.report["version_id"], skill__name=revision.submission.skill_name
        )
