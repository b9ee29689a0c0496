"""Verdicts: about exactly what was shown, by somebody else, and once."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from execfabric.core.errors import Conflict, InvalidInput, NotPermitted
from execfabric.core.models import AuditEvent
from execfabric.core.states import move
from executors.script.environment import EnvironmentBuildError
from executors.script.environment.lock import Lock
from skills.hot_update.models import Recall, Review, Submission
from skills.hot_update.publishing import tasks
from skills.hot_update.publishing.carrying_out import publish_revision
from skills.hot_update.reviewing import locking, services
from skills.hot_update.reviewing.bundles import FilesChanged
from skills.hot_update.reviewing.locks import packages_digest
from skills.hot_update.reviewing.rules import rules_in_force, tighten
from skills.hot_update.reviewing.services import Outdated
from skills.hot_update.states import SUBMISSION_TRANSITIONS, SubmissionStatus
from tenants.accounts.models import Account
from tests.factories.revisions import make_revision, replaced_in_storage

from .conftest import approve, in_tenant, reviewer, steps_of

OTHER = "def main() -> str:\n    return 'other'\n"


def status_of(revision) -> str:
    return Submission.objects.get(pk=revision.submission_id).status


def reject(actor, revision, reason="It deletes files."):
    return services.reject_submission(
        actor=actor,
        submission=revision.submission,
        revision_id=revision.pk,
        digest=revision.digest,
        reason=reason,
    )


def nothing_was_decided(revision) -> bool:
    undecided = not Review.objects.filter(revision__submission=revision.submission).exists()
    return undecided and not steps_of(revision)


def test_an_approval_lays_out_the_steps_and_is_on_record(sam, acme_tenant):
    revision = make_revision(acme_tenant)

    review = approve(sam.actor, revision)

    assert review.digest == revision.digest
    assert status_of(revision) == SubmissionStatus.PUBLISHING
    assert {step.status for step in steps_of(revision).values()} == {"waiting"}
    event = AuditEvent.objects.get(code="hot_update.submission.approve")
    assert event.details["digest"] == revision.digest


def test_a_newer_revision_is_a_conflict_and_nothing_is_approved(sam, acme_tenant):
    shown = make_revision(acme_tenant)
    newer = make_revision(acme_tenant, OTHER, submission=shown.submission)

    for decide in (approve, reject):
        with pytest.raises(services.Outdated, match="Revision 2 came in meanwhile"):
            decide(sam.actor, shown)

    assert nothing_was_decided(newer)


def test_another_digest_than_that_of_the_revision_is_a_conflict(sam, acme_tenant):
    revision = make_revision(acme_tenant)
    revision.digest = "0" * 64

    with pytest.raises(services.Outdated, match="not the files you looked at"):
        approve(sam.actor, revision)


def test_a_changed_byte_in_storage_is_found_at_the_approval(sam, acme_tenant):
    # Like no other: storage is shared by tests that run at the same time.
    revision = make_revision(acme_tenant, f"{OTHER}# {uuid4()}\n")
    with (
        replaced_in_storage(revision, OTHER),
        pytest.raises(FilesChanged, match="not the ones that were submitted"),
    ):
        approve(sam.actor, revision)

    assert nothing_was_decided(revision)


def test_of_two_reviewers_at_the_same_moment_the_second_is_told_that_it_is_decided(
    sam, rita, acme_tenant
):
    revision = make_revision(acme_tenant)
    seen_by_rita = type(revision).objects.select_related("submission__tenant").get(pk=revision.pk)
    approve(sam.actor, revision)

    with pytest.raises(Conflict, match="Nothing was decided: this submission is"):
        approve(rita.actor, seen_by_rita)
    with pytest.raises(Conflict, match="Nothing was decided: this submission is"):
        reject(rita.actor, seen_by_rita)

    assert [review.reviewer for review in revision.reviews.all()] == ["sam"]
    assert revision.steps.count() == 4


def test_what_the_tenant_withdrew_cannot_be_approved(sam, acme_tenant):
    revision = make_revision(acme_tenant)
    move(
        revision.submission,
        to=SubmissionStatus.WITHDRAWN,
        table=SUBMISSION_TRANSITIONS,
        changed_at=timezone.now(),
    )

    with pytest.raises(Conflict, match="The tenant has withdrawn"):
        approve(sam.actor, revision)


@pytest.mark.parametrize("status", ["checking", "blocked", "rejected", "live"])
def test_only_what_is_in_review_can_be_approved(sam, acme_tenant, status):
    revision = make_revision(acme_tenant, status=SubmissionStatus(status))

    with pytest.raises(Conflict, match="Nothing was decided"):
        approve(sam.actor, revision)


def test_a_rejection_needs_a_reason(sam, acme_tenant):
    revision = make_revision(acme_tenant)

    with pytest.raises(InvalidInput) as refused:
        reject(sam.actor, revision, reason="  ")
    assert "reason" in refused.value.fields

    reject(sam.actor, revision)
    assert status_of(revision) == SubmissionStatus.REJECTED


def test_the_author_cannot_decide_whatever_the_schema(acme_tenant, person):
    same_name = reviewer("Dana", person)
    with in_tenant(acme_tenant):
        Account.objects.filter(username="dana").update(email="dana@acme.example")
    same_mail = reviewer("dora", person, email="DANA@acme.example")
    revision = make_revision(acme_tenant)

    for author in (same_name, same_mail):
        for decide in (approve, reject):
            with pytest.raises(NotPermitted, match="cannot decide on it"):
                decide(author.actor, revision)

    assert nothing_was_decided(revision)


@pytest.mark.parametrize(
    ("tenant_side", "public_side"),
    [
        ("Ren\u00e9", "RENE\u0301"),  # Composed, and in capitals with an accent of its own.
        ("stra\u00dfe", "STRASSE"),
        ("dora", "\uff24\uff4f\uff52\uff41"),  # Full width.
        ("\u0130lker", "i\u0307lker"),  # A dotted capital I.
    ],
)
@pytest.mark.parametrize("by", ["username", "email"])
def test_the_author_cannot_decide_however_the_name_is_written(
    acme_tenant, person, tenant_side, public_side, by
):
    revision = make_revision(acme_tenant)
    mail = "@acme.example" if by == "email" else ""
    with in_tenant(acme_tenant):
        Account.objects.filter(username="dana").update(**{by: tenant_side + mail})
    rex = reviewer("rex", person)
    Account.objects.filter(username="rex").update(**{by: public_side + mail})

    with pytest.raises(NotPermitted, match="cannot decide on it"):
        approve(rex.actor, revision)
    assert nothing_was_decided(revision)


def test_who_sent_an_earlier_revision_is_an_author_too(acme_tenant, person):
    olivia = reviewer("olivia", person)
    first = make_revision(acme_tenant, author="olivia")
    second = make_revision(acme_tenant, OTHER, submission=first.submission)

    with pytest.raises(NotPermitted, match="cannot decide on it"):
        approve(olivia.actor, second)


def test_a_reviewer_who_lost_the_role_meanwhile_is_refused(rita, acme_tenant):
    revision = make_revision(acme_tenant)
    Account.objects.filter(pk=rita.actor.user_id).update(is_platform_admin=False)

    for decide in (approve, reject):
        with pytest.raises(NotPermitted, match="no reviewer any more"):
            decide(rita.actor, revision)


def test_nobody_of_a_tenant_reviews(acme_tenant, person):
    revision = make_revision(acme_tenant)
    with in_tenant(acme_tenant):
        olivia = person("olivia")

    with pytest.raises(NotPermitted):
        approve(olivia.actor, revision)


def test_high_risk_needs_two_reviewers_where_the_operator_wants_it(
    sam, rita, acme_tenant, settings
):
    settings.SECOND_REVIEWER = True
    revision = make_revision(acme_tenant)

    approve(sam.actor, revision, risk="high", timeout_s=30)
    assert status_of(revision) == SubmissionStatus.IN_REVIEW
    with pytest.raises(Conflict, match="another reviewer must, too"):
        approve(sam.actor, revision)
    with pytest.raises(InvalidInput, match="only tighten"):
        approve(rita.actor, revision, risk="low")

    approve(rita.actor, revision, timeout_s=20)
    assert status_of(revision) == SubmissionStatus.PUBLISHING
    rules = rules_in_force(revision)
    assert (rules["risk"], rules["timeout_s"]) == ("high", 20)


def test_the_word_of_a_first_reviewer_who_lost_the_role_counts_no_more(
    sam, rita, acme_tenant, settings
):
    settings.SECOND_REVIEWER = True
    revision = make_revision(acme_tenant, risk="high")
    approve(rita.actor, revision)
    Account.objects.filter(username="rita").update(is_platform_admin=False)

    approve(sam.actor, revision)

    assert status_of(revision) == SubmissionStatus.IN_REVIEW


def test_a_reviewer_who_has_the_role_again_can_say_it_again_and_loosens_nothing(
    sam, rita, acme_tenant, settings
):
    settings.SECOND_REVIEWER = True
    revision = make_revision(acme_tenant, risk="high")
    approve(rita.actor, revision, timeout_s=30, memory_mb=128)
    Account.objects.filter(username="rita").update(is_platform_admin=False)
    approve(sam.actor, revision, timeout_s=20)
    Account.objects.filter(username="rita").update(is_platform_admin=True)

    approve(rita.actor, revision)

    assert status_of(revision) == SubmissionStatus.PUBLISHING
    rules = rules_in_force(revision)
    assert (rules["timeout_s"], rules["memory_mb"]) == (20, 128)


def test_one_reviewer_is_enough_for_less_risk(sam, acme_tenant, settings):
    settings.SECOND_REVIEWER = True
    revision = make_revision(acme_tenant, risk="medium")

    approve(sam.actor, revision)

    assert status_of(revision) == SubmissionStatus.PUBLISHING


def test_who_approved_first_may_reject_after_all(sam, acme_tenant, settings):
    settings.SECOND_REVIEWER = True
    revision = make_revision(acme_tenant, risk="high")
    approve(sam.actor, revision)

    reject(sam.actor, revision)

    assert status_of(revision) == SubmissionStatus.REJECTED
    assert [review.verdict for review in revision.reviews.all()] == ["rejected"]


@pytest.mark.parametrize("lock", [None, {"problem": "There is no package nonsense."}])
def test_packages_that_were_not_shown_are_not_approved(sam, acme_tenant, lock):
    revision = make_revision(acme_tenant)
    type(revision).objects.filter(pk=revision.pk).update(lock=lock)

    with pytest.raises(Conflict, match="packages"):
        approve(sam.actor, revision)


LOCK = {"python": "3.11.2", "tag": "cpython-311-x86_64-linux-gnu", "text": "a==1 --hash=sha256:0\n"}
OTHER_LOCK = {**LOCK, "text": "a==2 --hash=sha256:1\n"}


def test_a_verdict_names_the_packages_that_were_shown(sam, acme_tenant):
    revision = make_revision(acme_tenant, lock=LOCK)

    review = approve(sam.actor, revision)

    assert review.packages == packages_digest(LOCK) != packages_digest(OTHER_LOCK)


@pytest.mark.parametrize("shown", ["", packages_digest(OTHER_LOCK)])
def test_other_packages_than_those_shown_are_not_approved(sam, acme_tenant, shown):
    revision = make_revision(acme_tenant, lock=LOCK)

    with pytest.raises(Outdated, match="not the packages you looked at"):
        services.approve_submission(
            actor=sam.actor,
            submission=revision.submission,
            revision_id=revision.pk,
            digest=revision.digest,
            packages=shown,
        )

    assert nothing_was_decided(revision)


def test_packages_that_were_exchanged_after_the_verdict_are_not_published(sam, acme_tenant):
    revision = make_revision(acme_tenant, lock=LOCK)
    approve(sam.actor, revision)
    type(revision).objects.filter(pk=revision.pk).update(lock=OTHER_LOCK)

    publish_revision(revision.pk)

    assert status_of(revision) == SubmissionStatus.STUCK
    assert "not approved" in steps_of(revision)["sync"].log


def test_packages_that_could_not_be_locked_are_tried_again(sam, acme_tenant, monkeypatch):
    def away(*_args, **_given):
        raise EnvironmentBuildError("The package index cannot be reached.")

    with monkeypatch.context() as patch:
        patch.setattr(locking, "lock_of", away)
        revision = make_revision(acme_tenant, files={"requirements.txt": "et-xmlfile\n"})
        type(revision).objects.filter(pk=revision.pk).update(lock=None)
        revision.refresh_from_db()
        failed = locking.lock_revision(revision)
    assert "cannot be reached" in failed.lock["problem"]
    assert "cannot be reached" in locking.lock_revision(failed).lock["problem"]  # Not due yet.

    tried_at = timezone.now() - locking.RETRY_AFTER
    failed.lock["tried_at"] = tried_at.isoformat()
    failed.save(update_fields=["lock"])
    monkeypatch.setattr(locking, "lock_of", lambda *_, **__: Lock(*LOCK.values()))
    tasks.lock_revision.run(revision_id=str(revision.pk))

    revision.refresh_from_db()
    assert revision.lock == LOCK


def test_a_lock_is_tried_less_and_less():
    now = timezone.now()
    failed = {"problem": "away", "tried_at": (now - timedelta(minutes=3)).isoformat()}

    assert locking.is_due({**failed, "tries": 1}, now)
    assert not locking.is_due({**failed, "tries": 3}, now)
    assert locking.is_due({**failed, "tries": 900}, now + locking.LONGEST_PAUSE)


def test_files_that_were_recalled_are_not_approved_again(sam, acme_tenant):
    revision = make_revision(acme_tenant)
    Recall.objects.create(
        digest=revision.digest, reason="It leaks.", recalled_by="sam", recalled_at=timezone.now()
    )

    with pytest.raises(Conflict, match="withdrawn before: It leaks"):
        approve(sam.actor, revision)


def test_a_remark_is_the_reviewers(sam, acme_tenant):
    revision = make_revision(acme_tenant)

    remark = services.add_remark(actor=sam.actor, submission=revision.submission, text=" Pin it. ")

    assert (remark.text, remark.author, remark.is_reviewer) == ("Pin it.", "sam", True)


ASKED = {
    "risk": "medium", "confirm": False, "approval": "none", "visibility": "tenant",
    "ai_callable": True, "manual": True,
    "network": True, "network_hosts": ["*.example.com"], "timeout_s": 300, "memory_mb": 512,
    "concurrency": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "becomes"),
    [
        ({"risk": "high"}, {"risk": "high", "confirm": True}),
        ({"risk": "high", "confirm": False}, {"confirm": True}),
        ({"confirm": True}, {"confirm": True}),
        ({"approval": "four_eyes"}, {"approval": "four_eyes"}),
        ({"visibility": "granted"}, {"visibility": "granted"}),
        ({"ai_callable": False}, {"ai_callable": False}),
        ({"network": False}, {"network": False, "network_hosts": []}),
        ({"network_hosts": ["api.example.com"]}, {"network_hosts": ["api.example.com"]}),
        ({"network_hosts": ["*.a.example.com:443"]}, {"network_hosts": ["*.a.example.com:443"]}),
        ({"timeout_s": 10, "memory_mb": 64, "concurrency": 1}, {"timeout_s": 10}),
    ],
)
def test_rules_can_be_tightened(wanted, becomes):
    assert becomes.items() <= tighten(ASKED, wanted).items()


@pytest.mark.parametrize(
    ("asked", "wanted", "field"),
    [
        ({}, {"risk": "low"}, "risk"),
        ({}, {"risk": "none"}, "risk"),
        ({"confirm": True}, {"confirm": False}, "confirm"),
        ({"approval": "four_eyes"}, {"approval": "none"}, "approval"),
        ({"visibility": "granted"}, {"visibility": "tenant"}, "visibility"),
        ({}, {"visibility": "everybody"}, "visibility"),
        ({"ai_callable": False}, {"ai_callable": True}, "ai_callable"),
        ({"manual": False}, {"manual": True}, "manual"),
        ({"network": False, "network_hosts": []}, {"network": True}, "network"),
        ({}, {"network_hosts": ["example.org"]}, "network_hosts"),
        ({}, {"network_hosts": ["example.com"]}, "network_hosts"),
        ({}, {"network_hosts": []}, "network_hosts"),
        ({}, {"network_hosts": ["not a host"]}, "network_hosts"),
        ({}, {"timeout_s": 301}, "timeout_s"),
        ({}, {"memory_mb": 31}, "memory_mb"),
        ({"concurrency": 2}, {"concurrency": None}, "concurrency"),
        ({}, {"manual": False, "ai_callable": False}, "manual"),
        ({}, {"queue": "mine"}, "queue"),
    ],
)
def test_rules_cannot_be_loosened(asked, wanted, field):
    with pytest.raises(InvalidInput) as refused:
        tighten({**ASKED, **asked}, wanted)

    assert field in refused.value.fields


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.0/8", "192.168.1.7", "127.0.0.1:5432", "169.254.169.254", "[fd00::1]:443", "::/0",
        "0.0.0.0/0", "8.0.0.0/6", "[::ffff:10.0.0.1]", "erp.corp", "ERP.corp:443", "db.plant.corp",
        "*.corp", "*.plant.corp",
    ],
)  # fmt: skip
def test_who_asked_for_all_public_hosts_gets_no_private_one(settings, host):
    settings.NETWORK_ALLOW = frozenset({"10.0.0.0/8", "erp.corp", "*.plant.corp"})

    with pytest.raises(InvalidInput) as refused:
        tighten({**ASKED, "network_hosts": []}, {"network_hosts": ["example.com", host]})

    assert f"{host} is none" in refused.value.fields["network_hosts"]


@pytest.mark.parametrize(
    "host", ["api.example.com", "*.example.com:443", "93.184.215.0/24", "2600::/32"]
)
def test_who_asked_for_all_public_hosts_can_be_given_some_of_them(settings, host):
    settings.NETWORK_ALLOW = frozenset({"10.0.0.0/8", "erp.corp"})

    after = tighten({**ASKED, "network_hosts": []}, {"network_hosts": [host]})

    assert after["network_hosts"] == [host]
