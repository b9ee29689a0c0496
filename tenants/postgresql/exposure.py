"""Which tables of the public domain tenants can see, and which of their rows.

Every table that is in ``public`` alone needs a decision, made in the ``apps.py`` of its package:
``open_to_tenants`` or ``keep_closed``. A test fails where one is missing; a table without one is
closed. What is opened is opened for reading, to the rows of the current tenant only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

CURRENT_SCHEMA = "substr(CURRENT_USER::text, length(current_database()::text) + 2)"
"""SQL for the schema of the tenant whose role is in force: no setting that SQL could change."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One opened table. condition is SQL that holds for the rows of the current tenant."""

    table: str
    condition: str

    @property
    def digest(self) -> str:
        """Return what tells this opening from an earlier version of it."""
        return hashlib.sha256(self.condition.encode()).hexdigest()[:16]


OPENINGS: dict[str, Opening] = {}
CLOSED: set[str] = set()


def open_to_tenants(table: str, *, rows: str) -> None:
    """Let tenants read the rows of a public table for which the SQL condition rows holds.

    ``{tenant}`` in rows stands for the schema of the current tenant.
    """
    _require_undecided(table)
    OPENINGS[table] = Opening(table, rows.format(tenant=CURRENT_SCHEMA))


def keep_closed(table: str) -> None:
    """Decide that no tenant ever needs a public table."""
    _require_undecided(table)
    CLOSED.add(table)


def _require_undecided(table: str) -> None:
    if table in OPENINGS or table in CLOSED:
        raise ValueError(f"The table {table} is decided on twice.")
