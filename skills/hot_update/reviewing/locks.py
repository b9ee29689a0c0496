"""Which packages of a revision a verdict is about."""

from __future__ import annotations

from typing import Any

from executors.contract import ExecutorError
from executors.script.environment.lock import Lock

from ..models import Revision


def shown_lock(revision: Revision) -> dict[str, Any] | None:
    """Return the kept lock of a revision, else the one its checks were made with; None for neither.

    {} where the platform's own Python is all it asks for, {"problem"} where it cannot be locked.
    """
    if revision.lock is not None:
        known: dict[str, Any] = revision.lock
        return known
    for entry in revision.checks:
        if entry.get("check") == "requirements" and entry.get("level") == "pass":
            facts = entry.get("facts") or {}
            if "lock" in facts:
                return {"python": facts["python"], "tag": facts["tag"], "text": facts["lock"]}
            return {}
    return None


def packages_digest(lock: dict[str, Any] | None) -> str:
    """Return by which digest a verdict names the packages of a lock; empty where there are none."""
    if not lock or "text" not in lock:
        return ""
    return Lock(lock["python"], lock["tag"], lock["text"]).digest


def lock_from(revision: Revision) -> Lock | None:
    """Return the lock of a revision; None where the platform's own Python is all it asks for.

    Raises ExecutorError where there is none.
    """
    known = revision.lock
    if known is None:
        raise ExecutorError("The packages of this revision were never locked.")
    if problem := known.get("problem"):
        raise ExecutorError(str(problem))
    return Lock(known["python"], known["tag"], known["text"]) if known else None
