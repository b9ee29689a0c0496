"""visibility = "granted": nobody has a right on a new skill until an administrator grants it."""

from __future__ import annotations

import pytest

from skills.catalogue.managing.grants import Entitlement
from skills.catalogue.managing.services import change_grants
from skills.catalogue.models import Skill, SkillGrant
from skills.catalogue.selectors import skill_to_run, skills_for_assistant, skills_visible_to
from skills.hot_update.models import Submission
from skills.hot_update.states import SubmissionStatus
from tests.factories.revisions import make_revision
from tests.factories.skills import make_skill

from .conftest import in_tenant, publish

PEOPLE = ("dana", "oscar", "anna", "victor")


def test_a_new_skill_is_seen_by_nobody_but_those_who_can_grant_it(sam, acme_tenant, person):
    steps = publish(sam.actor, make_revision(acme_tenant, visibility="granted"))

    assert steps["verify"].status == "done"
    assert "Nobody has a right on it yet" in steps["authorise"].log
    assert "Nobody runs it until an administrator here grants it." in steps["verify"].log
    with in_tenant(acme_tenant):
        assert not SkillGrant.objects.exists()
        for name in PEOPLE:
            actor = person(name).actor
            assert skill_to_run(actor, "greet") is None
            assert not skills_for_assistant(actor).exists()
        olivia = person("olivia")
        assert skills_visible_to(olivia.actor).exists()
        assert "Give it to whom you want" in olivia.browser.get("/skills/greet/").content.decode()


def test_who_it_is_granted_to_runs_it(sam, acme_tenant, person):
    publish(sam.actor, make_revision(acme_tenant, visibility="granted"))

    with in_tenant(acme_tenant):
        skill = Skill.objects.get()
        change_grants(
            actor=person("olivia").actor,
            skill=skill,
            give=[Entitlement("account", "oscar", "run")],
            reason="He does this.",
        )
        assert skill_to_run(person("oscar").actor, "greet") == skill
        assert skill_to_run(person("dana").actor, "greet") is None


@pytest.mark.parametrize("visibility", ["granted", "tenant"])
def test_an_update_leaves_the_grants_as_the_tenant_set_them(sam, acme_tenant, visibility):
    with in_tenant(acme_tenant):
        make_skill()
        SkillGrant.objects.exclude(role="operator").delete()
        before = list(SkillGrant.objects.values_list("role", "right"))

    publish(sam.actor, make_revision(acme_tenant, visibility=visibility, timeout_s=20))

    with in_tenant(acme_tenant):
        assert Skill.objects.get().version.visibility == visibility
        assert list(SkillGrant.objects.values_list("role", "right")) == before


def test_an_earlier_try_that_stopped_leaves_no_rights_behind(sam, acme_tenant, monkeypatch):
    """It was to be for everybody, failed at verify, and comes again for nobody."""
    with monkeypatch.context() as broken:
        broken.setattr("skills.hot_update.publishing.carrying_out.STEPS", _with_a_failing_verify())
        first = make_revision(acme_tenant)
        publish(sam.actor, first)
    with in_tenant(acme_tenant):
        assert SkillGrant.objects.exists()
    Submission.objects.update(status=SubmissionStatus.IN_REVIEW)

    publish(
        sam.actor,
        make_revision(acme_tenant, submission=first.submission, visibility="granted"),
    )

    with in_tenant(acme_tenant):
        assert Skill.objects.get().version.visibility == "granted"
        assert not SkillGrant.objects.exists()


def test_a_script_onboarded_by_command_obeys_it_too(acme):
    skill = make_skill(manifest='visibility = "granted"')

    assert not skill.grants.exists()


def _with_a_failing_verify():
    from skills.hot_update.publishing.carrying_out import STEPS
    from skills.hot_update.states import Step

    def fail(revision, log):
        raise RuntimeError("The disk is full.")

    return {**STEPS, Step.VERIFY: fail}
