"""A lost run is started again by the platform where its skill says so, and nowhere else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.models import AuditEvent
from skills.catalogue.models import Right, SkillGrant
from skills.executions import lifecycle, queue, retries, running, scanning, services
from skills.executions.models import Execution
from skills.executions.states import Status
from tests.factories.skills import bundle_of, make_skill, onboard_script

pytestmark = pytest.mark.usefixtures("acme")
LATE = lifecycle.LEASE + timedelta(seconds=1)
AGAIN = "idempotent = true"


@pytest.fixture
def oscar(person):
    return person("oscar").actor


@pytest.fixture
def ask(oscar):
    def request(manifest=AGAIN):
        skill = make_skill(manifest=manifest)
        return services.request_execution(actor=oscar, skill=skill, inputs={"name": "Ada"})

    return request


@pytest.fixture
def sent(monkeypatch):
    ids = []
    monkeypatch.setattr(queue, "send", lambda some, queue, **_how: ids.extend(some))
    return ids


def lose(execution):
    """Have it claimed, and its worker die; return it as it is then."""
    assert running._claim(Actor.system("worker"), execution.pk) is not None
    scanning.scan_executions(timezone.now() + LATE)
    lost = Execution.objects.get(pk=execution.pk)
    assert lost.status == Status.LOST
    return lost


def test_a_new_execution_takes_its_place(ask):
    first = ask()

    lost = lose(first)

    again = lost.retried_as
    assert (again.retry_of_id, again.attempt, again.status) == (first.pk, 1, Status.QUEUED)
    assert (again.version_id, again.inputs) == (first.version_id, {"name": "Ada", "times": 1})
    assert (again.requested_by_id, again.door) == (first.requested_by_id, first.door)
    assert "started again" in lost.error
    event = AuditEvent.objects.get(code="executions.execution.repeat")
    assert (event.target_id, event.actor_name) == (str(again.pk), "system:scan")


def test_it_is_sent_after_a_pause_and_not_before(ask, sent):
    again = lose(ask()).retried_as
    sent.clear()
    moment = again.created_at + retries.pause_before(1)

    scanning.scan_executions(moment - timedelta(seconds=1))
    assert sent == []

    scanning.scan_executions(moment + timedelta(seconds=1))
    assert sent == [str(again.pk)]


def test_each_further_pause_is_longer_up_to_a_limit():
    pauses = [retries.pause_before(attempt).total_seconds() for attempt in (1, 2, 3, 10)]

    assert pauses == [10, 30, 90, 600]


@pytest.mark.parametrize(
    "manifest", ["", "idempotent = false", "idempotent = true\nmax_retries = 0"]
)
def test_a_skill_that_does_not_say_so_is_not_started_again(ask, manifest):
    lost = lose(ask(manifest))

    assert lost.retried_as is None
    assert Execution.objects.count() == 1


def test_it_is_tried_as_often_as_the_skill_allows(ask):
    lost = lose(ask("idempotent = true\nmax_retries = 2"))
    second = lose(lost.retried_as)
    third = lose(second.retried_as)

    assert third.retried_as is None
    assert "2 times already" in third.error
    assert Execution.objects.count() == 3


def test_a_retry_by_hand_counts_from_the_beginning(ask, oscar):
    lost = lose(ask("idempotent = true\nmax_retries = 1"))
    last = lose(lost.retried_as)

    by_hand = services.retry_execution(actor=oscar, execution=last)

    assert (by_hand.attempt, by_hand.retry_of_id) == (0, last.pk)
    assert lose(by_hand).retried_as is not None


def test_what_was_confirmed_and_approved_once_is_not_asked_for_again(ask, oscar, person):
    first = ask(f'{AGAIN}\nconfirm = true\napproval = "four_eyes"')
    confirmed = services.confirm_execution(actor=oscar, execution=first)
    anna = person("anna").actor
    services.approve_execution(actor=anna, execution=confirmed)

    again = lose(first).retried_as

    assert again.status == Status.QUEUED
    assert (again.confirmed_by_id, again.approved_by_id) == (oscar.user_id, anna.user_id)


def use_another_version(execution, _oscar):
    files = {"main.py": "def main(name: str = 'you'):\n    return name\n"}
    onboard_script(actor=Actor.system("tests"), bundle=bundle_of(files), name=execution.skill.name)


def disable_the_skill(execution, _oscar):
    type(execution.skill).objects.filter(pk=execution.skill_id).update(is_enabled=False)


def take_the_right_to_run(execution, _oscar):
    SkillGrant.objects.filter(skill=execution.skill, right=Right.RUN).delete()


def take_the_account_away(execution, _oscar):
    type(execution.requested_by).objects.filter(pk=execution.requested_by_id).update(
        is_active=False
    )


def cancel(execution, oscar):
    services.cancel_execution(actor=oscar, execution=execution)


def unconfirm(execution, _oscar):
    Execution.objects.filter(pk=execution.pk).update(confirmed_by=None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (use_another_version, "another version"),
        (disable_the_skill, "may not run"),
        (take_the_right_to_run, "may not run"),
        (take_the_account_away, "may not run"),
        (cancel, "cancelled"),
        (unconfirm, "after it was confirmed"),
    ],
)
def test_what_may_not_run_any_more_is_not_started_again(ask, oscar, change, reason):
    execution = ask(f"{AGAIN}\nconfirm = true")
    services.confirm_execution(actor=oscar, execution=execution)
    assert running._claim(Actor.system("worker"), execution.pk) is not None
    change(Execution.objects.get(pk=execution.pk), oscar)

    scanning.scan_executions(timezone.now() + LATE)

    execution.refresh_from_db()
    assert (execution.status, execution.retried_as) == (Status.LOST, None)
    assert "not started again: " in execution.error
    assert reason in execution.error


def test_only_the_platform_itself_may_do_it(ask, oscar):
    from execfabric.core.errors import NotPermitted

    lost = lose(ask(""))

    with pytest.raises(NotPermitted):
        retries.repeat_execution(actor=oscar, execution=lost, lost_at=timezone.now())


def test_page_and_api_lead_from_one_to_the_other(ask, person):
    lost = lose(ask())
    again = lost.retried_as
    oscar = person("oscar")

    said = oscar.api.get(f"/api/v1/executions/{lost.pk}").json()
    assert (said["status"], said["retried_as"]) == ("lost", str(again.pk))
    assert oscar.api.get(f"/api/v1/executions/{again.pk}").json()["retry_of"] == str(lost.pk)
    page = oscar.browser.get(f"/executions/{lost.pk}/").content.decode()
    assert f'href="/executions/{again.pk}/"' in page
    page = oscar.browser.get(f"/executions/{again.pk}/").content.decode()
    assert f'href="/executions/{lost.pk}/"' in page


def test_the_skill_says_how_often(person):
    make_skill(manifest="idempotent = true\nmax_retries = 3")

    assert person("oscar").api.get("/api/v1/skills/greet").json()["max_retries"] == 3
    assert "3 times at most" in person("oscar").browser.get("/skills/greet/").content.decode()
