"""The audit trail for programs: the same selectors, filters and services as the pages."""

from __future__ import annotations

import gzip
import json

import pytest
from django.utils import timezone
from django_tenants.utils import schema_context

from execfabric.core.models import AuditEvent, AuditSeal
from execfabric.core.sealing.verifying import kept_seals, verify
from execfabric.web.audit.exporting import as_csv, as_jsonl, seals_as_lines
from governance.audit.archiving import keep_trail
from governance.audit.selectors import archives_here
from skills.executions.services import request_execution
from tests.factories.skills import make_skill

from .conftest import happen, seal

BASE = "/api/v1/audit"


@pytest.fixture
def olivia(acme, person):
    return person("olivia").api


@pytest.fixture
def run(acme, person):
    oscar = person("oscar").actor
    return request_execution(actor=oscar, skill=make_skill(), inputs={"name": "Ada"})


def content_of(answer) -> bytes:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def codes(answer) -> set[str]:
    assert answer.status_code == 200, answer.content
    return {row["code"] for row in answer.json()["results"]}


@pytest.mark.parametrize(
    "filters",
    [
        {"actor": "oscar"},
        {"code": "executions.execution.request"},
        {"outcome": "done", "since": "2000-01-01", "until": "2999-01-01", "target": "{id}"},
        {"object": "executions.execution:{id}"},
        {"request_id": "{request}"},
        {"log": "operations"},
    ],
)
def test_the_filters_of_the_page_find_an_event(olivia, run, filters):
    event = AuditEvent.objects.get(code="executions.execution.request")
    words = {"id": run.pk, "request": event.request_id}
    query = {name: text.format(**words) for name, text in filters.items()}

    answer = olivia.get(f"{BASE}/events", query)

    (found,) = [row for row in answer.json()["results"] if row["id"] == str(event.pk)]
    assert (found["actor_name"], found["title"]) == ("oscar", "Run a skill")
    assert found["target_id"] == str(run.pk)


def test_the_login_log_is_a_filter(olivia, acme, person, run):
    person("oscar").api.post("/api/v1/auth/logout")

    assert codes(olivia.get(f"{BASE}/events", {"log": "logins"})) == {"accounts.token.revoke"}


def test_pages_follow_each_other(olivia):
    happen(*"abcde")
    first = olivia.get(f"{BASE}/events", {"limit": 3}).json()
    second = olivia.get(first["next"]).json()

    ids = [row["id"] for row in first["results"] + second["results"]]
    assert len(ids) == len(set(ids)) >= 5
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    "query", [{"outcome": "odd"}, {"since": "odd"}, {"code": "odd"}, {"log": "odd"}]
)
def test_a_filter_that_does_not_fit_is_told(olivia, query):
    answer = olivia.get(f"{BASE}/events", query)

    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == list(query)


@pytest.mark.parametrize("address", ["events", "seals", "seals.jsonl", "archives", "retention"])
def test_without_the_right_there_is_no_trail(acme, person, address):
    assert person("oscar").api.get(f"{BASE}/{address}").status_code == 404
    assert person("olivia").api.get(f"{BASE}/{address}").status_code == 200


def test_each_host_shows_its_own_trail(olivia, platform, person):
    happen("of_the_platform")

    assert "tests.of_the_platform.do" in codes(person("sam").api.get(f"{BASE}/events"))
    assert "tests.of_the_platform.do" not in codes(olivia.get(f"{BASE}/events"))


def test_an_export_is_streamed_and_on_record(olivia, run):
    seal(timezone.now())

    lines = content_of(olivia.post(f"{BASE}/export", {"form": "bundle"}, format="json"))
    rows = content_of(
        olivia.post(f"{BASE}/export", {"form": "jsonl", "actor": "oscar"}, format="json")
    )
    table = content_of(
        olivia.post(f"{BASE}/export", {"form": "csv", "outcome": "done"}, format="json")
    )

    report = verify(lines.splitlines(keepends=True))
    assert (report.findings, report.is_whole) == ([], True)
    assert {json.loads(row)["actor_name"] for row in rows.splitlines()} == {"oscar"}
    assert table.startswith(b"id,at,code")
    made = AuditEvent.objects.filter(code="core.audit.export").order_by("pk")
    assert [one.details["form"] for one in made] == ["bundle", "jsonl", "csv"]
    assert made[1].details["selection"] == {"actor": "oscar"}


@pytest.mark.parametrize("make", [as_jsonl, as_csv])
def test_an_export_stays_in_the_schema_it_was_asked_for_in(acme, globex, make):
    """Whatever is the current one by the time it is read: the request is over then."""
    happen("of_globex")
    with schema_context(acme.schema_name):
        happen("of_acme")
        lines = make(AuditEvent.objects.all())

    content = b"".join(lines)

    assert b"tests.of_acme.do" in content
    assert b"of_globex" not in content


def test_so_do_seals(acme, globex):
    with schema_context(acme.schema_name):
        happen("one")
        seal(timezone.now())
        lines = seals_as_lines(AuditSeal.objects.all(), after=0)

    assert [json.loads(line)["schema"] for line in lines] == [acme.schema_name]


def test_an_export_wants_a_form_a_right_and_a_fresh_proof(olivia, acme, person, monkeypatch):
    assert olivia.post(f"{BASE}/export", {"form": "pdf"}, format="json").status_code == 400
    assert (
        olivia.post(f"{BASE}/export", {"form": "csv", "code": "odd"}, format="json").status_code
        == 400
    )
    assert (
        person("oscar").api.post(f"{BASE}/export", {"form": "csv"}, format="json").status_code
        == 404
    )
    stale = person("olivia")
    stale.account.auth_token_set.update(proven_at="2001-01-01T00:00:00Z")
    answer = stale.api.post(f"{BASE}/export", {"form": "csv"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")
    assert not AuditEvent.objects.filter(code="core.audit.export").exists()


def test_seals_are_listed_and_taken_along_as_a_file(olivia):
    happen("one")
    seal(timezone.now())
    happen("two")
    seal(timezone.now())

    listed = olivia.get(f"{BASE}/seals").json()["results"]
    kept, broken = kept_seals(content_of(olivia.get(f"{BASE}/seals.jsonl")).splitlines())
    rest, _broken = kept_seals(
        content_of(olivia.get(f"{BASE}/seals.jsonl", {"after": 1})).splitlines()
    )

    assert [row["number"] for row in listed] == [2, 1]
    assert [one.document() for one in kept] == listed[::-1]
    assert (broken, [one.number for one in rest]) == (0, [2])
    assert kept[0].document() == AuditSeal.objects.get(pk=1).document
    assert olivia.get(f"{BASE}/seals.jsonl", {"after": "x"}).status_code == 400


def test_archives_are_listed_and_fetched(old_trail, person):
    keep_trail(timezone.now())
    (archive,) = archives_here()
    olivia = person("olivia").api

    (row,) = olivia.get(f"{BASE}/archives").json()["results"]
    content = content_of(olivia.post(f"{BASE}/archives/{row['id']}/content"))

    assert (row["first_seal"], row["last_seal"], row["removed_at"]) == (1, 3, None)
    assert row["sha256"] == archive.sha256
    report = verify(gzip.decompress(content).splitlines(keepends=True))
    assert (report.findings, report.events) == ([], archive.events)
    assert AuditEvent.objects.filter(code="core.audit.export").count() == 1


def test_another_tenant_s_archive_is_not_there(old_trail, globex, person):
    with schema_context(old_trail.schema_name):
        keep_trail(timezone.now())
        (archive,) = archives_here()

    answer = person("gina").api.post(f"{BASE}/archives/{archive.pk}/content")

    assert answer.status_code == 404


def test_how_long_events_stay_is_read_and_chosen(olivia):
    assert olivia.put(f"{BASE}/retention", {"days": 90}, format="json").json() == {"days": 90}
    assert olivia.get(f"{BASE}/retention").json() == {"days": 90}
    assert olivia.put(f"{BASE}/retention", {"days": 3}, format="json").status_code == 400


def test_a_worker_is_asked_to_archive(olivia, monkeypatch):
    from governance.audit import services

    sent = []
    monkeypatch.setattr(services, "enqueue", lambda name, **what: sent.append((name, what)))

    assert olivia.post(f"{BASE}/archives", {"days": 365}, format="json").status_code == 202

    assert sent == [("governance.archive_audit_trail", {"days": 365})]


def test_the_evidence_pack_is_that_of_the_page(olivia, run, acme, person):
    seal(timezone.now())

    answer = olivia.get(f"/api/v1/executions/{run.pk}/evidence")
    page = person("olivia").browser.get(f"/executions/{run.pk}/evidence.json")

    pack, of_the_page = answer.json(), page.json()
    for document in (pack, of_the_page):
        del document["made_at"]
        document["proof"][0]["exported_at"] = ""
    assert pack == of_the_page
    assert pack["execution"]["requested_by"] == "oscar"
    assert person("oscar").api.get(f"/api/v1/executions/{run.pk}/evidence").status_code == 404


def test_a_list_costs_the_same_however_long_it_is(olivia, django_assert_max_num_queries):
    happen(*"abcdefghij")

    with django_assert_max_num_queries(8):
        olivia.get(f"{BASE}/events")
