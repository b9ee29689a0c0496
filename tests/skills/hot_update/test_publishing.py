"""From an approved revision to the version in use."""

from __future__ import annotations

from uuid import uuid4

import pytest

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict
from governance.reviews.differences import changed_description, live_version
from skills.catalogue.models import Skill, SkillGrant, SkillVersion, Verification
from skills.catalogue.selectors import skill_to_run
from skills.executions import running, services
from skills.hot_update.models import Submission
from skills.hot_update.publishing import carrying_out, register, verify
from skills.hot_update.publishing.carrying_out import publish_revision
from skills.hot_update.publishing.claims import claimed
from skills.hot_update.publishing.log import StepLog
from skills.hot_update.publishing.services import begin_step, finish_step
from skills.hot_update.publishing.sync import run
from skills.hot_update.reviewing.rules import rules_in_force
from skills.hot_update.reviewing.services import resume_publication
from skills.hot_update.states import Step, SubmissionStatus
from tests.factories.revisions import make_revision, replaced_in_storage
from tests.factories.skills import make_skill

from .conftest import approve, in_tenant, publish, steps_of

LOUD = "def main(name: str = 'you') -> str:\n    return name.upper()\n"


def status_of(revision) -> str:
    return Submission.objects.get(pk=revision.submission_id).status


def test_an_approved_script_goes_through_four_steps_and_is_live(sam, acme_tenant, person):
    revision = make_revision(acme_tenant)

    steps = publish(sam.actor, revision)

    assert status_of(revision) == SubmissionStatus.LIVE
    assert {step: row.status for step, row in steps.items()} == dict.fromkeys(
        ["sync", "register", "authorise", "verify"], "done"
    )
    assert all(row.started_at <= row.finished_at for row in steps.values())
    assert "No other tenant sees or runs it" in steps["verify"].log
    with in_tenant(acme_tenant):
        version = skill_to_run(person("oscar").actor, "greet").version
        assert version.script_version.digest == revision.digest
        report = Verification.objects.get(version=version).report["checks"]
        assert report[0] == {
            "check": "executable",
            "passed": True,
            "text": "Code and packages are as they were registered.",
        }
        assert version.bindings.get().report == report


def test_the_rules_of_the_reviewer_are_those_of_the_version(sam, acme_tenant):
    revision = make_revision(acme_tenant, risk="low", timeout_s=300)

    publish(sam.actor, revision, risk="high", ai_callable=False, timeout_s=20, concurrency=2)

    with in_tenant(acme_tenant):
        version = Skill.objects.get(name="greet").version
        assert (version.risk, version.confirm, version.ai_callable) == ("high", True, False)
        assert (version.timeout_s, version.concurrency) == (20, 2)


def test_an_update_keeps_the_grants_and_a_run_that_was_asked_for_keeps_its_version(
    sam, acme_tenant, person
):
    with in_tenant(acme_tenant):
        skill = make_skill()
        SkillGrant.objects.filter(skill=skill, role="operator").delete()
        dana = person("dana").actor
        before = services.request_execution(actor=dana, skill=skill, inputs={"name": "dana"})

    publish(sam.actor, make_revision(acme_tenant, LOUD))

    with in_tenant(acme_tenant):
        skill = skill_to_run(dana, "greet")
        assert skill.version.number == 2
        assert not skill.grants.filter(role="operator").exists()
        after = services.request_execution(actor=dana, skill=skill, inputs={"name": "dana"})
        for execution in (before, after):
            running.run_execution(execution.pk)
            execution.refresh_from_db()
        assert (before.version.number, before.output) == (1, {"greeting": "Hello, dana!"})
        assert (after.version.number, after.output) == (2, "DANA")


def test_nothing_of_it_is_anywhere_else(sam, acme_tenant, globex_tenant, person):
    publish(sam.actor, make_revision(acme_tenant))

    with in_tenant(globex_tenant):
        assert not Skill.objects.exists()
        assert skill_to_run(person("gina").actor, "greet") is None


def test_another_tenants_skill_of_the_same_name_is_no_leak(sam, acme_tenant, globex_tenant):
    with in_tenant(globex_tenant):
        make_skill()

    steps = publish(sam.actor, make_revision(acme_tenant))

    assert steps["verify"].status == "done"


def test_one_changed_byte_in_storage_voids_the_verdict(sam, acme_tenant):
    # Like no other: storage is shared by tests that run at the same time.
    revision = make_revision(acme_tenant, f"{LOUD}# {uuid4()}\n")
    approve(sam.actor, revision)
    with replaced_in_storage(revision, LOUD):
        publish_revision(revision.pk)

    steps = steps_of(revision)
    assert steps["sync"].status == "failed"
    assert "not the ones that were submitted" in steps["sync"].log
    assert status_of(revision) == SubmissionStatus.STUCK
    with in_tenant(acme_tenant):
        assert not Skill.objects.exists()


def test_a_changed_file_in_the_workspace_of_the_worker_stops_the_publication(
    sam, acme_tenant, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    revision = make_revision(acme_tenant)
    approve(sam.actor, revision)
    folder = tmp_path / "workspace" / acme_tenant.schema_name / revision.digest
    folder.mkdir(parents=True)
    (folder / "main.py").write_text(LOUD)
    (folder / "README.md").write_text("# Another\n")

    publish_revision(revision.pk)

    assert "not the approved ones" in steps_of(revision)["sync"].log


@pytest.mark.parametrize("step", ["sync", "register", "authorise", "verify"])
def test_a_step_that_fails_stops_and_is_resumed_from_there(sam, acme_tenant, monkeypatch, step):
    with in_tenant(acme_tenant):
        old = make_skill().version
    revision = make_revision(acme_tenant, LOUD)
    approve(sam.actor, revision)

    def broken(*_):
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setitem(carrying_out.STEPS, step, broken)
        publish_revision(revision.pk)

    failed = steps_of(revision)[step]
    assert (failed.status, status_of(revision)) == ("failed", SubmissionStatus.STUCK)
    assert "disk" not in failed.log, "what broke stands in the platform's log"
    with in_tenant(acme_tenant):
        assert Skill.objects.get(name="greet").version == old

    resume_publication(actor=sam.actor, submission=revision.submission)
    publish_revision(revision.pk)

    assert status_of(revision) == SubmissionStatus.LIVE
    with in_tenant(acme_tenant):
        assert Skill.objects.get(name="greet").version.number == 2


def test_a_skill_that_nobody_may_run_is_not_put_into_use(sam, acme_tenant):
    with in_tenant(acme_tenant):
        old = make_skill().version
        SkillGrant.objects.filter(skill=old.skill, right="run").delete()
    revision = make_revision(acme_tenant, LOUD)

    steps = publish(sam.actor, revision)

    assert steps["verify"].status == "failed"
    assert "Nobody here may run it" in steps["verify"].log
    assert not all(each["passed"] for each in steps["verify"].report["checks"])
    with in_tenant(acme_tenant):
        assert Skill.objects.get(name="greet").version == old
        assert not Verification.objects.exists()


def test_a_skill_that_the_tenant_switched_off_is_updated_and_stays_off(sam, acme_tenant, person):
    with in_tenant(acme_tenant):
        make_skill()
        Skill.objects.update(is_enabled=False)

    steps = publish(sam.actor, make_revision(acme_tenant, LOUD))

    assert steps["verify"].status == "done"
    assert "The skill is disabled: nobody sees it" in steps["verify"].log
    with in_tenant(acme_tenant):
        assert Skill.objects.get(name="greet").version.number == 2
        assert skill_to_run(person("oscar").actor, "greet") is None


def test_a_version_that_leaks_into_another_tenant_is_not_put_into_use(
    sam, acme_tenant, globex_tenant
):
    revision = make_revision(acme_tenant)
    approve(sam.actor, revision)
    with in_tenant(globex_tenant):
        leaked = make_skill("theirs", LOUD).version
        script = leaked.script_version
        stolen = type(script).objects.create(
            script=script.script, number=9, digest=revision.digest, stored_as=revision.stored_as,
            size_bytes=1, runtime="python", entry="main.py",
        )  # fmt: skip
        fields = {f.attname: getattr(leaked, f.attname) for f in SkillVersion._meta.concrete_fields}
        fields.update(id=None, number=9, script_version_id=stolen.pk)
        Skill.objects.update(version=SkillVersion.objects.create(**fields))

    publish_revision(revision.pk)

    verify = steps_of(revision)["verify"]
    assert verify.status == "failed"
    assert "globex: it is on the page of skills" in verify.log
    with in_tenant(acme_tenant):
        assert Skill.objects.get(name="greet").version is None


def test_a_second_worker_leaves_a_publication_alone_and_a_killed_ones_is_gone_on_with(
    sam, acme_tenant
):
    revision = make_revision(acme_tenant)
    approve(sam.actor, revision)
    with claimed(f"publishing:{revision.pk}"):
        publish_revision(revision.pk)
    assert {row.status for row in steps_of(revision).values()} == {"waiting"}

    worker = Actor.system("publisher")
    begin_step(actor=worker, revision=revision, step=Step.SYNC)
    finish_step(
        actor=worker, revision=revision, step=Step.SYNC, log="mine", report=run(revision, StepLog())
    )
    begin_step(actor=worker, revision=revision, step=Step.REGISTER)  # And was killed.
    publish_revision(revision.pk)

    assert status_of(revision) == SubmissionStatus.LIVE
    assert steps_of(revision)["sync"].log == "mine", "what was done is not done again"


def test_publishing_twice_changes_nothing(sam, acme_tenant):
    revision = make_revision(acme_tenant)
    publish(sam.actor, revision)
    publish_revision(revision.pk)

    with in_tenant(acme_tenant):
        assert SkillVersion.objects.count() == 1


SECOND = "def main(name: str = 'you') -> str:\n    return 'second ' + name\n"


def test_the_same_files_begun_elsewhere_are_another_version(sam, acme_tenant, person):
    files = {"other.py": SECOND}
    first = make_revision(acme_tenant, LOUD, files=files)
    publish(sam.actor, first)

    steps = publish(sam.actor, make_revision(acme_tenant, LOUD, files=files, entry="other.py"))

    assert steps["verify"].status == "done"
    with in_tenant(acme_tenant):
        dana = person("dana").actor
        version = skill_to_run(dana, "greet").version
        assert (version.script_version.entry, version.script_version.number) == ("other.py", 2)
        run = services.request_execution(actor=dana, skill=version.skill, inputs={"name": "dana"})
        running.run_execution(run.pk)
        run.refresh_from_db()
        assert run.output == "second dana"


def test_a_reviewer_sees_that_the_same_files_begin_elsewhere(sam, acme_tenant):
    files = {"other.py": LOUD}
    publish(sam.actor, make_revision(acme_tenant, LOUD, files=files))
    revision = make_revision(
        acme_tenant, LOUD, files=files, entry="other.py", idempotent=True, max_retries=5
    )

    change = changed_description(live_version(revision), revision, rules_in_force(revision))

    assert ("+", "entry = 'other.py'") in change.lines
    assert ("+", "max_retries = 5") in change.lines


@pytest.mark.parametrize(
    "other", [{"entry": "other.py"}, {"title": "Something else"}, {"idempotent": True}]
)
def test_a_version_that_is_not_the_approved_one_is_not_put_into_use(sam, acme_tenant, other):
    files = {"other.py": LOUD}
    revision = make_revision(acme_tenant, LOUD, files=files)
    publish(sam.actor, revision)
    with in_tenant(acme_tenant):
        approved = Skill.objects.get(name="greet").version
    imposter = make_revision(acme_tenant, LOUD, files=files, **other)
    report = register.run(imposter, StepLog())
    assert report["version_id"] != approved.pk
    revision.steps.filter(step=Step.REGISTER).update(report=report)

    with pytest.raises(Conflict, match="not what was approved"):
        verify.run(revision, StepLog())
