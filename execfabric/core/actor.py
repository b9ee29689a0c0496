"""Who acts. Every service takes an actor; it is valid in its own schema only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from django.db import connection

from .errors import NotPermitted
from .roles import Role


class Door(StrEnum):
    """Through which entry an act came in."""

    PAGE = "page"
    API = "api"
    CLI = "cli"
    """The API again, called by execfabric-cli; told apart by its User-Agent, for the trail only."""
    BATCH = "batch"
    """A row of a batch, which itself came in by one of those above."""
    LINK = "link"
    """A signed download link, opened by whoever has it, on behalf of who made it."""
    WORKER = "worker"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Actor:
    """An account, the system, or nobody, in one schema."""

    schema: str
    username: str
    display_name: str
    user_id: int | None
    roles: frozenset[Role]
    door: Door
    address: str = ""
    """Client IP address, empty for the system."""
    is_proven: bool = False
    """Whether a person proved within the last minutes who they are; see ``action``."""
    as_seen: tuple[object, ...] = field(default=(), compare=False, repr=False)
    """Of who was not looked up for this request, but remembered: the values of the check that the
    login is as it was seen (tenants.accounts.remembered). Only an action that makes that check in
    its statement takes such an actor."""

    @classmethod
    def system(cls, name: str, *, door: Door = Door.WORKER) -> Actor:
        """Return the platform itself acting in the current schema, for example as "worker"."""
        return cls(
            schema=current_schema(),
            username=f"system:{name}",
            display_name=name,
            user_id=None,
            roles=frozenset({Role.SYSTEM}),
            door=door,
        )

    @classmethod
    def anonymous(cls, *, door: Door, address: str = "") -> Actor:
        """Return somebody who has not logged in; holds no role."""
        return cls(
            schema=current_schema(),
            username="",
            display_name="",
            user_id=None,
            roles=frozenset(),
            door=door,
            address=address,
        )

    def require_account(self) -> int:
        """Return the id of the acting account. Raises NotPermitted for the system and nobody."""
        if self.user_id is None:
            raise NotPermitted("This needs an account.")
        return self.user_id

    @property
    def is_authenticated(self) -> bool:
        return bool(self.roles) or self.user_id is not None


def current_schema() -> str:
    """Return the schema the database connection is switched to."""
    return str(connection.schema_name)  # type: ignore[attr-defined]  # added by django-tenants
