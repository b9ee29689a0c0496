"""Which version runs: bind, keep, roll back, enable, disable."""

from __future__ import annotations

from importlib import import_module
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction

from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from execfabric.core.storage import delete_file
from executors.script.removal import remove_tree
from skills.catalogue.errors import NotVerified
from skills.catalogue.managing import services
from skills.catalogue.models import SkillBinding, SkillGrant
from skills.catalogue.selectors import skills_visible_to
from skills.catalogue.workspace import bundle_folder
from skills.executions import running
from skills.executions.models import Execution
from skills.executions.services import request_execution
from skills.executions.states import Status
from tenants.accounts.groups.services import add_member, create_group
from tenants.accounts.models import Account
from tests.factories.skills import make_skill

from .managed import HEY, in_use, two_versions, version

pytestmark = pytest.mark.usefixtures("acme")
WHY = "The new one is wrong."


@pytest.fixture
def olivia(person):
    return person("olivia").actor


@pytest.fixture
def skill():
    return two_versions()


def lose_code_of(version) -> None:
    """Storage and workspace are shared by tests: the code must be no other test's."""
    script = version.script_version
    delete_file(script.stored_as)
    remove_tree(bundle_folder(script.digest))


def test_another_version_comes_into_use_and_it_is_written_down(skill, olivia):
    services.bind_version(actor=olivia, skill=skill, version=version(skill, 1), reason=WHY)

    binding = SkillBinding.objects.first()
    event = AuditEvent.objects.get(code="catalogue.skill.bind")
    assert in_use(skill) == 1
    assert (binding.version.number, binding.replaced.number) == (1, 2)
    assert (binding.bound_by, binding.reason) == ("olivia", WHY)
    assert all(check["passed"] for check in binding.report)
    assert [check["text"] for check in binding.report] == [
        "Code and packages are as they were registered.",
        "Owner: sees and runs it.",
        "Administrator: sees and runs it.",
        "Developer: sees and runs it.",
        "Operator: sees and runs it.",
        "Approver: sees it.",
        "Viewer: sees it.",
    ]
    assert (event.outcome, event.actor_name, event.details["reason"]) == ("done", "olivia", WHY)


def test_new_runs_use_it_and_what_was_asked_for_keeps_its_own(skill, olivia, person):
    oscar = person("oscar").actor
    before = request_execution(actor=oscar, skill=skill, inputs={"name": "Ada"})

    services.roll_back(actor=olivia, skill=skill, reason=WHY)
    skill.refresh_from_db()
    after = request_execution(actor=oscar, skill=skill, inputs={"name": "Ada"})
    running.run_execution(before.pk)
    running.run_execution(after.pk)

    outputs = [Execution.objects.get(pk=one.pk).output for one in (before, after)]
    assert outputs == [{"greeting": "Hi, Ada!"}, {"greeting": "Hello, Ada!"}]


@pytest.mark.parametrize("who", ["dana", "oscar", "anna", "victor"])
@pytest.mark.parametrize("act", ["bind", "roll_back", "disable", "enable", "edit", "grants"])
def test_only_administrators_do_any_of_it(skill, person, who, act):
    actor = person(who).actor
    calls = {
        "bind": lambda: services.bind_version(
            actor=actor, skill=skill, version=version(skill, 1), reason=WHY
        ),
        "roll_back": lambda: services.roll_back(actor=actor, skill=skill, reason=WHY),
        "disable": lambda: services.disable_skill(actor=actor, skill=skill, reason=WHY),
        "enable": lambda: services.enable_skill(actor=actor, skill=skill, reason=WHY),
        "edit": lambda: services.edit_skill(
            actor=actor, skill=skill, changes={"title": "Mine"}, reason=WHY
        ),
        "grants": lambda: services.change_grants(actor=actor, skill=skill, reason=WHY),
    }

    with pytest.raises(NotPermitted):
        calls[act]()

    skill.refresh_from_db()
    assert (in_use(skill), skill.is_enabled) == (2, True)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 201])
def test_without_a_reason_nothing_happens(skill, olivia, reason):
    with pytest.raises(InvalidInput, match="reason"):
        services.roll_back(actor=olivia, skill=skill, reason=reason)

    assert in_use(skill) == 2
    assert AuditEvent.objects.get(code="catalogue.skill.roll_back").outcome == "refused"


def test_a_rollback_goes_one_further_each_time_and_ends_at_the_first(skill, olivia):
    make_skill("greet", HEY)

    services.roll_back(actor=olivia, skill=skill, reason=WHY)
    assert in_use(skill) == 2
    services.roll_back(actor=olivia, skill=skill, reason=WHY)
    assert in_use(skill) == 1
    with pytest.raises(Conflict, match="No earlier version"):
        services.roll_back(actor=olivia, skill=skill, reason=WHY)


def test_a_rollback_passes_over_what_was_never_in_use(skill, olivia):
    services.bind_version(
        actor=olivia, skill=skill, version=version(skill, 2), reason=WHY, pin=True
    )
    make_skill("greet", HEY)  # Version 3 waits.
    make_skill("greet", HEY + "\n# again\n")
    services.bind_version(actor=olivia, skill=skill, version=version(skill, 4), reason=WHY)

    services.roll_back(actor=olivia, skill=skill, reason=WHY)

    assert in_use(skill) == 2


def test_a_version_that_is_kept_stays_when_another_is_registered(skill, olivia):
    services.bind_version(
        actor=olivia, skill=skill, version=version(skill, 1), reason=WHY, pin=True
    )

    make_skill("greet", HEY)

    assert skill.versions.count() == 3
    assert in_use(skill) == 1


def test_who_acts_on_an_old_page_is_told_and_nothing_changes(skill, olivia):
    make_skill("greet", HEY)

    with pytest.raises(services.ChangedMeanwhile, match="version 3 is in use now, not 2"):
        services.bind_version(
            actor=olivia, skill=skill, version=version(skill, 1), reason=WHY, expected=2
        )

    assert in_use(skill) == 3


def test_a_version_of_another_skill_is_refused(skill, olivia):
    other = two_versions("other")

    with pytest.raises(InvalidInput):
        services.bind_version(actor=olivia, skill=skill, version=version(other, 1), reason=WHY)


def test_a_version_whose_code_is_gone_does_not_come_into_use(skill, olivia):
    make_skill("greet", f"{HEY}\n# {uuid4()}\n")
    make_skill("greet", HEY)
    lose_code_of(version(skill, 3))

    with pytest.raises(NotVerified, match="not stored as"):
        services.roll_back(actor=olivia, skill=skill, reason=WHY)

    assert in_use(skill) == 4
    assert not SkillBinding.objects.filter(reason=WHY).exists()


def test_a_skill_granted_to_nobody_can_be_rolled_back_all_the_same(skill, olivia):
    SkillGrant.objects.all().delete()

    services.roll_back(actor=olivia, skill=skill, reason=WHY)

    assert in_use(skill) == 1


def test_what_came_into_use_cannot_be_rewritten(skill):
    with pytest.raises(DatabaseError), transaction.atomic():
        SkillBinding.objects.update(bound_by="nobody")


def test_a_disabled_skill_is_gone_for_users_and_back_when_enabled(skill, olivia, person):
    oscar = person("oscar").actor

    services.disable_skill(actor=olivia, skill=skill, reason="It sends wrong letters.")
    assert skill not in skills_visible_to(oscar)
    assert skill not in skills_visible_to(olivia)
    with pytest.raises(Conflict, match="disabled already"):
        services.disable_skill(actor=olivia, skill=skill, reason=WHY)

    services.enable_skill(actor=olivia, skill=skill, reason="Mended.")
    skill.refresh_from_db()
    assert skill in skills_visible_to(oscar)
    assert skill.disabled_reason == ""


def test_a_skill_whose_code_is_gone_cannot_be_enabled(skill, olivia):
    make_skill("greet", f"{HEY}\n# {uuid4()}\n")
    services.disable_skill(actor=olivia, skill=skill, reason=WHY)
    lose_code_of(version(skill, 3))

    with pytest.raises(NotVerified):
        services.enable_skill(actor=olivia, skill=skill, reason=WHY)

    skill.refresh_from_db()
    assert not skill.is_enabled


@pytest.mark.parametrize("limited", [False, True])
def test_what_is_queued_of_a_disabled_skill_ends_and_says_why(limited, olivia, person):
    skill = make_skill("greet", manifest="concurrency = 1" if limited else "")
    queued = request_execution(actor=person("oscar").actor, skill=skill, inputs={})
    services.disable_skill(actor=olivia, skill=skill, reason="It sends wrong letters.")

    running.run_execution(queued.pk)

    queued.refresh_from_db()
    assert queued.status == Status.REJECTED
    assert "disabled" in queued.summary
    assert "It sends wrong letters." in queued.summary
    assert queued.started_at is None
    events = AuditEvent.objects.filter(target_id=str(queued.pk)).exclude(
        code="executions.execution.request"
    )
    assert [(event.code, event.outcome) for event in events] == [
        ("executions.execution.refuse", "done")
    ]


def test_what_was_queued_runs_when_the_skill_is_enabled_again_in_time(skill, olivia, person):
    queued = request_execution(actor=person("oscar").actor, skill=skill, inputs={"name": "Ada"})
    services.disable_skill(actor=olivia, skill=skill, reason=WHY)
    services.enable_skill(actor=olivia, skill=skill, reason=WHY)

    running.run_execution(queued.pk)

    queued.refresh_from_db()
    assert queued.status == Status.SUCCEEDED


@pytest.mark.usefixtures("owner_session")
def test_versions_from_before_bindings_were_written_down_can_be_used_again(olivia):
    earlier = import_module("skills.catalogue.migrations.0009_entries_and_earlier_bindings")
    skill = two_versions()
    SkillBinding.objects.all().delete()
    with pytest.raises(Conflict, match="never published"), transaction.atomic():
        services.bind_version(actor=olivia, skill=skill, version=version(skill, 1), reason=WHY)

    with connection.cursor() as cursor:
        cursor.execute(earlier.BINDINGS_FROM_BEFORE)
        assert not SkillBinding.objects.exists()  # Since 0007 it is known what was in use.
        cursor.execute("UPDATE django_migrations SET applied = now() + interval '1 hour'")
        for _twice in range(2):
            cursor.execute(earlier.BINDINGS_FROM_BEFORE)

    rows = SkillBinding.objects.values_list("version__number", "replaced__number")
    assert list(rows) == [(2, 1), (1, None)]
    services.bind_version(actor=olivia, skill=skill, version=version(skill, 1), reason=WHY)
    assert in_use(skill) == 1


def test_who_holds_a_right_by_name_or_by_a_group_is_asked_too(skill, olivia):
    night = create_group(actor=olivia, name="Night shift")
    add_member(actor=olivia, group=night, account=Account.objects.get(username="oscar"))
    SkillGrant.objects.all().delete()
    SkillGrant.objects.create(skill=skill, group=night, right="run")
    SkillGrant.objects.create(
        skill=skill, account=Account.objects.get(username="victor"), right="run"
    )

    services.bind_version(actor=olivia, skill=skill, version=version(skill, 1), reason=WHY)

    said = [check["text"] for check in SkillBinding.objects.first().report]
    assert "Operator: does not see it." in said
    assert said[-2:] == ["oscar: sees and runs it.", "victor: sees it."]


def test_a_skill_that_nobody_may_run_can_be_rolled_back(skill, olivia):
    SkillGrant.objects.all().delete()

    services.roll_back(actor=olivia, skill=skill, reason=WHY)

    said = [check["text"] for check in SkillBinding.objects.first().report]
    assert said[-1] == "Nobody is granted to run it."
