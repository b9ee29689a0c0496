"""Counting what tenants use, and what the overview makes of it."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from execfabric.core import presence
from execfabric.core.ids import uuid7
from execfabric.core.redis import client
from governance.dashboard import charts
from governance.tenant_data.models import TenantExport
from governance.usage.models import DailyRuns, ResourceHealth, TenantUsage
from governance.usage.selectors import failing_resources, refused_resources, runs_over_time
from governance.usage.services import _count_calls, count_tenant
from governance.usage.tasks import count_usage
from skills.catalogue.models import SkillVersion
from skills.executions.files import upload_file
from skills.executions.models import Execution
from skills.executions.services import request_execution
from tenants.registry.models import Tenant
from tests.factories.skills import make_skill

NOW = timezone.now()


@pytest.fixture
def sam(platform, person):
    return person("sam")


@pytest.fixture
def busy_acme(acme, person):
    """acme with three executions of today, one of them failed, and a file; goes on in public."""
    oscar = person("oscar").actor
    skill = make_skill()
    upload_file(actor=oscar, name="a.csv", content=io.BytesIO(b"12345"))
    runs = [
        request_execution(actor=oscar, skill=skill, inputs={"name": str(number)})
        for number in range(3)
    ]
    Execution.objects.filter(pk=runs[0].pk).update(status="failed", finished_at=NOW)
    connection.set_schema_to_public()
    return acme


def test_a_tenant_is_counted(busy_acme):
    count_tenant(busy_acme, timezone.now())

    usage = TenantUsage.objects.get(tenant=busy_acme)
    assert (usage.runs_30d, usage.failed_30d, usage.files_bytes) == (3, 1, 5)
    assert (usage.accounts, usage.skills) == (5, 1)
    assert usage.bundles_bytes > 0
    assert timezone.now() - usage.last_activity_at < timedelta(minutes=1)
    assert DailyRuns.objects.get(tenant=busy_acme).total == 3


def test_counting_again_changes_nothing_and_sees_what_is_new(busy_acme, person):
    count_tenant(busy_acme, timezone.now())
    connection.set_tenant(busy_acme)
    request_execution(actor=person("oscar").actor, skill=make_skill("other"), inputs={"name": "x"})
    connection.set_schema_to_public()

    count_tenant(busy_acme, timezone.now())

    assert TenantUsage.objects.get(tenant=busy_acme).runs_30d == 4


def test_the_clock_counts_every_tenant_and_one_that_fails_stops_no_other(
    busy_acme, platform, monkeypatch
):
    count = count_tenant

    def fails_for_globex(tenant, now):
        if tenant.schema_name == "tenant_1002":
            raise RuntimeError("odd")
        count(tenant, now)

    monkeypatch.setattr("governance.usage.tasks.count_tenant", fails_for_globex)

    count_usage.run()

    assert TenantUsage.objects.filter(tenant__name="acme").exists()
    assert not TenantUsage.objects.filter(tenant__name="globex").exists()


def test_the_busiest_tenants_are_shown_and_the_rest_together(sam):
    tenants = list(Tenant.objects.exclude(kind="platform").order_by("pk"))
    for tenant, total in zip(tenants, (7, 5, 2), strict=True):
        DailyRuns.objects.create(tenant=tenant, day=NOW.date(), total=total, failed=1)

    found = runs_over_time(sam.actor, NOW, days=7, top=1)

    assert [(line.name, line.total) for line in found.lines] == [(tenants[0].name, 7), ("", 7)]
    assert len(found.days) == 7
    assert sum(found.failed) == 3


def test_a_chart_stacks_to_its_highest_day():
    days = [NOW.date() - timedelta(days=1), NOW.date()]

    chart = charts.stacked_bars("Runs", days, [("A", "/a", (1, 2)), ("B", "", (0, 2))])

    assert chart.highest == 4
    assert [(bar.series, bar.y, bar.height) for bar in chart.bars] == [
        (0, 75.0, 25.0), (0, 50.0, 50.0), (1, 0.0, 50.0),
    ]  # fmt: skip
    assert [row[2] for row in chart.rows] == [4, 1]
    assert charts.stacked_bars("Runs", days, []).bars == ()


def test_a_resource_is_failing_when_too_many_of_its_calls_failed(sam):
    acme, globex = Tenant.objects.get(name="acme"), Tenant.objects.get(name="globex")
    for tenant, name, total, failed in (
        (acme, "rates", 10, 1), (globex, "rates", 2, 2), (acme, "fine", 100, 1),
    ):  # fmt: skip
        ResourceHealth.objects.create(tenant=tenant, name=name, total=total, failed=failed)

    assert [(one.name, one.calls, one.failed) for one in failing_resources(sam.actor)] == [
        ("rates", 12, 3)
    ]


def test_refused_calls_are_no_failures_of_the_resource(sam):
    acme, globex = Tenant.objects.get(name="acme"), Tenant.objects.get(name="globex")
    for tenant, name, failed, refused in (
        (acme, "strict", 0, 8), (globex, "strict", 1, 0), (acme, "down", 3, 6),
    ):  # fmt: skip
        ResourceHealth.objects.create(
            tenant=tenant, name=name, total=10, failed=failed, refused=refused
        )

    assert [(one.name, one.calls, one.failed) for one in failing_resources(sam.actor)] == [
        ("down", 4, 3)
    ]
    assert [(one.name, one.calls, one.failed) for one in refused_resources(sam.actor)] == [
        ("strict", 20, 8), ("down", 10, 6),
    ]  # fmt: skip
    page = sam.browser.get("/platform/").content.decode()
    assert "3 of 4 calls in 24 h" in page
    assert "8 of 20 calls not sent in 24 h" in page


def test_what_the_platform_did_not_send_or_failed_itself_is_told_apart(acme, person, platform):
    connection.set_tenant(acme)
    skill = make_skill()
    version = SkillVersion.objects.get(skill=skill)  # Which stays as it is: another one.
    version.pk, version.number, version.kind = None, 2, "http"
    version.script_version = None
    version.resource = {"http_resource": str(uuid7()), "version": 1}
    version.save(force_insert=True)
    endings = {
        "succeeded": "exited",
        "failed": "exited",
        "timed_out": "time_limit",
        "refused": "could_not_start",
        "ours": "platform_failed",
        "lost": "",
    }
    run = request_execution(actor=person("oscar").actor, skill=skill, inputs={"name": "x"})
    run.version, run.finished_at = version, NOW
    for name, reason in endings.items():
        run.pk, run.stop_reason = uuid7(), reason
        run.status = name if name in {"succeeded", "timed_out", "lost"} else "failed"
        run.save(force_insert=True)

    (calls,) = _count_calls(timezone.now()).values()

    assert (calls.total, calls.failed, calls.refused) == (6, 2, 1)
    assert calls.last_failed_at == NOW


class TestTheOverview:
    @pytest.fixture(autouse=True)
    def no_workers(self):
        client().delete(presence.KEY)
        yield
        client().delete(presence.KEY)

    def page(self, sam, **query):
        return sam.browser.get("/platform/", query).content.decode()

    def test_more_failed_exports_than_are_shown_are_counted(self, sam):
        now = timezone.now()
        for number in range(7):
            TenantExport.objects.create(
                tenant_id=number,
                schema_name=f"tenant_{number}",
                name=f"n{number}",
                title=f"Leaving {number}",
                status="failed",
                reason="x",
                requested_by="sam",
                requested_at=now,
                touched_at=now,
            )

        shown = sam.browser.get("/platform/").context["waiting"]

        (waiting,) = [one for one in shown if one.title == "Failed exports"]
        assert (waiting.count, len(waiting.items)) == (7, 4)

    def test_it_shows_what_waits(self, sam):
        today = timezone.now().date()
        Tenant.objects.filter(name="acme").update(expires_on=today + timedelta(days=3))

        page = self.page(sam)

        assert "Tenants that expire" in page
        assert (today + timedelta(days=3)).isoformat() in page

    def test_it_says_when_nothing_waits(self, sam):
        assert "Nothing waits." in self.page(sam)

    def test_it_shows_executions_as_bars_and_as_a_table(self, sam):
        acme = Tenant.objects.get(name="acme")
        DailyRuns.objects.create(tenant=acme, day=timezone.now().date(), total=41, failed=0)

        page = self.page(sam, days="7")

        assert '<rect class="series-0"' in page
        assert "Acme: 41</title>" in page
        assert '<td class="num">41</td>' in page
        assert 'aria-labelledby="runs-chart-title runs-chart-text"' in page
        assert "41 in 7 days." in page.partition('<desc id="runs-chart-text">')[2][:100]

    def test_it_shows_workers_and_says_which_queue_nobody_serves(self, sam):
        worker = presence.own_presence(does="runs", queues=("default",), slots=4)
        presence.tell(worker, busy=1)

        page = self.page(sam)

        assert worker.name in page
        assert "1 / 4" in page
        assert "Nobody serves the queue hot-update" in page
        assert "Nobody serves the queue default" not in page

    def test_a_worker_that_says_nothing_is_silent(self, sam):
        worker = presence.own_presence(does="runs", queues=("default",), slots=4)
        presence.tell(worker)

        (seen,) = presence.known_workers(timezone.now())

        assert not seen.is_silent(timezone.now())
        assert seen.is_silent(timezone.now() + timedelta(seconds=30))
        assert presence.known_workers(timezone.now() + timedelta(days=2)) == []

    def test_it_asks_no_schema_of_a_tenant_however_many_there_are(
        self, sam, django_assert_max_num_queries
    ):
        with django_assert_max_num_queries(20):
            self.page(sam)
