"""Step 2: script, script version, skill and skill version, under the rules of the verdict."""

from __future__ import annotations

from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from skills.catalogue.releases.services import register_release

from ..models import Revision
from ..reviewing.bundles import bundle_of
from ..reviewing.locks import lock_from
from ..reviewing.rules import approved_manifest
from .log import StepLog


def run(revision: Revision, log: StepLog) -> dict[str, Any]:
    bundle, lock = bundle_of(revision), lock_from(revision)
    manifest = approved_manifest(revision)
    with schema_context(revision.submission.tenant.schema_name):
        version = register_release(
            actor=Actor.system("publisher"),
            bundle=bundle,
            stored_as=revision.stored_as,
            manifest=manifest,
            lock=lock,
        )
        script = version.script_version
        live = version.skill.version
    in_use = f"version {live.number}" if live else "none yet"
    log.say(f"{version} is registered; in use is {in_use}.")
    return {
        "version_id": version.pk,
        "version": version.number,
        "script_version": script.number if script else None,
        "replaces": live.number if live else None,
    }
