"""The audit trail's page, on tenant hosts and on the admin host."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from html import unescape
from urllib.parse import unquote
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from execfabric.core.models import AuditEvent, AuditRetention, SavedTrailView
from execfabric.core.roles import Role
from execfabric.core.sealing.seals import Signer
from execfabric.core.seals import seal_events
from execfabric.web.audit.links import TARGET_PAGES
from governance.audit.selectors import days_kept
from governance.tenant_data.models import TenantDeletion
from skills.executions import services
from tenants.accounts.services import create_account
from tests.conftest import PASSWORD, tenant_named
from tests.factories.skills import make_skill


@pytest.fixture
def execution(acme, person):
    return services.request_execution(actor=person("oscar").actor, skill=make_skill(), inputs={})


def text_of(response) -> str:
    return response.content.decode()


def rows_of(page: str) -> str:
    """Return the events of the trail's page, without filters and other forms."""
    return page.partition("<tbody")[2].partition("</tbody>")[0]


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
    assert "Onboard a script" not in rows_of(page)


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
    assert f'href="/platform/tenants/acme/?id={tenant_named("acme").pk}"' in page


def test_a_refused_login_shows_which_username_was_tried(acme, person):
    Client(headers={"host": "acme.localhost"}).post(
        "/login/", {"username": "mallory", "password": "a guess"}
    )
    olivia = person("olivia").browser

    assert 'data-label="Object">mallory' in text_of(olivia.get("/audit/"))
    assert 'data-label="Object">mallory' in text_of(olivia.get("/audit/", {"target": "mall"}))


class TestLogs:
    def test_logins_say_who_from_where_with_what_and_why_not(self, acme, person):
        browser = Client(headers={"host": "acme.localhost", "user-agent": "Curious/1.0"})
        browser.post("/login/", {"username": "mallory", "password": "a guess"})
        browser.post("/login/", {"username": "oscar", "password": PASSWORD})

        page = text_of(person("olivia").browser.get("/audit/", {"log": "logins"}))

        assert "mallory" in page
        assert "The username or the password is wrong." in page
        assert "127.0.0.1" in page
        assert "Curious/1.0" in page
        assert "Onboard a script" not in rows_of(page)

    def test_operations_are_what_people_did(self, execution, person):
        page = text_of(person("olivia").browser.get("/audit/", {"log": "operations"}))

        rows = rows_of(page)
        assert "Run a skill" in rows
        assert "Log in" not in rows
        assert "system:" not in rows

    def test_an_agent_is_kept_in_bounds(self, acme, person):
        browser = Client(headers={"host": "acme.localhost", "user-agent": "x" * 5_000})
        browser.post("/login/", {"username": "mallory", "password": "a guess"})

        event = AuditEvent.objects.filter(code="accounts.session.open").first()
        assert event.details["agent"] == "x" * 200

    def test_events_are_found_by_address(self, acme, person):
        Client(headers={"host": "acme.localhost"}).post(
            "/login/", {"username": "mallory", "password": "a guess"}
        )
        olivia = person("olivia").browser

        assert "mallory" in text_of(olivia.get("/audit/", {"address": "127.0.0.1"}))
        assert "mallory" not in text_of(olivia.get("/audit/", {"address": "192.0.2.1"}))


class TestDeepLinks:
    def trail_of(self, browser, page, target):
        """Return the page behind the link to the trail on a page, which must be there."""
        found = re.search(r'class="trail-link" href="([^"]+)"', text_of(browser.get(page)))
        assert found, f"{page} has no link to its trail"
        link = unescape(found[1])
        assert str(target.pk) in unquote(link)
        return rows_of(text_of(browser.get(link)))

    def test_from_a_skill_to_its_trail_and_its_versions_and_back(self, execution, person):
        skill = execution.skill
        browser = person("olivia").browser
        make_skill("another")

        trail = self.trail_of(browser, f"/skills/{skill.name}/versions/", skill)

        assert f'href="/skills/{skill.name}/"' in trail
        assert "another" not in trail

    def test_from_an_execution_and_back(self, execution, person):
        page = f"/executions/{execution.pk}/"
        assert f'href="{page}"' in self.trail_of(person("olivia").browser, page, execution)

    def test_from_a_tenant_and_back(self, platform, person):
        acme = tenant_named("acme")
        page = "/platform/tenants/acme/"
        assert f'href="{page}?id={acme.pk}"' in self.trail_of(person("sam").browser, page, acme)

    def test_a_name_that_is_another_tenant_s_now_leads_to_how_the_first_one_went(
        self, platform, person
    ):
        acme, now = tenant_named("acme"), timezone.now()
        gone = TenantDeletion.objects.create(
            tenant_id=acme.pk + 1_000,
            schema_name="tenant_1000",
            name="acme",
            title="The first Acme",
            status="done",
            reason="They left.",
            requested_by="sam",
            requested_at=now,
            due_at=now,
            touched_at=now,
        )
        browser = person("sam").browser

        answer = browser.get("/platform/tenants/acme/", {"id": gone.tenant_id})

        assert answer.url == f"/platform/deletions/{gone.pk}/"
        assert browser.get("/platform/tenants/acme/", {"id": acme.pk}).status_code == 200
        for nobody in (acme.pk + 1_001, "x", "9" * 40):
            answer = browser.get("/platform/tenants/acme/", {"id": nobody})
            assert answer.status_code == 404

    def test_no_link_for_who_may_not_read_the_trail(self, execution, person):
        page = text_of(person("oscar").browser.get(f"/executions/{execution.pk}/"))
        assert "trail-link" not in page

    def test_every_kind_of_object_with_a_page_names_routes_that_are_there(self):
        for kind, pages in TARGET_PAGES.items():
            for route, field in pages:
                argument = [] if not field else [uuid4(), "a-name", 7]
                for urlconf in ("execfabric.urls_tenant", "execfabric.urls_public"):
                    for one in argument or [None]:
                        with suppress(NoReverseMatch):
                            reverse(route, urlconf, args=[one] if one else [])
                            break
                    else:
                        continue
                    break
                else:
                    pytest.fail(f"{kind}: no host has {route}")


class TestSavedViews:
    def save(self, person, **fields):
        return person.browser.post("/audit/views/", {"name": "Refused runs", **fields})

    def test_filters_are_kept_under_a_name(self, acme, person):
        olivia = person("olivia")
        answer = self.save(olivia, outcome="refused", actor="osc")

        assert answer.url == "/audit/?outcome=refused&actor=osc"
        page = text_of(olivia.browser.get("/audit/views/"))
        assert 'href="/audit/?actor=osc&amp;outcome=refused"' in page

    def test_a_view_is_of_one_person_unless_it_is_shared(self, acme, person):
        create_account(actor=person("olivia").actor, username="ada", roles=frozenset({Role.ADMIN}))
        olivia, ada = person("olivia"), person("ada")
        self.save(olivia, outcome="refused")
        self.save(olivia, outcome="refused", name="For all", is_shared="on")

        page = text_of(ada.browser.get("/audit/views/"))

        assert "For all" in page
        assert "Refused runs" not in page
        view = SavedTrailView.objects.get(name="For all")
        assert ada.browser.post(f"/audit/views/{view.pk}/delete/").status_code in (302, 403)
        assert SavedTrailView.objects.filter(pk=view.pk).exists()
        olivia.browser.post(f"/audit/views/{view.pk}/delete/")
        assert not SavedTrailView.objects.filter(pk=view.pk).exists()

    def test_a_name_is_given_once(self, acme, person):
        olivia = person("olivia")
        self.save(olivia, outcome="refused")
        self.save(olivia, outcome="done")

        assert SavedTrailView.objects.count() == 1

    def test_views_are_not_there_for_who_may_not_read_the_trail(self, acme, person):
        assert self.save(person("oscar"), outcome="refused").status_code == 404
        assert person("oscar").browser.get("/audit/views/").status_code == 404


class TestArchivePages:
    def test_the_page_says_what_would_move_and_a_worker_moves_it(
        self, acme, person, django_capture_on_commit_callbacks, monkeypatch
    ):
        sent = []
        monkeypatch.setattr(
            "celery.Celery.send_task", lambda _app, name, **o: sent.append((name, o))
        )
        seal_events(Signer("k" * 40), below_xid=2**62, everywhere=True,
                    sealed_at=timezone.now() - timedelta(days=400))  # fmt: skip
        olivia = person("olivia").browser

        page = text_of(olivia.get("/audit/archives/", {"days": 365}))
        assert "under the seals 1 to 1 would move" in page
        assert "Nothing sealed is as old" in text_of(olivia.get("/audit/archives/", {"days": 500}))
        with django_capture_on_commit_callbacks(execute=True):
            olivia.post("/audit/archives/request/", {"days": 365})

        assert [(name, options["kwargs"]) for name, options in sent] == [
            ("governance.archive_audit_trail", {"days": 365})
        ]
        assert AuditEvent.objects.filter(code="core.audit.request_archive").count() == 1

    @pytest.mark.parametrize("days", ["29", "99999", "", "x"])
    def test_days_out_of_bounds_are_refused(self, acme, person, days):
        answer = person("olivia").browser.post("/audit/archives/keep/", {"days": days})

        assert answer.status_code == 422
        assert not AuditRetention.objects.exists()

    def test_how_long_events_stay_is_chosen(self, acme, person):
        person("olivia").browser.post("/audit/archives/keep/", {"days": "400"})

        assert AuditRetention.objects.get().days == 400
        assert days_kept() == 400
