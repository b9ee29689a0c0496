"""The id of the request at hand, carried into log lines, audit events and tasks; and its agent."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACCEPTED = re.compile(r"[A-Za-z0-9._-]{8,64}")
_request_id: ContextVar[str] = ContextVar("execfabric_request_id", default="")
_agent: ContextVar[str] = ContextVar("execfabric_agent", default="")


def current_request_id() -> str:
    """Return the id of the request or task at hand, or an empty string outside one."""
    return _request_id.get()


def current_agent() -> str:
    """Return what the client of the request at hand calls itself; empty where there is none."""
    return _agent.get()


@contextmanager
def request_id_scope(proposed: str = "", *, agent: str = "") -> Iterator[str]:
    """Run a block under the proposed id when it is well-formed, else under a new one.

    agent: what the client calls itself.
    """
    request_id = proposed if _ACCEPTED.fullmatch(proposed) else secrets.token_hex(8)
    token, before = _request_id.set(request_id), _agent.set(agent)
    try:
        yield request_id
    finally:
        _agent.reset(before)
        _request_id.reset(token)
