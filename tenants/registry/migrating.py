"""Bringing every schema up to date, touching only those that are behind."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import structlog
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django_tenants.utils import get_public_schema_name, schema_context
from psycopg import sql

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.roles import SYSTEM
from tenants.postgresql.inspection import schemas_to_repair
from tenants.postgresql.owner import as_owner
from tenants.postgresql.repairing import repair_shared_roles, repair_tenant_roles

from .models import Domain, Tenant, TenantKind
from .provisioning import initialize_schema, prepare_template, tenant_migrations
from .selectors import customer_schemas
from .upgrading import Upgrader

logger = structlog.get_logger(__name__)

Progress = Callable[[str], None]

MIGRATION_LOCK = 7_301_001
"""Advisory lock held while anybody migrates."""
PR_SET_PDEATHSIG = 1
FEW = 4
"""So many schemas are upgraded in this process; for more, others are started."""
COUNTED_AT_ONCE = 500
"""A query locks each of its tables, and PostgreSQL has room for some thousand locks in all."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A schema that could not be upgraded: it stays at the last migration that worked, whole."""

    schema: str
    reason: str


@as_owner()
def migrate_platform(progress: Progress, *, processes: int = 0) -> list[Failure]:
    """Create or upgrade the public schema, the template and every tenant's, and their roles.

    Safe to run again, after a kill too: each migration takes effect whole or not at all, and a
    schema that is up to date costs one line of a query. Tenants are upgraded by so many processes,
    by default one a processor. A tenant that fails is returned and does not stop the others.
    """
    with _alone(progress):
        return _migrate_platform(progress, processes or os.cpu_count() or 1)


def _migrate_platform(progress: Progress, processes: int) -> list[Failure]:
    if _shared_behind():
        progress("upgrading the public schema")
        call_command("migrate_schemas", schema_name="public", verbosity=0, interactive=False)
    if repair_shared_roles():
        progress(
            "the catalogue stays open to all roles, for want of a superuser: see isolation check"
        )
    ensure_platform(actor=Actor.system("migrate"))
    prepare_template()
    failures: list[Failure] = []
    # Again and again: a tenant may be opened meanwhile, by the version before.
    while behind := [each for each in schemas_behind() if each not in _schemas_of(failures)]:
        failures += _migrate_tenants(behind, progress, processes)
    for schema in schemas_to_repair(customer_schemas()):
        failures += _attempt(repair_tenant_roles, [schema], schema=schema)
    present = {get_public_schema_name(), *customer_schemas()} - _schemas_of(failures)
    for tenant in Tenant.objects.filter(schema_name__in=present):
        failures += _attempt(_initialize, tenant, schema=tenant.schema_name)
    return failures


def _schemas_of(failures: Sequence[Failure]) -> set[str]:
    return {failure.schema for failure in failures}


def _initialize(tenant: Tenant) -> None:
    with schema_context(tenant.schema_name):
        initialize_schema(tenant)


def _attempt(step: Callable[..., None], *arguments: object, schema: str) -> list[Failure]:
    """Take one step for one tenant; whatever goes wrong is told, and the others go on."""
    try:
        step(*arguments)
    except Exception as error:
        logger.exception("tenant.not_migrated", tenant_schema=schema)
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()  # The next schema gets a new one.
        return [Failure(schema, f"{type(error).__name__}: {error}")]
    return []


@contextmanager
def _alone(progress: Progress) -> Iterator[None]:
    """Run the block in one process at a time; the lock ends with that process, however it does."""
    locker = connection.copy()  # Its own: migrating closes ours.
    try:
        with locker.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATION_LOCK])
            if cursor.fetchone() == (False,):
                progress("waiting for another process that migrates")
                cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            yield
            # The server hears of our end a moment later, and the next need not wait for that.
            cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
    finally:
        locker.close()


def _migrate_tenants(schemas: Sequence[str], progress: Progress, processes: int) -> list[Failure]:
    outcomes = (
        map(functools.partial(_migrate_tenant, Upgrader()), schemas)
        if len(schemas) <= FEW or processes == 1
        else _in_processes(schemas, processes)
    )
    failures = []
    for number, (schema, reason) in enumerate(outcomes, start=1):
        progress(f"{'upgraded' if not reason else 'COULD NOT UPGRADE'} {schema} "
                 f"({number} of {len(schemas)})")  # fmt: skip
        if reason:
            failures.append(Failure(schema, reason))
    return failures


def _migrate_tenant(upgrader: Upgrader, schema: str) -> tuple[str, str]:
    """Upgrade one schema; return it with why it failed, empty when it did not."""
    failures = _attempt(upgrader.upgrade, schema, schema=schema)
    return schema, failures[0].reason if failures else ""


def _in_processes(schemas: Sequence[str], processes: int) -> Iterator[tuple[str, str]]:
    """Yield the outcomes as they come."""
    connections.close_all()  # A fork must not share them.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("fork"), initializer=_end_with_parent
    ) as pool:
        futures = {pool.submit(_migrate_in_process, schema): schema for schema in schemas}
        for future in as_completed(futures):
            try:
                yield future.result()
            except BrokenProcessPool:
                yield futures[future], "the process that upgraded it was killed; run this again"


def _end_with_parent() -> None:
    """Be killed when the parent is: who waits for the lock then meets no half of a pool."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _migrate_in_process(schema: str) -> tuple[str, str]:
    return _migrate_tenant(_upgrader_of_process(), schema)


@functools.cache
def _upgrader_of_process() -> Upgrader:
    """Called in the processes of _in_processes only, which end with the session they use."""
    return Upgrader()


def schemas_behind() -> list[str]:
    """Return the tenants' schemas that lack a migration that is on disk.

    One query for every COUNTED_AT_ONCE of them.
    """
    schemas = customer_schemas()
    wanted = tenant_migrations()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relnamespace::regnamespace::text FROM pg_class "
            "WHERE relname = 'django_migrations' AND relkind = 'r'"
        )
        countable = sorted({name for (name,) in cursor.fetchall()} & set(schemas))
        applied: dict[str, int] = {}
        for start in range(0, len(countable), COUNTED_AT_ONCE):
            part = countable[start : start + COUNTED_AT_ONCE]
            cursor.execute(_count_applied(part), {"wanted": wanted})
            applied.update(cursor.fetchall())
    return [schema for schema in schemas if applied.get(schema, 0) < len(wanted)]


def _count_applied(schemas: Sequence[str]) -> sql.Composable:
    count = sql.SQL(
        "SELECT {name}, count(DISTINCT (app, name)) FROM {table} "
        "WHERE app || '.' || name = ANY(%(wanted)s)"
    )
    parts = [
        count.format(name=sql.Literal(schema), table=sql.Identifier(schema, "django_migrations"))
        for schema in schemas
    ]
    return sql.SQL(" UNION ALL ").join(parts)


@action("registry.platform.ensure", title="Set up the public domain", roles=SYSTEM)
def ensure_platform(*, actor: Actor) -> Tenant:
    """Make sure the public schema is registered under ``admin.<base domain>``."""
    platform, _created = Tenant.objects.get_or_create(
        schema_name=get_public_schema_name(),
        defaults={"kind": TenantKind.PLATFORM, "name": "admin", "title": "Governance"},
    )
    host = f"admin.{settings.BASE_DOMAIN}"
    if not Domain.objects.filter(domain=host).exists():
        is_first = not platform.domains.filter(is_primary=True).exists()
        Domain.objects.create(tenant=platform, domain=host, is_primary=is_first)
    return platform


def _shared_behind() -> bool:
    with schema_context(get_public_schema_name()):
        loader = MigrationLoader(connection)
        return not set(loader.disk_migrations) <= set(loader.applied_migrations)
