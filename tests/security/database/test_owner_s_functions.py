"""Functions that run as the owner of the database, whoever sets them off."""

from __future__ import annotations

from tests.owner import owner_connection

OWNERS = """
    SELECT n.nspname || '.' || p.proname, coalesce(p.proconfig, '{}')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE (p.prosecdef OR p.proname IN ('audit_archives_stay', 'core_archived_only'))
    AND n.nspname !~ '^pg_'
"""
"""The two by name are set off by one that runs as the owner."""


def test_they_find_nothing_that_somebody_else_made(db):
    with owner_connection() as owner:
        functions = owner.execute(OWNERS).fetchall()

    assert {name.rpartition(".")[2] for name, _config in functions} >= {
        "audit_archives_remove", "registry_erase_tenant", "core_own_transaction",
    }  # fmt: skip
    path = "search_path=pg_catalog, pg_temp"
    assert [name for name, config in functions if path not in config] == []
