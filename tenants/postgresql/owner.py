"""Sessions of the owner, who alone may create schemas, tables and roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from execfabric.core.errors import Conflict

from .base import DatabaseWrapper

UNKNOWN = (
    "This needs the owner of the database. Run it as a command where "
    "EXECFABRIC_DATABASE_OWNER_URL is set."
)


class OwnerUnknown(Conflict):
    """This process was not told how to log in as the owner."""

    code = "owner_unknown"


class OwnerSession(DatabaseWrapper):
    """Logged in as the owner; it enters schemas, but takes no role."""

    is_owner = True


@contextmanager
def as_owner() -> Iterator[None]:
    """Run the block, or the function it decorates, on a session of the owner.

    ``django.db.connection`` is that session meanwhile, in the schema of the one before; so whatever
    the block does is one transaction if it wants to be. Entering twice is entering once. Raises
    OwnerUnknown, and RuntimeError inside a transaction, which it could not join.
    """
    before: Any = connections[DEFAULT_DB_ALIAS]
    if before.is_owner:
        yield
        return
    if before.in_atomic_block:
        raise RuntimeError("The owner's session cannot join the transaction at hand.")
    owner = open_owner_session(before)
    connections[DEFAULT_DB_ALIAS] = owner
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = before
        owner.close()


def require_owner() -> None:
    """Raise OwnerUnknown unless this runs in a session of the owner."""
    if not connections[DEFAULT_DB_ALIAS].is_owner:  # type: ignore[attr-defined]
        raise OwnerUnknown(UNKNOWN)


def open_owner_session(before: Any) -> OwnerSession:
    """Return a session of the owner, on the database and in the schema of before.

    Raises OwnerUnknown.
    """
    if settings.DATABASE_OWNER is None:
        raise OwnerUnknown(UNKNOWN)
    owner = OwnerSession({**before.settings_dict, **settings.DATABASE_OWNER}, DEFAULT_DB_ALIAS)
    owner.set_tenant(before.tenant, before.include_public_schema)
    return owner
