"""Withdrawing a version: nobody starts it any more, in any tenant, from the commit on."""

from __future__ import annotations

import io

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from execfabric.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from skills.batches import dispatch
from skills.batches import services as batches
from skills.batches.lifecycle import go_on
from skills.catalogue.errors import VersionWithdrawn
from skills.catalogue.managing.selectors import version_before, versions_of
from skills.catalogue.managing.services import edit_skill, roll_back
from skills.catalogue.models import Skill, Withdrawal
from skills.catalogue.selectors import skill_to_run, skills_for_assistant, skills_visible_to
from skills.executions import running, services
from skills.executions.models import Execution
from skills.executions.states import Status
from skills.hot_update.recalling.services import recall_version
from tests.factories.skills import GREET, make_skill

from .conftest import in_tenant

WHY = "It writes to the wrong folder."


def recall(actor, tenant, *, number=1, reason=WHY):
    return recall_version(actor=actor, tenant=tenant, skill="greet", number=number, reason=reason)


@pytest.fixture
def both(acme_tenant, globex_tenant):
    """The same files in two tenants."""
    for tenant in (acme_tenant, globex_tenant):
        with in_tenant(tenant):
            make_skill(manifest="ai_callable = true\n", inputs='[inputs.name]\ndefault = "you"\n')
    return acme_tenant, globex_tenant


def test_it_cannot_be_started_anywhere_and_says_why(sam, both, person):
    made = recall(sam.actor, both[0])

    assert {(place["tenant"], place["was_in_use"]) for place in made.places} == {
        ("acme", True),
        ("globex", True),
    }
    for tenant in both:
        with in_tenant(tenant):
            oscar = person("oscar")
            body = {"skill": "greet", "inputs": {}}
            answer = oscar.api.post("/api/v1/executions", body, format="json")
            assert (answer.status_code, answer.json()["code"]) == (409, "version_withdrawn")
            assert WHY in answer.json()["message"]
            assert WHY in oscar.browser.get("/skills/greet/").content.decode()
            assert oscar.api.get("/api/v1/skills/greet").json()["withdrawn"] == WHY
            assert "Withdrawn" in oscar.browser.get("/skills/").content.decode()
            assert not skills_for_assistant(oscar.actor).exists()
            with pytest.raises(VersionWithdrawn):
                skill = skills_visible_to(oscar.actor).get(name="greet")
                services.request_execution(actor=oscar.actor, skill=skill, inputs={})


def test_what_waits_ends_with_the_reason_and_what_runs_goes_on(sam, both, person):
    with in_tenant(both[0]):
        oscar = person("oscar").actor
        skill = skill_to_run(oscar, "greet")
        queued = services.request_execution(actor=oscar, skill=skill, inputs={})
        runs = services.request_execution(actor=oscar, skill=skill, inputs={})
        Execution.objects.filter(pk=runs.pk).update(
            status=Status.RUNNING, lease_token="01980000-0000-7000-8000-000000000001"
        )

    made = recall(sam.actor, both[0])

    assert [place["ended"] for place in made.places if place["tenant"] == "acme"] == [1]
    with in_tenant(both[0]):
        queued.refresh_from_db()
        runs.refresh_from_db()
        assert queued.status == Status.CANCELLED
        assert WHY in queued.error
        assert runs.status == Status.RUNNING


def test_a_run_that_was_asked_for_in_the_same_moment_ends_at_the_claim(sam, both, person):
    with in_tenant(both[0]):
        oscar = person("oscar").actor
        skill = skill_to_run(oscar, "greet")  # Looked at before the withdrawal.
    recall(sam.actor, both[0])
    with in_tenant(both[0]):
        late = services.request_execution(actor=oscar, skill=skill, inputs={})

        running.run_execution(late.pk)

        late.refresh_from_db()
        assert (late.status, late.started_at) == (Status.CANCELLED, None)
        assert WHY in late.error


def test_a_batch_is_not_begun_and_one_that_goes_on_is_held_with_the_reason(
    sam, both, person, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(dispatch, "FIRST_WINDOW", 2)
    with in_tenant(both[0]):
        oscar = person("oscar").actor
        skill = skill_to_run(oscar, "greet")
        rows = io.BytesIO(b"name\n" + b"anna\n" * 8)
        source = services.upload_file(actor=oscar, name="people.csv", content=rows)
        begun, draft = (
            batches.create_batch(actor=oscar, skill=skill, source=source) for _ in range(2)
        )
        begun = batches.start_batch(actor=oscar, batch=begun)
    with django_capture_on_commit_callbacks(execute=True):
        recall(sam.actor, both[0])

    with in_tenant(both[0]):
        with pytest.raises(VersionWithdrawn, match=WHY):
            batches.start_batch(actor=oscar, batch=draft)
        go_on(begun.pk)
        begun.refresh_from_db()
        assert begun.status == "paused"
        assert WHY in begun.held_because


def test_another_version_of_the_skill_runs_on(sam, both, person):
    with in_tenant(both[0]):
        make_skill(code="def main() -> str:\n    return 'two'\n")
    recall(sam.actor, both[0], number=1)

    with in_tenant(both[0]):
        oscar = person("oscar").actor
        execution = services.request_execution(
            actor=oscar, skill=skill_to_run(oscar, "greet"), inputs={}
        )
        assert execution.version.number == 2


def test_it_is_done_once_for_a_reason_by_the_platform(sam, both, person):
    with pytest.raises(InvalidInput):
        recall(sam.actor, both[0], reason=" ")
    with pytest.raises(NotFound):
        recall(sam.actor, both[0], number=9)
    with in_tenant(both[0]):
        olivia = person("olivia").actor
    with pytest.raises(NotPermitted):
        recall(olivia, both[0])

    recall(sam.actor, both[0])
    with pytest.raises(Conflict, match="withdrawn since"):
        recall(sam.actor, both[1])


def test_a_withdrawal_stays(sam, both):
    recall(sam.actor, both[0])

    with in_tenant(both[0]):
        for change in (
            lambda: Withdrawal.objects.all().delete(),
            lambda: Withdrawal.objects.update(reason="It was nothing."),
        ):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()


def test_looking_for_it_costs_a_plain_run_no_statement(both, person, hosts_stay_known):
    with in_tenant(both[0]):
        oscar = person("oscar")
        body = {"skill": "greet", "inputs": {}}
        oscar.api.post("/api/v1/executions", body, format="json")
        with CaptureQueriesContext(connection) as captured:
            oscar.api.post("/api/v1/executions", body, format="json")

    asking = [query["sql"] for query in captured.captured_queries]
    assert sum("catalogue_withdrawal" in sql for sql in asking) == 1
    assert len(asking) == 1


def test_a_rollback_passes_over_what_was_withdrawn(sam, acme_tenant, person):
    with in_tenant(acme_tenant):
        for word in ("Hello", "Hi", "Hey"):
            make_skill(code=GREET.replace("Hello", word))
    recall(sam.actor, acme_tenant, number=2)

    with in_tenant(acme_tenant):
        olivia = person("olivia")
        page = olivia.browser.get("/skills/greet/versions/").content.decode()
        rows = olivia.api.get("/api/v1/skills/greet/versions").json()["results"]
        assert "Roll back to version 1" in page
        assert f"Withdrawn by the platform: {WHY}" in page
        assert 'name="version" value="1"' in page
        assert 'name="version" value="2"' not in page
        assert [row["withdrawn"] for row in rows] == ["", WHY, ""]

        skill = roll_back(actor=olivia.actor, skill=Skill.objects.get(), reason="No.")

        assert skill.version.number == 1


def test_the_same_files_under_another_version_are_withdrawn_there_too(sam, acme_tenant, person):
    """Registered again with other texts, after the recall: nothing offers it."""
    with in_tenant(acme_tenant):
        make_skill(manifest='title = "Greet"')
        edited = edit_skill(
            actor=person("olivia").actor,
            skill=Skill.objects.get(),
            changes={"title": "Say hello"},
            reason="Clearer.",
        )
    recall(sam.actor, acme_tenant, number=1)

    with in_tenant(acme_tenant):
        skill = Skill.objects.get()
        assert {version.withdrawn for version in versions_of(skill)} == {WHY}
        assert version_before(skill) is None
        assert edited.withdrawal.reason == WHY
