"""A backup restored under another name keeps tenants apart, once it was repaired."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from psycopg import sql

from tenants.accounts.models import Account
from tenants.registry.models import Tenant
from tests.owner import owner_connection

PROGRAMS = Path(settings.PG_DUMP).parent

pytestmark = pytest.mark.skipif(
    not (PROGRAMS / "psql").exists(), reason="There is no psql to restore with."
)


def run_as_owner(program, *arguments, text=""):
    owner = settings.DATABASE_OWNER
    address = {f"PG{key}": str(owner[key]) for key in ("HOST", "PORT", "USER", "PASSWORD")}
    return subprocess.run(
        [PROGRAMS / program, *arguments],
        env={**os.environ, **address, "LC_ALL": "C"},
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def repair():
    said = io.StringIO()
    call_command("isolation", "repair", stdout=said)
    return said.getvalue()


@pytest.fixture(params=[(), ("--no-owner", "--no-privileges")], ids=["whole", "without_rights"])
def restored(request, committed):
    """The tenants acme and globex, in a restored copy that the connection leads to."""
    before = connection.settings_dict["NAME"]
    copy = f"{before}_copy"
    dump = run_as_owner("pg_dump", *request.param, before)
    connection.close()
    with owner_connection() as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")
        owner.execute(f"CREATE DATABASE {copy} TEMPLATE template0")
    try:
        run_as_owner("psql", "-q", "-v", "ON_ERROR_STOP=1", copy, text=dump)
        connection.settings_dict["NAME"] = copy
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
        with owner_connection() as owner:
            owner.execute(f"DROP DATABASE {copy} WITH (FORCE)")
            made = owner.execute(
                "SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [f"{copy}_"]
            )
            for (role,) in made.fetchall():
                owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_it_is_not_open_before_and_kept_apart_after_a_repair(restored):
    with pytest.raises(CommandError):
        call_command("isolation", "check", stdout=io.StringIO())
    with pytest.raises(DatabaseError):
        Tenant.objects.count()
    connection.close()

    assert "FAIL" not in repair()

    acme, globex = Tenant.objects.get(name="acme"), Tenant.objects.get(name="globex")
    connection.set_tenant(acme)
    assert Account.objects.filter(username="olivia").exists()
    assert [tenant.name for tenant in Tenant.objects.all()] == ["acme"]
    with pytest.raises(DatabaseError, match="permission denied"):
        Account.objects.raw(f"SELECT * FROM {globex.schema_name}.accounts_account")[0]


def test_the_roles_of_the_database_it_was_made_of_have_no_right_in_it(restored):
    repair()

    with owner_connection() as owner:
        held = owner.execute(
            "SELECT r.rolname, acl.privilege_type FROM pg_roles r,"
            " (SELECT relacl FROM pg_class UNION ALL SELECT nspacl FROM pg_namespace) a (acl),"
            " aclexplode(a.acl) acl WHERE acl.grantee = r.oid AND starts_with(r.rolname, %s)"
            " AND NOT starts_with(r.rolname, %s)",
            [
                connection.settings_dict["NAME"].removesuffix("_copy"),
                connection.settings_dict["NAME"],
            ],
        )
        assert held.fetchall() == []


def test_the_database_it_was_made_of_is_as_it_was(restored, request):
    repair()
    connection.close()
    connection.settings_dict["NAME"] = connection.settings_dict["NAME"].removesuffix("_copy")

    said = io.StringIO()
    call_command("isolation", "check", stdout=said)

    assert "FAIL" not in said.getvalue()
