"""Every way to data carries the tenant; what is new needs a decision."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection

from tenants.postgresql.exposure import CLOSED, OPENINGS
from tests.architecture.test_rules import ROOT, modules

RAW_SQL = {
    "execfabric/core/actions.py",
    "execfabric/core/seals.py",
    "execfabric/core/statements.py",
    "execfabric/web/health.py",
    "skills/batches/lifecycle.py",
    "skills/catalogue/selectors.py",
    "skills/executions/lifecycle.py",
    "skills/executions/limits.py",
    "skills/executions/selectors.py",
    "tenants/accounts/authentication.py",
    "tenants/postgresql/inspection.py",
    "tenants/postgresql/probing.py",
    "tenants/postgresql/repairing.py",
    "tenants/postgresql/roles.py",
    "tenants/postgresql/strangers.py",
    "tenants/postgresql/catalog.py",
    "tenants/registry/migrating.py",
    "tenants/registry/provisioning.py",
    "tenants/registry/selectors.py",
    "tenants/registry/upgrading.py",
}
"""The files that send SQL of their own, made of constants; those below tenants/ as the owner."""
STORAGE_DOOR = "execfabric/core/storage.py"


def tables_of_public_alone():
    shared = set(settings.SHARED_APPS) - set(settings.TENANT_APPS)
    return {
        model._meta.db_table
        for config in apps.get_app_configs()
        if config.name in shared
        for model in config.get_models(include_auto_created=True)
    }


def test_every_table_of_the_public_domain_has_a_decision_on_tenants():
    decided = OPENINGS.keys() | CLOSED

    assert tables_of_public_alone() == decided, (
        "Call open_to_tenants() or keep_closed() for each in the apps.py of its package."
    )


def calls_in(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_sql_of_our_own_is_sent_from_listed_files_only(path):
    name = str(path.relative_to(ROOT))
    raw = {"cursor.execute", "RawSQL", "connection.cursor", "raw", "extra", "statements.send"}

    found = {call for call in calls_in(path) if call in raw or call.endswith((".raw", ".extra"))}

    assert not found or name in RAW_SQL, f"{name} sends SQL of its own: {sorted(found)}"


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_goes_round_the_cursor_that_enters_the_schema(path):
    if path.parent == ROOT / "tenants" / "postgresql":
        return
    names = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"connection", "pgconn"}
    }

    assert not {name for name in names if name.endswith(("connection.connection", "pgconn"))}


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_stored_files_have_one_door(path):
    if str(path.relative_to(ROOT)) == STORAGE_DOOR:
        return
    names = {
        node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
    }

    assert not names & {"default_storage", "storages"}


def test_keys_of_the_cache_carry_the_schema(acme):
    from django.core.cache import cache

    cache.set("whose", "acme's")
    connection.set_schema_to_public()

    assert cache.get("whose") is None
    assert acme.schema_name in settings_key(acme)


def settings_key(tenant) -> str:
    from django.core.cache import cache

    connection.set_tenant(tenant)
    return cache.make_key("whose")
