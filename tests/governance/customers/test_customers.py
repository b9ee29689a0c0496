"""The customer ledger: services, pages and API."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.models import AuditEvent
from governance.customers.models import Customer
from governance.customers.services import (
    ContactFacts,
    CustomerFacts,
    add_contact,
    create_customer,
    link_tenant,
)
from tenants.registry.models import Tenant

pytestmark = pytest.mark.usefixtures("platform")
NOON = timezone.now()


@pytest.fixture
def sam(person):
    return person("sam")


@pytest.fixture
def initech(sam):
    facts = CustomerFacts("Initech Ltd", reference="K-17", status="active")
    return create_customer(actor=sam.actor, facts=facts, created_at=NOON)


def text_of(response) -> str:
    return response.content.decode()


def test_a_customer_is_added_by_page_and_found_by_its_contact(sam):
    form = {
        "name": "Initech Ltd", "status": "active", "contract_begins_on": "2026-01-01",
        "contract_ends_on": "2026-12-31", "notes": "Pays late.",
    }  # fmt: skip
    page = sam.browser.post("/platform/customers/new/", form).url
    sam.browser.post(f"{page}contacts/", {"name": "Bill", "email": "bill@initech.example"})

    assert "Pays late." in text_of(sam.browser.get(page))
    found = text_of(sam.browser.get("/platform/customers/", {"q": "bill@"}))
    assert "Initech Ltd" in found
    assert "2026-12-31" in found
    assert "No customer fits" in text_of(sam.browser.get("/platform/customers/", {"q": "ted"}))
    codes = AuditEvent.objects.filter(code__startswith="customers.").values_list("code", flat=True)
    assert sorted(codes) == ["customers.contact.add", "customers.customer.create"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"status": "rich"}, "status"),
        (
            {"contract_begins_on": "2026-02-01", "contract_ends_on": "2026-01-01"},
            "contract_ends_on",
        ),
        ({"contract_ends_on": "soon"}, "contract_ends_on"),
    ],
)
def test_what_does_not_fit_is_shown_beside_its_field(sam, change, field):
    form = {"name": "Initech", "status": "active", **change}

    response = sam.browser.post("/platform/customers/new/", form)

    assert response.status_code == 422
    assert f'id="id_{field}_error"' in text_of(response)
    assert not Customer.objects.exists()


def test_a_name_is_taken_whatever_its_case(sam, initech):
    with pytest.raises(Conflict):
        create_customer(actor=sam.actor, facts=CustomerFacts("INITECH LTD"), created_at=NOON)


def test_a_contact_needs_a_way_to_reach_it(sam, initech):
    with pytest.raises(InvalidInput) as refused:
        add_contact(actor=sam.actor, customer=initech, facts=ContactFacts("Bill"))

    assert list(refused.value.fields) == ["email"]


def test_there_is_one_main_contact(sam, initech):
    for name in ("Bill", "Peter"):
        facts = ContactFacts(name, phone="1", is_main=True)
        add_contact(actor=sam.actor, customer=initech, facts=facts)

    assert [one.name for one in initech.contacts.filter(is_main=True)] == ["Peter"]


def test_a_tenant_belongs_to_one_customer_and_each_page_leads_to_the_other(sam, initech):
    acme = Tenant.objects.get(name="acme")
    page = f"/platform/customers/{initech.pk}/"
    sam.browser.post(f"{page}tenants/", {"tenant": "acme"})

    assert "/platform/tenants/acme/" in text_of(sam.browser.get(page))
    assert page in text_of(sam.browser.get("/platform/tenants/acme/"))
    assert "Initech Ltd" not in text_of(sam.browser.get("/platform/tenants/globex/"))
    other = create_customer(actor=sam.actor, facts=CustomerFacts("Umbrella"), created_at=NOON)
    with pytest.raises(Conflict, match="Initech Ltd"):
        link_tenant(actor=sam.actor, customer=other, tenant=acme, linked_at=NOON)

    sam.browser.post(f"{page}tenants/acme/unlink/")

    assert not initech.links.exists()


def test_the_list_costs_the_same_however_many_customers_there_are(
    sam, initech, django_assert_max_num_queries
):
    for number in range(5):
        facts = CustomerFacts(f"Customer {number}")
        customer = create_customer(actor=sam.actor, facts=facts, created_at=NOON)
        add_contact(actor=sam.actor, customer=customer, facts=ContactFacts("Bill", phone="1"))
    with django_assert_max_num_queries(9):
        sam.browser.get("/platform/customers/")


def test_the_api_does_what_the_pages_do(sam):
    made = sam.api.post("/api/v1/customers", {"name": "Initech"}, format="json")
    assert made.status_code == 201
    path = f"/api/v1/customers/{made.json()['id']}"

    sam.api.post(f"{path}/contacts", {"name": "Bill", "phone": "1"}, format="json")
    sam.api.put(f"{path}/tenants/acme")
    ends = date.today() + timedelta(days=9)
    body = {"name": "Initech", "status": "active", "contract_ends_on": ends.isoformat()}
    changed = sam.api.put(path, body, format="json").json()

    assert changed["contract_ends_on"] == ends.isoformat()
    assert [one["name"] for one in changed["contacts"]] == ["Bill"]
    assert [one["name"] for one in changed["tenants"]] == ["acme"]
    contact = changed["contacts"][0]["id"]
    assert sam.api.delete(f"{path}/contacts/{contact}").status_code == 204
    assert sam.api.delete(f"{path}/tenants/acme").status_code == 204
    assert sam.api.delete(f"{path}/tenants/acme").status_code == 409
    listed = sam.api.get("/api/v1/customers", {"q": "init"}).json()["results"]
    assert [one["name"] for one in listed] == ["Initech"]
    assert sam.api.get("/api/v1/customers", {"status": "rich"}).status_code == 400
