"""Creating a tenant's schema by replaying a dump of a migrated template schema (about 0.1 s).

Running the migrations for each tenant would take one to two seconds; a cloning function renames
constraints. A dump keeps every name, so later migrations find what they expect.
"""

from __future__ import annotations

import functools
import hashlib
import re
import subprocess
import time
from collections.abc import Callable

import structlog
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django_tenants.utils import schema_context, schema_exists
from psycopg import sql

from tenants.postgresql.repairing import repair_tenant_roles
from tenants.postgresql.roles import TEMPLATE

from .models import Tenant

logger = structlog.get_logger(__name__)

KEPT = "template_ddl"
"""Table of the template's schema with the SQL that new tenants are made by."""
PLACEHOLDER = "@@schema@@"

Initializer = Callable[[Tenant], None]
_initializers: list[Initializer] = []


def on_tenant_provisioned(initializer: Initializer) -> Initializer:
    """Register what a higher floor does in each new schema; called with the schema current."""
    _initializers.append(initializer)
    return initializer


def provision_schema(tenant: Tenant) -> None:
    """Create tenant's schema with all tables and its role, and run every initializer in it.

    Needs a session of the owner. Joins the transaction at hand, so a failure leaves no half-made
    tenant.
    """
    if schema_exists(tenant.schema_name):
        raise RuntimeError(f"Schema {tenant.schema_name} exists already.")
    ddl = _template_ddl(_migrations_digest())
    quoted = connection.ops.quote_name(tenant.schema_name)
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(ddl.replace(PLACEHOLDER, quoted))
    repair_tenant_roles([tenant.schema_name])
    with schema_context(tenant.schema_name):
        initialize_schema(tenant)
    logger.info(
        "tenant.provisioned",
        opened=tenant.schema_name,
        seconds=round(time.perf_counter() - started, 3),
    )


def initialize_schema(tenant: Tenant) -> None:
    """Run every initializer for tenant in the current schema."""
    for initializer in _initializers:
        initializer(tenant)


def prepare_template() -> None:
    """Build the template schema if it is missing or behind.

    For one process at a time, and outside any transaction: migrating closes the connection.
    """
    digest = _migrations_digest()
    if not _template_is_current():
        _build_template()
    if _kept_ddl(digest) is None:
        _keep_ddl(digest)


def tenant_migrations() -> list[str]:
    """Return ``app.name`` of every migration on disk that a tenant's schema must have."""
    labels = {_label(name) for name in settings.TENANT_APPS}
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    return sorted(f"{app}.{name}" for app, name in known if app in labels)


@functools.lru_cache(maxsize=1)
def _migrations_digest() -> str:
    """Return a digest of the tenant migrations on disk: same digest, same tables."""
    return hashlib.sha256("\n".join(tenant_migrations()).encode()).hexdigest()[:16]


def _label(app: str) -> str:
    return next(each.label for each in apps.get_app_configs() if each.name == app)


@functools.lru_cache(maxsize=1)
def _template_ddl(digest: str) -> str:
    """Return the SQL of an empty tenant schema, its name replaced by PLACEHOLDER."""
    found = _kept_ddl(digest) if _template_is_current() else None
    if found is None:
        raise RuntimeError("The database is behind this version. Run: manage.py migrate_platform")
    return found


def _kept_ddl(digest: str) -> str | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"{TEMPLATE}.{KEPT}"])
        if cursor.fetchone() == (None,):
            return None
        query = sql.SQL("SELECT ddl FROM {} WHERE digest = %s")
        cursor.execute(query.format(sql.Identifier(TEMPLATE, KEPT)), [digest])
        found = cursor.fetchone()
    return str(found[0]) if found else None


def _keep_ddl(digest: str) -> None:
    """Dump the template and keep the SQL beside it.

    It is run as the owner, so it lies where only the owner can read and write. Kept at all, since
    dumping takes seconds where there are a thousand tenants.
    """
    ddl = _as_template(_dump())
    table = sql.Identifier(TEMPLATE, KEPT)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        cursor.execute(sql.SQL("CREATE TABLE {} (digest text, ddl text)").format(table))
        cursor.execute(sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(table), [digest, ddl])


def _template_is_current() -> bool:
    if not schema_exists(TEMPLATE):
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"{TEMPLATE}.django_migrations"])
        if cursor.fetchone() == (None,):
            return False
        table = sql.Identifier(TEMPLATE, "django_migrations")
        cursor.execute(sql.SQL("SELECT app || '.' || name FROM {}").format(table))
        applied = {name for (name,) in cursor.fetchall()}
    return set(tenant_migrations()) <= applied


def _build_template() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {TEMPLATE} CASCADE")
        cursor.execute(f"CREATE SCHEMA {TEMPLATE}")
    call_command("migrate_schemas", schema_name=TEMPLATE, verbosity=0, interactive=False)


def _dump() -> str:
    database = connection.settings_dict
    command = [str(settings.PG_DUMP), "--no-owner", "--no-privileges", "--no-comments", "--inserts"]
    command += [
        "--exclude-table",
        f"{TEMPLATE}.{KEPT}",
        "--schema",
        TEMPLATE,
        "--dbname",
        str(database["NAME"]),
    ]
    environment = {
        "PGHOST": str(database["HOST"]),
        "PGPORT": str(database["PORT"] or 5432),
        "PGUSER": str(database["USER"]),
        "PGPASSWORD": str(database["PASSWORD"]),
        "LC_ALL": "C",
        # libpq's names of connection options, such as sslmode, are PG… in the environment.
        **{f"PG{name.upper()}": str(value) for name, value in database["OPTIONS"].items()},
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"pg_dump of the template schema failed: {done.stderr.strip()}")
    return done.stdout


def _as_template(dump: str) -> str:
    """Drop what is about the session and not the schema, and put PLACEHOLDER for its name."""
    session = ("--", "SET ", "\\", "SELECT pg_catalog.set_config")
    lines = [line for line in dump.splitlines() if line and not line.startswith(session)]
    body = re.sub(rf"(?<![\w]){TEMPLATE}(?=[.;])", PLACEHOLDER, "\n".join(lines))
    if TEMPLATE in body:
        raise RuntimeError("The template dump names its schema in a place that is not understood.")
    return body
