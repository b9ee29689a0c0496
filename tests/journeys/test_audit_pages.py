"""The audit trail's page, on tenant hosts and on the admin host."""

from __future__ import annotations

import pytest
from django.test import Client

from execfabric.core.models import AuditEvent
from skills.executions import services
from tests.factories.skills import make_skill


@pytest.fixture
def execution(acme, person):
    return services.request_execution(actor=person("oscar").actor, skill=make_skill(), inputs={})


def text_of(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize("username", ["oscar", "dana", "anna", "victor"])
def test_the_trail_is_not_there_for_those_who_do_not_manage(acme, person, username):
    assert person(username).browser.get("/audit/").status_code == 404


def test_an_act_is_shown_with_who_what_and_the_object(execution, person):
    page = text_of(person("olivia").browser.get("/audit/"))

    assert "Run a skill" in page
    assert "oscar" in page
    assert f'href="/executions/{execution.pk}/"' in page


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ({"code": "executions.execution.request"}, True),
        ({"code": "executions.execution.cancel"}, False),
        ({"outcome": "refused"}, False),
        ({"actor": "osc"}, True),
        ({"actor": "dana"}, False),
        ({"since": "2000-01-01", "until": "2999-01-01"}, True),
        ({"until": "2000-01-01"}, False),
        ({"request_id": "nothing-like-it"}, False),
        ({"since": "bad", "code": "bad", "page": "-1", "sort": "bad"}, True),
    ],
)
def test_the_trail_is_filtered(execution, person, query, is_there):
    page = text_of(person("olivia").browser.get("/audit/", query))

    assert (f'href="/executions/{execution.pk}/"' in page) is is_there


def test_the_trail_of_one_object_is_found_by_its_id(execution, person):
    page = text_of(person("olivia").browser.get("/audit/", {"target": str(execution.pk)}))

    assert "Run a skill" in page
    assert "Onboard a script" not in page.split("</form>")[-1]


def test_the_trail_costs_the_same_however_long_it_is(
    execution, person, django_assert_max_num_queries
):
    olivia = person("olivia").browser
    for number in range(5):
        make_skill(f"skill-{number}")

    with django_assert_max_num_queries(9):
        olivia.get("/audit/")


def test_a_tenants_filter_offers_no_act_of_the_platform(acme, person):
    page = text_of(person("olivia").browser.get("/audit/"))

    assert "Open a tenant" not in page
    assert "Finish an execution" in page


def test_super_admins_read_the_platforms_own_trail(platform, person):
    page = text_of(person("sam").browser.get("/platform/audit/"))

    assert AuditEvent.objects.filter(code="registry.tenant.open").exists()
    assert "Open a tenant" in page
    assert 'href="/platform/tenants/acme/"' in page


def test_a_refused_login_shows_which_username_was_tried(acme, person):
    Client(headers={"host": "acme.localhost"}).post(
        "/login/", {"username": "mallory", "password": "a guess"}
    )
    olivia = person("olivia").browser

    assert 'data-label="Object">mallory' in text_of(olivia.get("/audit/"))
    assert 'data-label="Object">mallory' in text_of(olivia.get("/audit/", {"target": "mall"}))
