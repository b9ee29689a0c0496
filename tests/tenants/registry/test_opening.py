"""Opening a tenant: one action, everything or nothing."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django_tenants.utils import schema_context, schema_exists
from rest_framework.test import APIClient

from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from tenants.accounts.models import Account, ApiToken
from tenants.postgresql.owner import as_owner
from tenants.registry.models import Front, Tenant
from tenants.registry.services import OwnerRequest, open_tenant
from tests.owner import owner_connection

OWNER = OwnerRequest("otto", password="a good long password")


@pytest.fixture
def sam(owner_session, platform, person):
    return person("sam").actor


def test_it_has_number_schema_host_owner_and_menu(sam):
    tenant = open_tenant(actor=sam, name="initech", title="Initech", owner=OWNER)

    assert tenant.schema_name == f"tenant_{tenant.number}"
    assert Client(headers={"host": "initech.localhost"}).get("/login/").status_code == 200
    with schema_context(tenant.schema_name):
        otto = Account.objects.get()
        assert otto.check_password("a good long password")
        assert [each.role for each in otto.role_assignments.all()] == ["owner"]


def test_numbers_follow_each_other_and_the_front_follows_the_number(sam):
    first = open_tenant(actor=sam, name="one", title="One", owner=OWNER)
    second = open_tenant(actor=sam, name="two", title="Two", owner=OWNER)

    assert second.number == first.number + 1
    assert second.front == Front.SHARED
    assert Tenant.objects.get(number=1001).front == Front.DEDICATED


def test_its_tables_are_those_of_the_migrations(sam):
    """The replayed dump and a migrated schema have the same tables, constraints and triggers.

    Of a check constraint the name is compared: PostgreSQL spells a re-read expression differently.
    """
    tenant = open_tenant(actor=sam, name="initech", title="Initech", owner=OWNER)

    assert outline(tenant.schema_name) == outline("tenant_template")
    assert outline(tenant.schema_name)


def outline(schema: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, c.relkind::text, '' FROM pg_class c
              WHERE c.relnamespace = %(schema)s::regnamespace AND c.relname <> 'template_ddl'
            UNION SELECT conname, contype::text,
                CASE contype WHEN 'c' THEN ''
                ELSE replace(pg_get_constraintdef(oid), %(schema)s || '.', '') END
              FROM pg_constraint
              WHERE connamespace = %(schema)s::regnamespace
            UNION SELECT t.tgname, t.tgenabled::text, '' FROM pg_trigger t
              JOIN pg_class c ON c.oid = t.tgrelid
              WHERE NOT t.tgisinternal AND c.relnamespace = %(schema)s::regnamespace
            ORDER BY 1, 2, 3
            """,
            {"schema": schema},
        )
        return cursor.fetchall()


def test_without_a_password_there_is_a_link_that_works_once(sam):
    tenant = open_tenant(actor=sam, name="initech", title="Initech", owner=OwnerRequest("otto"))
    browser = Client(headers={"host": "initech.localhost"})
    new = {"password": "my own new secret", "repeated": "my own new secret"}

    assert browser.get(tenant.set_password_path).status_code == 200
    assert browser.post(tenant.set_password_path, new).status_code == 302
    assert browser.post(tenant.set_password_path, new).status_code == 400

    login = browser.post("/login/", {"username": "otto", "password": "my own new secret"})
    assert login.status_code == 302


def test_the_link_of_one_tenant_is_void_on_another(sam, globex):
    connection.set_schema_to_public()
    tenant = open_tenant(actor=sam, name="initech", title="Initech", owner=OwnerRequest("otto"))

    page = Client(headers={"host": "globex.localhost"}).get(tenant.set_password_path)

    assert page.status_code == 400


@pytest.mark.parametrize(
    "name", ["", "Acme", "a b", "-x", "x-", "admin", "free", "open", "x" * 41, "ä"]
)
def test_a_bad_name_is_refused_with_the_reason(sam, name):
    with pytest.raises(InvalidInput) as refusal:
        open_tenant(actor=sam, name=name, title="X", owner=OWNER)

    assert refusal.value.fields["name"]


def test_a_taken_name_or_host_is_a_conflict(sam):
    with pytest.raises(Conflict):
        open_tenant(actor=sam, name="acme", title="Another", owner=OWNER)
    with pytest.raises(Conflict):
        open_tenant(actor=sam, name="new", title="N", owner=OWNER, domain="acme.localhost")


def test_a_failing_owner_leaves_no_half_made_tenant(sam):
    with pytest.raises(InvalidInput):
        open_tenant(actor=sam, name="half", title="Half", owner=OwnerRequest("o", password="1234"))

    assert not Tenant.objects.filter(name="half").exists()
    latest = Tenant.objects.exclude(number=None).order_by("-number").first()
    assert not schema_exists(f"tenant_{latest.number + 1}")


def test_nobody_of_a_tenant_can_open_one(acme, person):
    with pytest.raises(NotPermitted):
        open_tenant(actor=person("olivia").actor, name="mine", title="Mine", owner=OWNER)


def test_opening_is_in_the_platform_s_trail(sam):
    tenant = open_tenant(actor=sam, name="initech", title="Initech", owner=OWNER)

    event = AuditEvent.objects.get(code="registry.tenant.open", target_id=str(tenant.pk))
    assert event.actor_name == "sam"
    assert "a good long password" not in str(event.details)
    assert not re.search(r"set-password/\w", str(event.details))


class TestTheOwnerOfTheDatabase:
    """Opening for real, through the address, with the session of the owner taken for it."""

    @pytest.fixture
    def client(self, django_db_setup, django_db_blocker):
        with django_db_blocker.unblock():
            connection.set_schema_to_public()
            sam = Account.objects.get(username="sam")
            client = APIClient(SERVER_NAME="admin.localhost")
            token = ApiToken.objects.create(user=sam)[1]
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST="admin.localhost")
            yield client
            connection.set_schema_to_public()
            ApiToken.objects.all().delete()
            connection.close()

    def body(self):
        return {"name": "really", "title": "Really", "owner": {"username": "otto"}}

    def test_a_request_opens_a_tenant_that_is_there_for_everybody(self, client):
        answer = client.post("/api/v1/tenants", self.body(), format="json")

        assert answer.status_code == 201
        schema = answer.json()["schema"]
        try:
            page = Client(headers={"host": "really.localhost"}).get("/login/")
            assert page.status_code == 200
            with schema_context(schema):
                assert Account.objects.get().username == "otto"
        finally:
            connection.set_schema_to_public()
            with owner_connection() as server:
                server.execute(f"DROP SCHEMA {schema} CASCADE")
                server.execute(f"DROP ROLE {server.info.dbname}_{schema}")
            with as_owner():
                Tenant.objects.filter(name="really").delete()

    def test_without_it_opening_is_refused_and_the_refusal_on_record(self, client, settings):
        settings.DATABASE_OWNER = None

        answer = client.post("/api/v1/tenants", self.body(), format="json")

        assert answer.status_code == 409
        assert answer.json()["code"] == "owner_unknown"
        connection.set_schema_to_public()
        event = AuditEvent.objects.filter(code="registry.tenant.open").first()
        assert (event.outcome, event.actor_name) == ("refused", "sam")
