"""Step 3: who inside the tenant may see, run and approve a new skill."""

from __future__ import annotations

from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from skills.catalogue.models import Visibility
from skills.catalogue.releases.services import authorise_release

from ..models import Revision
from .log import StepLog
from .registered import registered_version

DEFAULTS = "The baseline roles have their default rights."
NOBODY = "Nobody has a right on it yet, as its visibility asks. An administrator there grants it."


def run(revision: Revision, log: StepLog) -> dict[str, Any]:
    version = registered_version(revision)
    with schema_context(revision.submission.tenant.schema_name):
        is_new = authorise_release(actor=Actor.system("publisher"), version=version)
        grants: dict[str, list[str]] = {}
        for role, right in version.skill.grants.exclude(role="").values_list("role", "right"):
            grants.setdefault(right, []).append(role)
    if is_new:
        log.say(NOBODY if version.visibility == Visibility.GRANTED else DEFAULTS)
    else:
        log.say("The skill was there before; its grants stay as the tenant has set them.")
    for right, roles in sorted(grants.items()):
        log.say(f"{right}: {', '.join(sorted(roles))}")
    return {"is_new": is_new, "grants": {right: sorted(roles) for right, roles in grants.items()}}
