"""Bringing every schema up to date, touching only those that are behind."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django_tenants.utils import get_public_schema_name, schema_context
from psycopg import sql

from execfabric.core.actions import action
from execfabric.core.actor import Actor
from execfabric.core.roles import SYSTEM

from .models import Domain, Tenant, TenantKind
from .provisioning import initialize_schema, prepare_template, tenant_migrations

Progress = Callable[[str], None]


def migrate_platform(progress: Progress) -> None:
    """Create or upgrade the public schema, the template and every tenant's schema.

    Safe to run again; a schema that is up to date costs one line of a single query.
    """
    if _shared_behind():
        progress("upgrading the public schema")
        call_command("migrate_schemas", schema_name="public", verbosity=0, interactive=False)
    ensure_platform(actor=Actor.system("migrate"))
    prepare_template()
    behind = schemas_behind()
    for number, tenant in enumerate(behind, start=1):
        progress(f"upgrading {tenant.schema_name} ({number} of {len(behind)})")
        call_command(
            "migrate_schemas", schema_name=tenant.schema_name, verbosity=0, interactive=False
        )
    for tenant in Tenant.objects.all():
        with schema_context(tenant.schema_name):
            initialize_schema(tenant)


def schemas_behind() -> list[Tenant]:
    """Return the tenants whose schema lacks a migration that is on disk.

    Three queries, however many tenants there are. One without a schema is left out.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace")
        present = {name for (name,) in cursor.fetchall()}
    customers = Tenant.objects.exclude(kind=TenantKind.PLATFORM).order_by("pk")
    tenants = [tenant for tenant in customers if tenant.schema_name in present]
    if not tenants:
        return []
    wanted = tenant_migrations()
    count = sql.SQL(
        "SELECT {name}, count(*) FROM {table} WHERE app || '.' || name = ANY(%(wanted)s)"
    )
    parts = [
        count.format(
            name=sql.Literal(tenant.schema_name),
            table=sql.Identifier(tenant.schema_name, "django_migrations"),
        )
        for tenant in tenants
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(" UNION ALL ").join(parts), {"wanted": wanted})
        applied = dict(cursor.fetchall())
    return [tenant for tenant in tenants if applied[tenant.schema_name] < len(wanted)]


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
