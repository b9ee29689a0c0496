"""Groups of accounts: who manages them, by page and by API."""

from __future__ import annotations

import pytest

from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from tenants.accounts.groups import services
from tenants.accounts.groups.selectors import groups_visible_to
from tenants.accounts.models import Group

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def olivia(person):
    return person("olivia")


@pytest.fixture
def night_shift(olivia):
    return services.create_group(actor=olivia.actor, name="Night shift")


def test_an_owner_makes_a_group_and_fills_it_and_both_are_on_record(olivia, person, night_shift):
    oscar = person("oscar")

    services.add_member(actor=olivia.actor, group=night_shift, account=oscar.account)

    assert list(groups_visible_to(oscar.actor)) == [night_shift]
    assert groups_visible_to(oscar.actor)[0].size == 1
    codes = AuditEvent.objects.values_list("code", flat=True)
    assert {"accounts.group.create", "accounts.group.add"} <= set(codes)


@pytest.mark.parametrize("username", ["dana", "oscar", "anna", "victor"])
def test_nobody_else_manages_groups(person, night_shift, username):
    actor = person(username).actor

    with pytest.raises(NotPermitted):
        services.create_group(actor=actor, name="Mine")
    with pytest.raises(NotPermitted):
        services.add_member(actor=actor, group=night_shift, account=person(username).account)
    assert not groups_visible_to(actor).exists()
    assert person(username).browser.get("/groups/").status_code == 404


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_a_name_is_needed(olivia, name):
    with pytest.raises(InvalidInput) as refusal:
        services.create_group(actor=olivia.actor, name=name)

    assert "name" in refusal.value.fields


def test_a_name_is_taken_once_whatever_its_case(olivia, night_shift):
    with pytest.raises(Conflict):
        services.create_group(actor=olivia.actor, name="night SHIFT")


def test_who_cannot_log_in_is_not_added(olivia, person, night_shift):
    oscar = person("oscar").account
    oscar.is_active = False
    oscar.save()

    with pytest.raises(Conflict):
        services.add_member(actor=olivia.actor, group=night_shift, account=oscar)


def test_the_pages_do_the_same(olivia, night_shift):
    browser = olivia.browser
    page = f"/groups/{night_shift.pk}/"

    created = browser.post("/groups/", {"name": "Day shift", "description": "By day"})
    browser.post(f"{page}members/", {"account": "oscar"})
    assert created.status_code == 302
    assert browser.post(f"{page}members/", {"account": "nobody"}).status_code == 422
    assert "oscar" in browser.get(page).text
    assert browser.post(f"{page}members/oscar/remove/").status_code == 302
    assert night_shift.members.count() == 0
    assert browser.post(page, {"name": "Late shift"}).status_code == 302
    assert browser.post(page, {"name": "Day shift"}).status_code == 422
    assert browser.post(f"{page}delete/").status_code == 302
    assert list(Group.objects.values_list("name", flat=True)) == ["Day shift"]


def test_the_api_does_the_same(olivia, night_shift):
    api = olivia.api
    address = f"/api/v1/groups/{night_shift.pk}"

    assert api.put(f"{address}/members/oscar").json()["members"] == ["oscar"]
    assert api.put(f"{address}/members/nobody").status_code == 404
    assert api.get("/api/v1/groups").json()["results"][0]["members"] == ["oscar"]
    assert api.delete(f"{address}/members/oscar").json()["members"] == []
    assert api.delete(f"{address}/members/oscar").status_code == 404
    renamed = api.put(address, {"name": "Late shift"}, format="json")
    assert renamed.json()["name"] == "Late shift"
    assert api.delete(address).status_code == 204
    assert api.get(address).status_code == 404
