"""Submitting, revising, withdrawing: who may, what is kept, and what two of one name come to."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from execfabric.core.actor import Actor, Door
from execfabric.core.errors import Conflict, InvalidInput, InvalidTransition, NotPermitted
from execfabric.core.models import AuditEvent
from skills.catalogue.models import Maintainer
from skills.catalogue.services import onboard_script
from skills.hot_update import checking
from skills.hot_update.models import Remark, Review, Revision, Submission
from skills.hot_update.public import public_domain
from skills.hot_update.states import SubmissionStatus, Verdict
from skills.hot_update.submitting import services
from skills.hot_update.submitting.manifests import with_changes
from skills.hot_update.submitting.selectors import submissions_of_current_tenant
from tests.conftest import tenant_named
from tests.factories.skills import bundle_of
from tests.factories.submissions import GREET, MANIFEST, archive, latest, revise, submit

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def dana(person):
    return person("dana").actor


def put(submission, status):
    with public_domain():
        Submission.objects.filter(pk=submission.pk).update(status=status)
    submission.status = status


def test_a_submission_belongs_to_the_tenant_of_the_host_and_waits_for_its_checks(dana, acme):
    submission = submit(dana)

    assert submission.tenant_id == acme.pk
    assert submission.skill_name == "greet"
    assert submission.status == SubmissionStatus.CHECKING
    revision = latest(submission)
    assert (revision.number, revision.submitted_by, len(revision.digest)) == (1, "dana", 64)
    assert revision.stored_as == f"{acme.schema_name}/bundles/{revision.digest}.tar.gz"


def test_the_event_is_in_the_trail_of_the_tenant(dana):
    submission = submit(dana)

    event = AuditEvent.objects.get(code="hot_update.submission.submit")
    assert (event.outcome, event.target_id) == ("done", str(submission.pk))
    with public_domain():
        assert not AuditEvent.objects.filter(code="hot_update.submission.submit").exists()


@pytest.mark.parametrize("who", ["oscar", "anna", "victor"])
def test_only_developers_and_managers_submit(person, who):
    with pytest.raises(NotPermitted):
        submit(person(who).actor)
    assert not submissions_of_current_tenant(person(who).actor).exists()


@pytest.mark.parametrize(
    ("answers", "field"),
    [
        ({"scenario": " "}, "scenario"),
        ({"manual": False}, "manual"),
        ({"note": "x" * 4001}, "note"),
    ],
)
def test_what_the_reviewer_needs_must_be_said(dana, answers, field):
    with pytest.raises(InvalidInput) as refused:
        submit(dana, **answers)
    assert field in refused.value.fields


def test_the_second_submission_for_a_skill_is_refused_and_points_to_the_first(dana, person):
    first = submit(dana)

    with pytest.raises(services.AlreadySubmitted) as refused:
        submit(person("olivia").actor, {"main.py": "print('other')\n"})

    assert refused.value.fields == {"submission": str(first.pk)}
    assert f"/submissions/{first.pk}/" in refused.value.message


def test_two_at_the_same_moment_end_in_the_constraint_and_the_same_words(dana, monkeypatch):
    first = submit(dana)
    answers = iter([None, first])
    monkeypatch.setattr(services, "open_submission", lambda name: next(answers))

    with pytest.raises(services.AlreadySubmitted):
        submit(dana)


def test_after_a_withdrawal_the_skill_can_be_submitted_again(dana):
    services.withdraw_submission(actor=dana, submission=submit(dana))

    assert submit(dana).status == SubmissionStatus.CHECKING


def test_the_same_name_in_another_tenant_is_no_second_one(dana, person, globex):
    submit(person("gina").actor)

    connection.set_tenant(tenant_named("acme"))
    assert submit(dana).tenant.name == "acme"


def test_a_new_revision_has_a_digest_of_its_own_and_is_checked_anew(dana):
    submission = submit(dana)
    checking.check_revision(latest(submission).pk)

    again = revise(dana, submission, {"main.py": "def main():\n    return 1\n", "skill.toml": ""
                                      '[skill]\nname = "greet"\n'})  # fmt: skip

    first, second = again.revisions.order_by("number")
    assert again.status == SubmissionStatus.CHECKING
    assert first.digest != second.digest
    assert second.checks == []


def test_a_revision_cannot_be_about_another_skill(dana):
    submission = submit(dana)
    checking.check_revision(latest(submission).pk)
    bundle = latest(submission)

    with pytest.raises(InvalidInput) as refused:
        services.revise_submission(
            actor=dana,
            submission=submission,
            bundle=_bundle(),
            manifest=with_changes(bundle.manifest, {"skill": {"name": "other"}}),
            answers=_answers(),
        )
    assert "name" in refused.value.fields


def test_while_it_is_checked_a_new_revision_has_to_wait(dana):
    submission = submit(dana)

    with pytest.raises(Conflict, match="still being checked"):
        revise(dana, submission, {})


@pytest.mark.parametrize(
    "field", ["digest", "stored_as", "manifest", "scenario", "confirm", "number"]
)
def test_what_was_submitted_never_changes(dana, field):
    revision = latest(submit(dana))
    changed = {"manifest": {}, "confirm": True, "number": 7}.get(field, "other")

    with pytest.raises(DatabaseError), transaction.atomic(), public_domain():
        Revision.objects.filter(pk=revision.pk).update(**{field: changed})


@pytest.mark.parametrize(
    "status", [SubmissionStatus.PUBLISHING, SubmissionStatus.LIVE, SubmissionStatus.WITHDRAWN]
)
def test_what_is_decided_is_neither_withdrawn_nor_revised(dana, status):
    submission = submit(dana)
    put(submission, status)

    with pytest.raises(InvalidTransition):
        services.withdraw_submission(actor=dana, submission=submission)
    with pytest.raises(InvalidTransition):
        revise(dana, submission, {})


def test_a_rejected_one_is_revised_and_its_remarks_answered(dana):
    submission = submit(dana)
    put(submission, SubmissionStatus.REJECTED)

    remark = services.answer_remark(actor=dana, submission=submission, text=" It is needed. ")
    revised = revise(dana, submission, {"main.py": GREET["main.py"] + "\n# again\n"})

    assert (remark.text, remark.author, remark.is_reviewer) == ("It is needed.", "dana", False)
    assert revised.status == SubmissionStatus.CHECKING


def test_what_was_rejected_does_not_come_back_as_it_is(dana):
    submission = submit(dana)
    put(submission, SubmissionStatus.REJECTED)

    with pytest.raises(Conflict, match="Send a new one"):
        services.recheck_submission(actor=dana, submission=submission)
    with public_domain():
        assert Submission.objects.get(pk=submission.pk).status == SubmissionStatus.REJECTED


def test_the_name_of_a_skill_of_the_platform_is_taken(dana):
    onboard_script(
        actor=Actor.system("tests", door=Door.COMMAND),
        bundle=bundle_of(GREET),
        maintainer=Maintainer.PLATFORM,
    )

    with pytest.raises(InvalidInput, match="maintained by the platform"):
        submit(dana)


def test_a_submission_of_another_tenant_is_not_there(dana, person, globex):
    foreign = submit(person("gina").actor)
    services.answer_remark(actor=person("gina").actor, submission=foreign, text="Hidden.")
    with public_domain():
        Review.objects.create(
            revision=latest(foreign), digest="0", verdict=Verdict.REJECTED, reason="No.",
            reviewer_id=1, reviewer="sam", created_at=timezone.now(),
        )  # fmt: skip

    connection.set_tenant(tenant_named("acme"))

    for model in (Submission, Revision, Review, Remark):
        assert not model.objects.exists(), model  # The database itself shows none.
    with pytest.raises(NotPermitted):
        services.withdraw_submission(actor=dana, submission=foreign)


def test_a_tenant_cannot_write_a_row_itself(dana):
    submission = submit(dana)

    from django.db import ProgrammingError

    with pytest.raises(ProgrammingError), transaction.atomic():
        Submission.objects.filter(pk=submission.pk).update(status=SubmissionStatus.LIVE)
    with pytest.raises(ProgrammingError), transaction.atomic():
        Revision.objects.filter(submission=submission).update(checks=[])


def test_the_name_can_be_chosen_and_has_rules(dana):
    assert submit(dana, name="other-name").skill_name == "other-name"
    with pytest.raises(InvalidInput) as refused:
        submit(dana, {"skill.toml": MANIFEST.replace('"greet"', '"Greet Me"')}, name="Not Good")
    assert "name" in refused.value.fields


def _bundle():
    from executors.script.bundle import read_archive

    return read_archive(archive())


def _answers():
    from tests.factories.submissions import ANSWERS

    return ANSWERS
