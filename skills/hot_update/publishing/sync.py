"""Step 1: the approved files and their locked packages, into the tenant's managed workspace."""

from __future__ import annotations

from typing import Any

from django_tenants.utils import schema_context

from execfabric.core.errors import Conflict
from executors.script.bundle import read_bundle
from skills.catalogue.environments import build_and_store
from skills.catalogue.workspace import sync_bundle

from ..models import Revision
from ..reviewing.bundles import FilesChanged, bundle_of
from ..reviewing.locks import lock_from
from ..reviewing.selectors import recall_of
from .log import StepLog


def run(revision: Revision, log: StepLog) -> dict[str, Any]:
    """Raises FilesChanged where one byte differs, Conflict where it was recalled, ExecutorError."""
    bundle = bundle_of(revision)
    log.say(f"The stored files have the approved digest {revision.digest}.")
    if recall := recall_of(revision.digest):
        raise Conflict(f"Exactly these files were withdrawn: {recall.reason}")
    lock = lock_from(revision)
    with schema_context(revision.submission.tenant.schema_name):
        folder = sync_bundle(revision.digest, revision.stored_as)
        if read_bundle(folder).digest != revision.digest:
            raise FilesChanged(
                "The files in the managed workspace of this host are not the approved ones. Remove "
                "that folder, find out who changed it, and resume."
            )
        log.say(f"{len(bundle.files)} files are in the managed workspace.")
        if lock is not None:
            build_and_store(lock)
            log.say(f"Python {lock.python} with {len(lock.packages)} locked packages is ready.")
        else:
            log.say("It needs the platform's Python alone.")
    return {
        "digest": revision.digest,
        "files": len(bundle.files),
        "size_bytes": bundle.size_bytes,
        "packages": len(lock.packages) if lock else 0,
    }
