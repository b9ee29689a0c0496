"""A database of the operator's own, whose owner is no superuser: set up by commands alone."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from django.conf import settings

from tests.live import ROOT
from tests.owner import owner_connection

pytestmark = pytest.mark.xdist_group("external")  # Its roles are the whole server's.

OWNER, LOGIN, DATABASE = "dba", "skills", "external"
PASSWORD = "a-password-of-the-operator"


@pytest.fixture(scope="module")
def manage(django_db_setup, tmp_path_factory):
    """Return a caller of manage.py on an empty database that OWNER owns."""
    server = settings.DATABASE_OWNER
    with owner_connection() as session:
        session.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        session.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        session.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    environment = {
        **os.environ,
        "EXECFABRIC_DATA_DIR": str(tmp_path_factory.mktemp("external")),
        "EXECFABRIC_DATABASE_URL": url(LOGIN),
        "EXECFABRIC_DATABASE_OWNER_URL": url(OWNER),
    }
    assert server["USER"] not in (OWNER, LOGIN)

    def call(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**environment, **changes},
            capture_output=True,
            text=True,
            timeout=120,
        )

    yield call
    with owner_connection() as session:
        session.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def url(user: str) -> str:
    host = settings.DATABASE_OWNER["HOST"]
    return f"postgresql://{user}:{PASSWORD}@/{DATABASE}?host={host}&port={settings.DATABASE_OWNER['PORT']}"


def test_it_is_set_up_checked_and_closed_by_commands(manage):
    prepared = manage("migrate_platform")
    assert prepared.returncode == 0, prepared.stderr
    assert "the catalogue stays open" in prepared.stdout
    for name in ("one", "two"):
        opened = manage("open_tenant", name)
        assert opened.returncode == 0, opened.stderr

    told = manage("isolation", "check")
    failed = [line[6:] for line in told.stdout.splitlines() if line.startswith("FAIL")]
    assert told.returncode == 1
    assert failed[0].startswith("The catalogue")
    assert not any("read another tenant" in line or "table" in line for line in failed[1:])

    repaired = manage("isolation", "repair").stdout.splitlines()
    statements = [line.strip() for line in repaired if line.startswith(("  GRANT", "  REVOKE"))]
    with owner_connection(dbname=DATABASE) as superuser:
        for statement in statements:
            superuser.execute(statement)
    checked = manage("isolation", "check")
    assert checked.returncode == 0, checked.stdout
    assert "2 tenants are kept apart as promised." in checked.stdout

    # The owner can still do its work with the catalogue closed.
    assert manage("open_tenant", "three").returncode == 0


def test_without_the_owner_a_process_says_what_it_needs(manage):
    refused = manage("migrate_platform", EXECFABRIC_DATABASE_OWNER_URL="")

    assert refused.returncode != 0
    assert "EXECFABRIC_DATABASE_OWNER_URL" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_owner_as_login_is_refused(manage):
    refused = manage("migrate_platform", EXECFABRIC_DATABASE_URL=url(OWNER))

    assert refused.returncode != 0
    assert "logs in as the owner" in refused.stderr


def test_the_login_got_the_configured_password(manage):
    with psycopg.connect(url(LOGIN)) as session:
        assert session.execute("SELECT current_user").fetchone() == (LOGIN,)
