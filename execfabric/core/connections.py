"""Database connections of a process that lives for days; they may die meanwhile."""

from __future__ import annotations

import threading
from typing import Any

from django.db import connections


def keep_by_thread() -> None:
    """Let each thread find its connection without asking whether it runs an event loop.

    Django keeps them by thread, and within a thread by the event loop it may run. Nothing here runs
    one, and that question, which an exception answers, is asked some thirty times for each run.
    """
    handler: Any = connections
    before, kept = handler._connections, threading.local()
    if isinstance(before, threading.local):
        return
    for alias in connections:
        if hasattr(before, alias):
            setattr(kept, alias, getattr(before, alias))
    handler._connections = kept


def drop_dead_connections() -> None:
    """Let go of this thread's connections that broke, and have the others checked at next use.

    The next statement then opens a new one. Inside a transaction nothing happens: what it did would
    be lost unnoticed.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
