"""The review desk by API."""

from __future__ import annotations

import pytest

from skills.hot_update.models import Submission
from skills.hot_update.publishing.carrying_out import publish_revision
from tests.conftest import tenant_named
from tests.factories.revisions import make_revision


@pytest.fixture
def sam(platform, person):
    return person("sam").api


@pytest.fixture
def revision(platform):
    return make_revision(tenant_named("acme"), risk="low")


def url(revision, verb=""):
    return f"/api/v1/submissions/{revision.submission_id}{verb and '/' + verb}"


def shown(revision, **more):
    return {"revision": str(revision.pk), "digest": revision.digest, "packages": "", **more}


def test_the_queue_is_listed_and_filtered(sam, revision):
    make_revision(tenant_named("globex"), risk="high")

    everything = sam.get("/api/v1/submissions").json()["results"]
    high = sam.get("/api/v1/submissions", {"risk": "high", "status": "in_review"}).json()["results"]

    assert {row["tenant"] for row in everything} == {"acme", "globex"}
    assert [(row["tenant"], row["skill"], row["risk"]) for row in high] == [
        ("globex", "greet", "high")
    ]
    assert sam.get("/api/v1/submissions", {"tenant": "acme"}).json()["results"][0]["revision"] == 1
    assert sam.get("/api/v1/submissions", {"status": "nonsense"}).status_code == 400


def test_a_submission_shows_what_a_reviewer_needs(sam, revision):
    latest = sam.get(url(revision)).json()["latest"]

    assert latest["digest"] == revision.digest
    assert latest["checks"][0]["level"] == "pass"
    assert latest["trial"]["status"] == "succeeded"
    assert latest["rules"]["risk"] == "low"
    assert latest["lock"] == {}


def test_it_is_approved_published_and_withdrawn(sam, revision):
    sam.post(url(revision, "remark"), {"text": "Nice."}, format="json")
    answer = sam.post(
        url(revision, "approve"), shown(revision, rules={"risk": "high"}), format="json"
    )
    assert (answer.status_code, answer.json()["tightened"]["risk"]) == (200, "high")
    again = sam.post(url(revision, "approve"), shown(revision), format="json")
    assert (again.status_code, again.json()["code"]) == (409, "conflict")

    publish_revision(revision.pk)

    found = sam.get(url(revision)).json()
    assert found["status"] == "live"
    assert [step["status"] for step in found["latest"]["steps"]] == ["done"] * 4
    assert found["remarks"][0]["text"] == "Nice."
    recall = sam.post(
        "/api/v1/tenants/acme/withdraw-version",
        {"skill": "greet", "version": 1, "reason": "Bad."},
        format="json",
    )
    assert recall.json()["places"] == [
        {"tenant": "acme", "skill": "greet", "version": 1, "was_in_use": True, "ended": 0}
    ]


def test_a_stale_verdict_is_a_conflict(sam, revision):
    make_revision(tenant_named("acme"), "def main():\n    pass\n", submission=revision.submission)

    for verb, more in (("approve", {}), ("reject", {"reason": "No."})):
        answer = sam.post(url(revision, verb), shown(revision, **more), format="json")
        assert (answer.status_code, answer.json()["code"]) == (409, "outdated")
    assert Submission.objects.get(pk=revision.submission_id).status == "in_review"


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("approve", {"digest": "0"}, "revision"),
        ("reject", {"reason": ""}, "reason"),
        ("approve", {"rules": {"risk": "none"}}, "rules.risk"),
        ("approve", {"rules": {"timeout_s": 301}}, "timeout_s"),
        ("remark", {"text": ""}, "text"),
    ],
)
def test_bad_input_names_the_field(sam, revision, verb, body, field):
    body = {**shown(revision), **body}
    if "digest" in body and body["digest"] == "0":
        del body["revision"]

    answer = sam.post(url(revision, verb), body, format="json")

    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_only_what_stopped_can_be_resumed(sam, revision):
    assert sam.post(url(revision, "resume")).status_code == 409
