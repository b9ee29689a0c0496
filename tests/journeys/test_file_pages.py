"""The files on an execution's page: many of them, PDFs, those that are gone, and for how long."""

from __future__ import annotations

import html

import pytest
from django.utils import timezone
from django_tenants.utils import tenant_context

from skills.executions import retention, running, services
from skills.executions.models import Artifact, FileRetention
from tests.factories.skills import make_skill

CODE = """
import os
from pathlib import Path

def main():
    print("to the log")
    out = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    (out / "a.pdf").write_bytes(b"%PDF-1.4")
    (out / "false.pdf").write_bytes(b"<script>alert(1)</script>")
"""


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


@pytest.fixture
def execution(oscar):
    asked = services.request_execution(actor=oscar.actor, skill=make_skill(code=CODE), inputs={})
    running.run_execution(str(asked.pk))
    asked.refresh_from_db()
    return asked


def text_of(answer) -> str:
    return html.unescape(answer.content.decode())


def test_of_a_thousand_files_the_page_shows_some(oscar, execution, django_assert_max_num_queries):
    execution.artifacts.all().delete()
    Artifact.objects.bulk_create(
        Artifact(
            execution=execution, name=f"part-{number:04}.csv", size_bytes=1, sha256="0" * 64,
            media_type="text/csv", stored_as="x",
        )
        for number in range(1000)
    )  # fmt: skip
    address = f"/executions/{execution.pk}/"

    with django_assert_max_num_queries(14):
        page = text_of(oscar.browser.get(address))
    assert page.count('class="artifact-name"') == 50
    assert "1–50 of 1000" in page
    assert f'href="{address}?files=2#artifacts"' in page
    part = text_of(oscar.browser.get(f"{address}files/", {"files": "20"}))
    assert "part-0999.csv" in part
    assert "<html" not in part
    assert text_of(oscar.browser.get(f"{address}files/", {"files": "x"})).count("part-") > 50


def test_a_pdf_is_framed_by_our_page_alone_and_nothing_else_is_sent_as_one(oscar, execution):
    real, false = execution.artifacts.order_by("name")

    preview = text_of(oscar.browser.get(f"/executions/artifacts/{real.pk}/preview/"))
    sent = oscar.browser.get(f"/executions/artifacts/{real.pk}/pdf/")

    assert f'<iframe class="preview-pdf" src="/executions/artifacts/{real.pk}/pdf/"' in preview
    assert sent["Content-Type"] == "application/pdf"
    assert sent["X-Frame-Options"] == "SAMEORIGIN"
    assert "default-src 'none'" in sent["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in sent["Content-Security-Policy"]
    assert oscar.browser.get(f"/executions/artifacts/{false.pk}/pdf/").status_code == 404
    assert oscar.browser.get(f"/executions/artifacts/{real.pk}/image/").status_code == 404


def test_what_retention_removed_is_said_wherever_it_was(oscar, execution):
    artifact = execution.artifacts.first()
    retention.remove_run_files(
        actor=retention.Actor.system("retention"),
        executions=[execution],
        removed_at=timezone.now(),
    )

    page = text_of(oscar.browser.get(f"/executions/{execution.pk}/"))
    assert "Their content was removed by retention on" in page
    assert "a.pdf" in page
    assert f"/executions/artifacts/{artifact.pk}/" not in page
    for address in (
        f"/executions/artifacts/{artifact.pk}/",
        f"/executions/{execution.pk}/files.zip",
        f"/executions/{execution.pk}/log.txt",
    ):
        answer = oscar.browser.get(address)
        assert answer.status_code == 410
        assert "removed by retention" in text_of(answer)
    answer = oscar.api.get(f"/api/v1/artifacts/{artifact.pk}/content")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")


def test_a_manager_says_how_long_files_are_kept_and_others_find_no_such_page(oscar, person):
    olivia = person("olivia").browser
    assert "/executions/retention/" in text_of(olivia.get("/executions/"))
    assert "/executions/retention/" not in text_of(oscar.browser.get("/executions/"))
    assert oscar.browser.get("/executions/retention/").status_code == 404
    assert oscar.browser.post("/executions/retention/", {"days": 5}).status_code == 404

    assert olivia.post("/executions/retention/", {"days": 731}).status_code == 422
    assert not FileRetention.objects.exists()
    assert olivia.post("/executions/retention/", {"days": 30}).status_code == 302

    assert FileRetention.objects.get().days == 30
    assert 'value="30"' in text_of(olivia.get("/executions/retention/"))


def test_the_super_admin_sees_what_a_tenant_chose(acme, person, platform):
    with tenant_context(acme):
        retention.set_retention(actor=person("olivia").actor, days=17)

    page = text_of(person("sam").browser.get("/platform/tenants/acme/"))

    assert "17 days" in page
