"""The packages of a revision, locked before a reviewer looks: they are part of the verdict."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.actor import Actor
from executors.contract import ExecutorError
from executors.script.environment import read_requirements
from skills.catalogue.environments import lock_of
from skills.catalogue.workspace import sync_bundle

from ..models import Revision
from .locks import shown_lock
from .rules import manifest_of
from .services import record_lock

RETRY_AFTER = timedelta(minutes=1)
"""After the first failure; twice as long after each further one."""
LONGEST_PAUSE = timedelta(hours=2)


def is_due(lock: dict[str, Any] | None, now: datetime) -> bool:
    """Return whether a lock is to be made: there is none, or the last try was long enough ago."""
    if lock is None:
        return True
    if "problem" not in lock:
        return False
    pause = min(RETRY_AFTER * 2 ** min(lock.get("tries", 0) - 1, 20), LONGEST_PAUSE)
    tried_at = datetime.fromisoformat(lock["tried_at"]) if "tried_at" in lock else None
    return tried_at is None or tried_at + pause <= now


def lock_revision(revision: Revision) -> Revision:
    """Resolve what a revision asks for and keep it with the revision, once; return that.

    What cannot be resolved is kept as its problem: the reviewer sees it, and cannot approve. It is
    tried again when it is due: an index may have been away, or have got the package since.
    """
    if not is_due(revision.lock, timezone.now()):
        return revision
    lock = shown_lock(revision)
    if lock is None or "problem" in lock:
        with schema_context(revision.submission.tenant.schema_name):
            try:
                lock = _resolve(revision)
            except ExecutorError as error:
                lock = {"problem": str(error)}
    return record_lock(actor=Actor.system("worker"), revision=revision, lock=lock)


def _resolve(revision: Revision) -> dict[str, Any]:
    folder = sync_bundle(revision.digest, revision.stored_as)
    skill = manifest_of(revision).skill
    if skill.runtime == "python" and not skill.requires_python and not read_requirements(folder):
        return {}
    lock = lock_of(folder, runtime=skill.runtime, requires_python=skill.requires_python)
    return {"python": lock.python, "tag": lock.tag, "text": lock.text} if lock else {}
