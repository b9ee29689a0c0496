"""A link downloads one file for a few minutes, here, and as long as its maker may read it."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from execfabric.core.models import AuditEvent
from skills.executions import links, running, services
from tenants.accounts.models import RoleAssignment
from tests.factories.skills import make_skill

API = "/api/v1"
CODE = """
import os
from pathlib import Path

def main():
    out = Path(os.environ["EXECFABRIC_OUTPUT_DIR"])
    (out / "sub").mkdir()
    (out / "sub" / "rows.csv").write_text("a;b\\n" * 1000)
    (out / "note.txt").write_text("hello")
"""


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


@pytest.fixture
def execution(oscar):
    asked = services.request_execution(actor=oscar.actor, skill=make_skill(code=CODE), inputs={})
    running.run_execution(str(asked.pk))
    return asked


@pytest.fixture
def artifact(execution):
    return execution.artifacts.get(name="note.txt")


@pytest.fixture
def link(oscar, artifact):
    answer = oscar.api.post(f"{API}/artifacts/{artifact.pk}/link")
    assert answer.status_code == 201
    return answer.json()


def follow(url, host="acme.localhost"):
    """Open a link as somebody with neither cookie nor token."""
    return Client(headers={"host": host}, SERVER_NAME=host).get(urlsplit(url).path)


def test_whoever_has_it_downloads_the_file_and_the_trail_says_so(link, artifact):
    answer = follow(link["url"])

    assert b"".join(answer.streaming_content) == b"hello"
    assert answer["Content-Disposition"] == 'attachment; filename="note.txt"'
    assert "no-store" in answer["Cache-Control"]
    made, opened = AuditEvent.objects.filter(target_id=str(artifact.pk)).order_by("id")
    assert (made.code, opened.code) == (
        "executions.artifact.link",
        "executions.artifact.follow_link",
    )
    assert (opened.actor_name, opened.door) == ("oscar", "link")


def test_it_says_when_it_ends(link):
    ends = timezone.datetime.fromisoformat(link["expires_at"])

    assert timedelta(minutes=4) < ends - timezone.now() <= links.LASTS


def test_it_ends(link, monkeypatch):
    later = timezone.now() + links.LASTS + timedelta(seconds=1)
    monkeypatch.setattr(links, "now", lambda: later)

    answer = follow(link["url"])

    assert answer.status_code == 410
    assert "has expired" in answer.content.decode()


@pytest.mark.parametrize("host", ["globex.localhost", "localhost", "admin.localhost"])
def test_it_is_void_on_every_other_host(link, host):
    assert follow(link["url"], host).status_code == 404


def test_it_is_void_on_another_host_of_the_same_tenant(link, acme, oscar, artifact):
    signed = links.make_link(actor=oscar.actor, artifact=artifact, host="files.acme.example").signed

    assert follow(f"/executions/artifacts/{artifact.pk}/linked/{signed}").status_code == 404


def test_it_is_for_one_file(link, execution):
    other = execution.artifacts.get(name="sub/rows.csv")
    signed = link["url"].rsplit("/", 1)[-1]

    assert follow(f"/executions/artifacts/{other.pk}/linked/{signed}").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        lambda account, ends, seal: f"{int(account) + 1}.{ends}.{seal}",
        lambda account, ends, seal: f"{account}.{int(ends) + 60}.{seal}",
        lambda account, ends, seal: f"{account}.{ends}.{'0' * 64}",
        lambda account, ends, seal: f"{account}.{ends}.",
        lambda account, ends, seal: f"{account}.{ends}",
        lambda account, ends, seal: "é.²." + seal,
        lambda account, ends, seal: f"{'9' * 400}.{ends}.{seal}",
    ],
)
def test_what_was_changed_is_void(link, change):
    address, _, signed = link["url"].rpartition("/")

    assert follow(f"{address}/{change(*signed.split('.'))}").status_code == 404


def test_it_ends_with_the_account_of_its_maker(link, oscar):
    oscar.account.is_active = False
    oscar.account.save()

    assert follow(link["url"]).status_code == 404


def test_it_ends_with_the_right_of_its_maker_and_the_refusal_is_in_the_trail(link, oscar):
    RoleAssignment.objects.filter(account=oscar.account).delete()

    assert follow(link["url"]).status_code == 404
    assert AuditEvent.objects.filter(
        code="executions.artifact.follow_link", outcome="refused"
    ).exists()


def test_nobody_makes_one_for_what_they_cannot_see(person, artifact):
    dana = person("dana")

    assert dana.api.post(f"{API}/artifacts/{artifact.pk}/link").status_code == 404
    assert dana.browser.post(f"/executions/artifacts/{artifact.pk}/link/").status_code == 404


def test_the_page_makes_one_to_copy(oscar, artifact):
    address = f"/executions/artifacts/{artifact.pk}/link/"

    part = oscar.browser.post(address, headers={"HX-Request": "true"})
    whole = oscar.browser.post(address)

    assert "<html" not in part.content.decode()
    assert "<html" in whole.content.decode()
    for answer in (part, whole):
        text = answer.content.decode()
        assert f"/executions/artifacts/{artifact.pk}/linked/" in text
        assert answer["Cache-Control"] == "no-store"
    url = text.split('value="http', 1)[1].split('"', 1)[0]
    assert follow(f"http{url}").status_code == 200


@pytest.mark.parametrize("door", ["api", "page"])
def test_all_files_come_as_one_archive_that_is_made_while_it_is_sent(oscar, execution, door):
    client, address = {
        "api": (oscar.api, f"{API}/executions/{execution.pk}/artifacts.zip"),
        "page": (oscar.browser, f"/executions/{execution.pk}/files.zip"),
    }[door]

    answer = client.get(address)

    assert answer.streaming
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["note.txt", "sub/rows.csv"]
        assert archive.read("sub/rows.csv") == b"a;b\n" * 1000


def test_an_archive_of_nothing_is_a_404(oscar):
    asked = services.request_execution(actor=oscar.actor, skill=make_skill(), inputs={})
    running.run_execution(str(asked.pk))

    assert oscar.api.get(f"{API}/executions/{asked.pk}/artifacts.zip").status_code == 404
