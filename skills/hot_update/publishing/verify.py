"""Step 4: what can be tried before the version is in use. The rest is ``services.go_live``."""

from __future__ import annotations

from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.errors import Conflict
from executors.registry import EXECUTORS
from skills.catalogue.described import differing
from skills.catalogue.workspace import sync_script

from ..models import Revision
from ..reviewing.bundles import bundle_of
from ..reviewing.locks import lock_from
from ..reviewing.rules import approved_manifest
from .log import StepLog
from .registered import registered_version


def run(revision: Revision, log: StepLog) -> dict[str, Any]:
    """Raises Conflict and ExecutorError where the version could not be executed."""
    version = registered_version(revision)
    script = version.script_version
    wrong = differing(
        version, bundle_of(revision), approved_manifest(revision), lock_from(revision)
    )
    if script is None or wrong:
        raise Conflict(f"What is registered is not what was approved: {', '.join(wrong)} differ.")
    log.say("Files, entry, packages and description are those that were approved.")
    with schema_context(revision.submission.tenant.schema_name):
        synced = sync_script(script)
    EXECUTORS.get(version.kind).validate(
        {
            "folder": str(synced.folder),
            "runtime": script.runtime,
            "entry": script.entry,
            "python": str(synced.python) if synced.python else None,
        }
    )
    log.say("A worker can execute it: files, Python and packages are there.")
    return {"version_id": version.pk}
