"""Errors of the business rules. Page and API each turn them into an answer in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


def error_document(
    code: str, message: str, fields: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return the one shape in which the API tells of an error, whoever answers."""
    return {"code": code, "message": message, "fields": dict(fields or {})}


class DomainError(Exception):
    """Something the caller asked for cannot be done; the message says why and what to do.

    ``code`` is stable and machine-readable, ``status`` the HTTP status of the answer, ``fields``
    maps input names to what is wrong with them.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400

    def __init__(self, message: str, *, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fields = dict(fields or {})


class InvalidInput(DomainError):
    """The input does not fit; ``fields`` says where."""

    code = "invalid_input"
    status = 400


class NotPermitted(DomainError):
    """The actor may not do this."""

    code = "not_permitted"
    status = 403


class NotFound(DomainError):
    """No such thing, or none that the actor may see."""

    code = "not_found"
    status = 404


class Gone(DomainError):
    """It was there and is not any more; the message says since when or why."""

    code = "gone"
    status = 410


class Conflict(DomainError):
    """The thing is not in a state that allows this."""

    code = "conflict"
    status = 409


class Postponed(DomainError):
    """Nothing was decided: the act is asked for again in another way, or later. Not recorded."""

    code = "postponed"
    status = 409


class ProofNeeded(Exception):
    """A dangerous act: who asks must first prove again who they are. Nothing was decided.

    No DomainError, so that no form shows it as one of its own; pages ask for the password instead.
    """

    code: ClassVar[str] = "proof_needed"
    status: ClassVar[int] = 403

    def __init__(self, title: str) -> None:
        self.title = title
        """What is about to be done."""
        self.message = "This needs a fresh proof of who you are: log in again, or POST auth/prove."
        super().__init__(self.message)


class InvalidTransition(Conflict):
    """The state table does not allow this move."""

    code = "invalid_transition"
