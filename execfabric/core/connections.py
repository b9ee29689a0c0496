"""Database connections of a process that lives for days; they may die meanwhile."""

from __future__ import annotations

from django.db import connections


def drop_dead_connections() -> None:
    """Let go of this thread's connections that broke, and have the others checked at next use.

    The next statement then opens a new one. Inside a transaction nothing happens: what it did would
    be lost unnoticed.
    """
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
