"""A session such as injected SQL would have, without any precaution of ours: PostgreSQL alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection

from tests.owner import owner_connection

OTHERS = ("globex", "gina", "sam@", "'sam'", "tenant_1002", "tenant_free")
"""What only rows of others say: the tenant globex, its owner, and the platform's administrator."""
PATIENCE = "SET lock_timeout = '2s'; SET statement_timeout = '5s'"


def tenant_schemas() -> dict[str, str]:
    """Return the schema of each tenant by its name."""
    with owner_connection() as owner:
        return dict(
            owner.execute("SELECT name, schema_name FROM public.registry_tenant").fetchall()
        )


def names_for(own: str, other: str) -> dict[str, str]:
    """Return what the braces of a hostile statement stand for."""
    database = connection.settings_dict["NAME"]
    return {
        "own": own,
        "other": other,
        "me": f'"{database}_{own}"',
        "victim": f'"{database}_{other}"',
        "control": f'"{database}_public"',
        "group": f'"{database}_tenants"',
        "login": f'"{connection.settings_dict["USER"]}"',
        "database": f'"{database}"',
    }


def plain_connection(**options: Any) -> psycopg.Connection[Any]:
    """Log in as the application does, with psycopg's own cursors and no role yet."""
    configured = connection.settings_dict
    parts = {key.lower(): configured[key] for key in ("HOST", "PORT", "USER", "PASSWORD")}
    return psycopg.connect(
        dbname=configured["NAME"], **parts, **settings.DATABASES["default"]["OPTIONS"], **options
    )


@contextmanager
def session_of(schema: str) -> Iterator[psycopg.Connection[Any]]:
    """Yield a session in the role of a tenant, outside any transaction."""
    role = f"{connection.settings_dict['NAME']}_{schema}"
    with plain_connection(autocommit=True) as session:
        session.execute(PATIENCE)
        session.execute(f'SET search_path = {schema}, public; SET ROLE "{role}"')
        yield session
