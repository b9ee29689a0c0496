"""How work on a tenant's whole data ends before it is done."""

from __future__ import annotations

from django.db import DatabaseError

from execfabric.core.errors import Conflict, DomainError


class TakenOver(Conflict):
    """Somebody else does this work now, or has ended it: whoever meets this just leaves it."""


def reason_of(error: Exception) -> str:
    """Return why work failed, for pages: without paths of this machine, schemas or SQL."""
    if isinstance(error, DomainError):
        return error.message
    kind = type(error).__name__
    if isinstance(error, DatabaseError):
        return f"The database did not do it ({kind}). The log of the worker says more."
    said = error.strerror if isinstance(error, OSError) else None
    return f"{kind}: {said or error}"
