"""What the demo shows of hot update: walked once, by two people, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django_tenants.utils import tenant_context

from execfabric.operations.demo_scripts import UPDATE, UPDATED, edited
from execfabric.operations.demo_submissions import SCENARIOS, People, seed_submissions
from executors.manifest import load_manifest
from executors.script.bundle import read_bundle, write_files
from skills.catalogue.models import Skill
from skills.hot_update.models import Submission
from skills.hot_update.reviewing.locking import lock_revision
from skills.hot_update.reviewing.locks import packages_digest
from skills.hot_update.reviewing.services import approve_submission
from skills.hot_update.states import SubmissionStatus, Verdict
from skills.hot_update.submitting.services import withdraw_submission
from tests.conftest import tenant_named

EXAMPLES = Path(settings.BASE_DIR) / "examples"


@pytest.fixture
def people(platform, person) -> People:
    acme = tenant_named("acme")
    with tenant_context(acme):
        dana = person("dana").actor
    return People(acme, dana, person("sam").actor)


@pytest.fixture
def seed(people):
    def start(until: str = "") -> list[str]:
        """Seed as a start of the demo does, cut off at the line that ends with until."""
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            if until and line.endswith(until):
                raise KeyboardInterrupt

        seed_submissions(people, EXAMPLES, say)
        return lines

    return start


def status_by_skill() -> list[tuple[str, str]]:
    return sorted(Submission.objects.values_list("skill_name", "status"))


AFTERWARDS = sorted(
    [
        *((name, SubmissionStatus.LIVE.value) for name in SCENARIOS),
        (UPDATED, SubmissionStatus.IN_REVIEW.value),
        ("exchange-rates", SubmissionStatus.REJECTED.value),
    ]
)


def test_the_demo_has_a_history_one_that_waits_and_one_sent_back(seed, people):
    seed()

    assert status_by_skill() == AFTERWARDS
    live = Submission.objects.get(skill_name=UPDATED, status=SubmissionStatus.LIVE)
    revision = live.revisions.get()
    assert revision.submitted_by == "dana"
    assert revision.reviews.get().reviewer == "sam"
    assert revision.trial["status"] == "succeeded", revision.trial
    assert {step.status for step in revision.steps.all()} == {"done"}
    sent_back = Submission.objects.get(skill_name="exchange-rates").revisions.get()
    assert "network = false" in sent_back.reviews.get(verdict=Verdict.REJECTED).reason
    assert [remark.author for remark in sent_back.remarks.all()] == ["sam", "dana"]
    assert any(entry["level"] == "warn" for entry in sent_back.checks)
    with tenant_context(people.tenant):
        assert set(Skill.objects.values_list("name", flat=True)) == set(SCENARIOS)


def test_a_second_start_adds_nothing(seed):
    seed()
    assert seed() == []
    assert status_by_skill() == AFTERWARDS


def test_a_start_that_was_cut_off_is_gone_on_with(seed):
    with pytest.raises(KeyboardInterrupt):
        seed(until="published")
    assert len(status_by_skill()) == 1

    seed()

    assert status_by_skill() == AFTERWARDS


def test_what_people_decided_since_stays(seed, people):
    seed()
    waiting = Submission.objects.get(status=SubmissionStatus.IN_REVIEW)
    revision = waiting.revisions.get()
    sent_back = Submission.objects.get(skill_name="exchange-rates")
    with tenant_context(people.tenant):
        withdraw_submission(actor=people.developer, submission=sent_back)
    revision = lock_revision(revision)
    approve_submission(
        actor=people.reviewer,
        submission=waiting,
        revision_id=revision.pk,
        digest=revision.digest,
        packages=packages_digest(revision.lock),
    )
    before = status_by_skill()

    assert seed() == []

    assert status_by_skill() == before


def test_the_waiting_update_fits_its_example_and_describes_itself(tmp_path):
    update = edited(read_bundle(EXAMPLES / UPDATED), UPDATE)
    folder = tmp_path / UPDATED
    folder.mkdir()
    write_files(update, folder)

    assert "signed_by" in load_manifest(folder).inputs
    with pytest.raises(ValueError, match="not exactly one"):
        edited(update, (("main.py", "is not there", ""),))
