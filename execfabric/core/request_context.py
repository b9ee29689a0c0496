"""The id of the request at hand, carried into log lines, audit events and tasks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")
_request_id: ContextVar[str] = ContextVar("execfabric_request_id", default="")


def current_request_id() -> str:
    """Return the id of the request or task at hand, or an empty string outside one."""
    return _request_id.get()


@contextmanager
def request_id_scope(proposed: str = "") -> Iterator[str]:
    """Run a block under the proposed id when it is well-formed, else under a new one."""
    request_id = proposed if _ACCEPTED.fullmatch(proposed) else secrets.token_hex(8)
    token = _request_id.set(request_id)
    try:
        yield request_id
    finally:
        _request_id.reset(token)
