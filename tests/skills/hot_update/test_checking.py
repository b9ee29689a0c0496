"""The checks on a worker: what is recorded, what is left alone, and the trial in the sandbox."""

from __future__ import annotations

import io
import json

import pytest
from django.core.cache import cache
from django.utils import timezone

from execfabric.core.models import AuditEvent
from execfabric.core.storage import delete_file, store_file
from executors.script.environment import EnvironmentBuildError
from executors.script.environment.installer import OFFLINE_MESSAGE
from skills.catalogue.models import Script, Skill
from skills.hot_update import checking, tasks, trial
from skills.hot_update.checks import requirements
from skills.hot_update.models import Submission
from skills.hot_update.public import public_domain
from skills.hot_update.states import SubmissionStatus
from skills.hot_update.submitting import services
from tests.factories.submissions import GREET, MANIFEST, latest, submit

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def dana(person):
    return person("dana").actor


@pytest.fixture(autouse=True)
def nothing_claimed():
    yield
    cache.clear()


def checked(submission):
    """Return the latest revision once its checks are made, as a worker makes them."""
    checking.check_revision(latest(submission).pk)
    submission.refresh_from_db()
    return latest(submission)


def levels(revision):
    return {entry["check"]: entry["level"] for entry in revision.checks}


def test_a_good_script_goes_on_to_the_reviewers_with_its_trial(dana):
    submission = submit(dana)

    revision = checked(submission)

    assert submission.status == SubmissionStatus.IN_REVIEW
    assert set(levels(revision).values()) == {"pass"}, revision.checks
    assert revision.trial["status"] == "succeeded", revision.trial
    assert "greeting you" in revision.trial["log"]
    assert AuditEvent.objects.get(code="hot_update.revision.check").actor_name == "system:worker"


def test_nothing_of_it_is_a_skill_yet(dana):
    checked(submit(dana))

    assert not Skill.objects.exists()
    assert not Script.objects.exists()


def test_a_block_holds_it_back_and_it_is_not_tried(dana):
    submission = submit(dana, {"README.md": "# Greet\n"})

    revision = checked(submission)

    assert submission.status == SubmissionStatus.BLOCKED
    assert levels(revision)["readme"] == "block"
    assert revision.trial["status"] == "skipped"


def test_unknown_keys_of_the_manifest_are_a_readable_block(dana):
    submission = submit(dana, {"skill.toml": MANIFEST.replace("risk =", "rsik =")})

    revision = checked(submission)

    (entry,) = [entry for entry in revision.checks if entry["check"] == "manifest"]
    assert submission.status == SubmissionStatus.BLOCKED
    assert "unknown key 'rsik' in [skill]" in entry["details"]


def test_the_trial_takes_the_sample_files(dana):
    code = (
        "def main(orders):\n    text = open(orders).read()\n    print(text)\n    return len(text)\n"
    )
    manifest = MANIFEST.split("[inputs.name]")[0] + (
        '[inputs.orders]\ntype = "string"\nformat = "file"\ndescription = "Orders."\n'
    )
    files = {
        "main.py": code, "skill.toml": manifest, "samples/orders.csv": "a;b\n",
        "samples/inputs.json": json.dumps({"orders": "orders.csv"}),
    }  # fmt: skip

    revision = checked(submit(dana, files))

    assert revision.trial["status"] == "succeeded", revision.trial
    assert "a;b" in revision.trial["log"]


def test_without_samples_the_trial_is_skipped_and_says_what_to_add(dana):
    manifest = MANIFEST.replace('default = "you"\n', "")
    submission = submit(dana, {"skill.toml": manifest})

    revision = checked(submission)

    assert submission.status == SubmissionStatus.IN_REVIEW
    assert levels(revision)["trial"] == "warn"
    assert "samples/inputs.json" in revision.trial["summary"]


@pytest.mark.parametrize("name", ["../main.py", "nested/a.csv", "missing.csv"])
def test_a_sample_is_one_of_the_samples(dana, name):
    manifest = MANIFEST.split("[inputs.name]")[0] + '[inputs.o]\ntype = "string"\nformat = "file"\n'
    files = {
        "main.py": "def main(o):\n    return 1\n", "skill.toml": manifest,
        "samples/inputs.json": json.dumps({"o": name}),
    }  # fmt: skip

    assert checked(submit(dana, files)).trial["status"] == "skipped"


def test_what_no_database_can_store_does_not_keep_the_report_from_being_stored(dana):
    files = {
        "skill.toml": MANIFEST.replace('"Greet"', '"Gr\\u0000eet"'),
        "samples/inputs.json": '{"name": "\\u0000\\ud800", "times": 1}',
    }
    submission = submit(dana, files)

    revision = checked(submission)

    assert submission.status == SubmissionStatus.IN_REVIEW, revision.checks
    assert "\0" not in revision.manifest["skill"]["title"]


def test_a_trial_that_fails_is_for_the_reviewer_to_judge(dana):
    submission = submit(
        dana, {"main.py": "def main(name, times):\n    raise ValueError('no luck')\n"}
    )

    revision = checked(submission)

    assert submission.status == SubmissionStatus.IN_REVIEW
    assert (revision.trial["status"], levels(revision)["trial"]) == ("failed", "warn")
    assert "no luck" in revision.trial["error"]


def test_the_trial_has_no_network(dana):
    code = (
        "import socket\ndef main(name, times):\n"
        "    socket.create_connection(('192.0.2.1', 80), timeout=2)\n"
    )

    revision = checked(submit(dana, {"main.py": code}))

    assert revision.trial["status"] == "failed"
    assert levels(revision)["risky-calls"] == "warn"


def test_files_that_are_not_the_submitted_ones_block(dana):
    submission = submit(dana, {"own.txt": "Workers share the storage; these files are ours alone."})
    stored_as = latest(submission).stored_as
    delete_file(stored_as)
    store_file("bundles", stored_as.rsplit("/", 1)[1], io.BytesIO(b"PK"))

    revision = checked(submission)

    assert submission.status == SubmissionStatus.BLOCKED
    assert levels(revision) == {"digest": "block"}
    delete_file(stored_as)


def test_a_second_delivery_does_nothing(dana):
    submission = submit(dana)
    first = checked(submission)

    checking.check_revision(first.pk)

    assert AuditEvent.objects.filter(code="hot_update.revision.check").count() == 1


def test_one_that_another_worker_checks_is_left_alone(dana):
    submission = submit(dana)
    cache.set(checking.claim_of(latest(submission).pk), True)

    assert checked(submission).checks == []


def test_a_submission_withdrawn_while_it_was_checked_stays_withdrawn(dana, monkeypatch):
    submission = submit(dana)

    def examine(revision):
        services.withdraw_submission(actor=dana, submission=submission)
        return [], {}

    monkeypatch.setattr(checking, "examine", examine)
    checked(submission)

    assert submission.status == SubmissionStatus.WITHDRAWN


def test_a_package_that_does_not_exist_blocks_and_an_index_that_is_away_warns(dana, monkeypatch):
    def broken(said):
        def lock(*_args, **_given):
            raise EnvironmentBuildError(said)

        return lock

    monkeypatch.setattr(requirements, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(requirements, "lock_of", broken("No version of x fits."))
    submission = submit(dana, {"requirements.txt": "openpyxl==3.1.5\n"})
    assert levels(checked(submission))["requirements"] == "block"

    monkeypatch.setattr(requirements, "lock_of", broken(OFFLINE_MESSAGE))
    services.recheck_submission(actor=dana, submission=submission)
    assert levels(checked(submission))["requirements"] == "warn"
    assert submission.status == SubmissionStatus.IN_REVIEW


def test_what_it_needs_is_locked_installed_and_tried(dana):
    files = {"requirements.txt": "et-xmlfile\n",
             "main.py": "import et_xmlfile\n" + GREET["main.py"]}  # fmt: skip

    revision = checked(submit(dana, files))

    (entry,) = [entry for entry in revision.checks if entry["check"] == "requirements"]
    assert "et-xmlfile" in entry["details"]
    assert "--hash=sha256:" in entry["facts"]["lock"]
    assert revision.trial["status"] == "succeeded", revision.trial


def test_a_risk_below_what_the_code_asks_for_reaches_the_reviewer_with_the_difference(dana):
    """Nothing that is sent makes the difference go away: not the manifest, not another revision."""
    submission = submit(dana, {"main.py": f"eval('1')\n{GREET['main.py']}"}, note="It is low.")

    (entry,) = [one for one in checked(submission).checks if one["check"] == "risky-calls"]

    assert submission.status == SubmissionStatus.IN_REVIEW
    assert entry["level"] == "warn"
    assert (entry["facts"]["declared"], entry["facts"]["demanded"]) == ("low", "high")


def test_what_no_worker_took_is_sent_again(
    dana, acme, monkeypatch, django_capture_on_commit_callbacks
):
    submission, fresh = submit(dana), submit(dana, name="other")
    with public_domain():
        early = timezone.now() - 2 * tasks.FORGOTTEN_AFTER
        Submission.objects.filter(pk=submission.pk).update(changed_at=early)
        sent = []
        monkeypatch.setattr(tasks, "enqueue", lambda name, **given: sent.append((name, given)))
        tasks.scan_forgotten.run()

    assert sent == [("hot_update.check_revision", {"revision_id": str(latest(submission).pk)})]
    assert fresh.status == SubmissionStatus.CHECKING


def test_the_trial_gets_no_more_memory_than_a_manifest_nobody_looked_at_may_ask(dana, monkeypatch):
    given = []
    script = trial.EXECUTORS.get("script")
    execute = type(script).execute

    def noted(self, request, *args, **kwargs):
        given.append(request.limits.memory_bytes)
        return execute(self, request, *args, **kwargs)

    monkeypatch.setattr(type(script), "execute", noted)

    checked(submit(dana, {"skill.toml": MANIFEST.replace("[skill]", "[skill]\nmemory_mb = 4096")}))

    assert given == [1 << 30]
