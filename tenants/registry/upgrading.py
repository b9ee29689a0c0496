"""Bringing one tenant's schema after another up to date, without working out the same twice.

Django's ``migrate`` command reads every migration, builds every model of that time and looks for
``django_migrations`` among the tables of all schemas, once for each schema: a cost that grows with
the number of tenants. Here that is done once for all schemas that stand at the same point.

Django's signals before and after migrating are not sent: nothing here listens to them. What a new
version does in every schema is an initializer's (provisioning.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState
from django_tenants.utils import schema_context
from psycopg import sql

MigrationKey = tuple[str, str]
"""App label and name of a migration."""


@dataclass(frozen=True, slots=True)
class _Route:
    """The way from what some schemas have applied to this version."""

    executor: MigrationExecutor
    targets: list[MigrationKey]
    plan: list[tuple[Migration, bool]]
    start: ProjectState


class Upgrader:
    """Upgrades schemas in the owner's session in which it was made."""

    def __init__(self) -> None:
        self._routes: dict[frozenset[MigrationKey], _Route] = {}

    def upgrade(self, schema: str) -> None:
        """Apply what schema lacks. Each migration takes effect whole, with its record, or not."""
        applied = _applied_in(schema)
        with schema_context(schema):
            if applied not in self._routes:
                self._routes[applied] = _find_route()
            route = self._routes[applied]
            # A copy: applying a migration changes the state.
            route.executor.migrate(route.targets, plan=route.plan, state=route.start.clone())


def _applied_in(schema: str) -> frozenset[MigrationKey]:
    """Named in full: where schema had no such table, the search path would lead to public's."""
    query = sql.SQL("SELECT app, name FROM {}").format(sql.Identifier(schema, "django_migrations"))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query)
        return frozenset(cursor.fetchall())


def _find_route() -> _Route:
    """Return the way for the current schema. Raises InconsistentMigrationHistory."""
    executor = MigrationExecutor(connection)
    loader = executor.loader
    loader.check_consistent_history(connection)
    targets = loader.graph.leaf_nodes()
    plan = executor.migration_plan(targets)
    start = loader.project_state([key for key in loader.applied_migrations if key in loader.graph])
    _ = start.apps  # Builds every model, which its copies then share.
    return _Route(executor, targets, plan, start)
