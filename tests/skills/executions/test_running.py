"""Real runs: from the queue through the executor to a stored result."""

from __future__ import annotations

import functools
import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.models import AuditEvent
from execfabric.core.statements import database_now
from execfabric.core.storage import open_file
from executors.contract import ExecutionResult, Outcome, StopReason
from skills.executions import lifecycle, queue, running, scanning, services
from skills.executions.models import Artifact, Execution
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
LATER = timedelta(hours=1)


@pytest.fixture
def oscar(person):
    return person("oscar").actor


@pytest.fixture
def run(oscar):
    """Ask for a skill and run it to its end, as a worker does."""

    def ask_and_run(skill, **inputs):
        execution = services.request_execution(actor=oscar, skill=skill, inputs=inputs)
        running.run_execution(str(execution.pk))
        execution.refresh_from_db()
        return execution

    return ask_and_run


def log_of(execution):
    return "".join(chunk.text for chunk in execution.log_chunks.all())


def test_a_run_leaves_result_log_and_trail(run):
    execution = run(make_skill(), name="Ada")

    assert (execution.status, execution.exit_code) == (Status.SUCCEEDED, 0)
    assert execution.output == {"greeting": "Hello, Ada!"}
    assert "greeting Ada" in log_of(execution)
    assert execution.started_at <= execution.finished_at
    assert execution.lease_token is None
    codes = AuditEvent.objects.filter(target_id=str(execution.pk)).values_list("code", flat=True)
    assert sorted(codes) == [
        "executions.execution.claim",
        "executions.execution.finish",
        "executions.execution.request",
    ]


def test_an_exception_of_the_script_is_a_failed_execution_with_its_traceback(run):
    execution = run(make_skill(code="def main():\n    return 1 / 0\n"))

    assert (execution.status, execution.stop_reason) == (Status.FAILED, "exited")
    assert "ZeroDivisionError" in execution.error
    assert "executors" not in execution.error


def test_a_time_out_ends_it(run):
    code = "import time\ndef main():\n    print('begun', flush=True)\n    time.sleep(60)\n"
    execution = run(make_skill(code=code, manifest="timeout_s = 4"))

    assert (execution.status, execution.stop_reason) == (Status.TIMED_OUT, "time_limit")
    assert "begun" in log_of(execution)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import sys\nsys.stdout.buffer.write(b'a\\x00b\\xff\\xfe\\n')\n", Status.SUCCEEDED),
        ("import os\nos.kill(os.getpid(), 9)\n", Status.FAILED),
        ("def main():\n    return object()\n", Status.FAILED),
        ("def main():\n    return float('nan')\n", Status.FAILED),
        ("def main():\n    return {'a': '\\x00\\ud800'}\n", None),
    ],
)
def test_odd_scripts_end_in_a_stored_record(run, code, status):
    execution = run(make_skill(code=code, manifest='title = "Odd"'))

    assert execution.is_final
    if status is not None:
        assert execution.status == status
    if execution.status == Status.FAILED:
        assert execution.error or execution.summary


def test_a_file_that_was_exchanged_in_storage_does_not_run(run, oscar):
    code = "def main(orders) -> str:\n    return open(orders).read()\n"
    skill = make_skill(code=code, inputs='[inputs.orders]\nformat = "file"\n')
    file = services.upload_file(actor=oscar, name="orders.txt", content=io.BytesIO(b"what I saw"))
    stored = Path(default_storage.path(file.stored_as))
    stored.write_bytes(b"other orders")

    try:
        execution = run(skill, orders=str(file.pk))
    finally:
        stored.unlink()

    assert execution.status == Status.FAILED
    assert "orders.txt is not the one that was uploaded" in execution.error


def test_a_file_goes_in_and_an_artifact_comes_out(run, oscar):
    code = (
        "import os\nfrom pathlib import Path\n"
        "def main(orders: Path) -> int:\n"
        "    text = orders.read_text()\n"
        "    Path(os.environ['EXECFABRIC_OUTPUT_DIR'], 'upper.txt').write_text(text.upper())\n"
        "    return len(text)\n"
    )
    skill = make_skill(code=code, inputs='[inputs.orders]\nformat = "file"\n')
    file = services.upload_file(actor=oscar, name="in put.txt", content=io.BytesIO(b"hello"))

    execution = run(skill, orders=str(file.pk))

    assert execution.output == 5, execution.error
    artifact = execution.artifacts.get()
    assert (artifact.name, artifact.media_type) == ("upper.txt", "text/plain")
    with open_file(artifact.stored_as) as stored:
        assert stored.read() == b"HELLO"


def test_a_second_delivery_does_nothing(run):
    execution = run(make_skill())
    events = AuditEvent.objects.filter(outcome="done").count()

    running.run_execution(str(execution.pk))

    assert AuditEvent.objects.filter(outcome="done").count() == events


def test_a_bundle_that_was_tampered_with_is_not_run(run, oscar, tmp_path, settings):
    from django.core.files.base import ContentFile

    skill = make_skill(code="def main():\n    return 'original'\n")
    script = skill.version.script_version
    other = make_skill("other", code="def main():\n    return 'forged'\n").version.script_version
    with default_storage.open(other.stored_as) as forged:
        content = forged.read()
    default_storage.delete(script.stored_as)
    default_storage.save(script.stored_as, ContentFile(content))
    settings.DATA_DIR = tmp_path  # A worker that has not synced it yet.

    execution = run(skill)

    assert (execution.status, execution.stop_reason) == (Status.FAILED, "could_not_start")
    assert "registered" in execution.error


class TestLeases:
    @pytest.fixture
    def claimed(self, oscar):
        execution = services.request_execution(actor=oscar, skill=make_skill(), inputs={})
        return lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)

    def result(self):
        return ExecutionResult(
            outcome=Outcome.SUCCEEDED, stop_reason=StopReason.EXITED, output={"late": True}
        )

    def finish(self, execution, artifacts=()):
        return lifecycle.finish_execution(
            actor=Actor.system("worker"),
            execution=execution,
            result=self.result(),
            artifacts=list(artifacts),
        )

    def test_a_silent_worker_s_run_is_lost_with_its_reason(self, claimed):
        scanning.scan_executions(timezone.now() + LATER)

        claimed.refresh_from_db()
        assert claimed.status == Status.LOST
        assert "worker" in claimed.summary.lower()

    def test_a_live_worker_s_run_is_left_alone(self, claimed):
        scanning.scan_executions(timezone.now())

        claimed.refresh_from_db()
        assert claimed.status == Status.RUNNING

    def test_a_late_finish_is_refused_and_its_artifacts_with_it(self, claimed):
        scanning.scan_executions(timezone.now() + LATER)
        late = Artifact(
            execution=claimed, name="x", size_bytes=1, sha256="", media_type="", stored_as=""
        )

        with pytest.raises(lifecycle.StaleLease):
            self.finish(claimed, [late])

        claimed.refresh_from_db()
        assert (claimed.status, claimed.output) == (Status.LOST, None)
        assert not Artifact.objects.exists()

    def test_a_finish_with_another_token_is_refused(self, claimed):
        thief = Execution.objects.get(pk=claimed.pk)
        thief.lease_token = thief.pk

        with pytest.raises(lifecycle.StaleLease):
            self.finish(thief)
        assert self.finish(claimed).status == Status.SUCCEEDED

    def test_a_worker_whose_run_was_given_up_hears_of_it(self, claimed):
        scanning.scan_executions(timezone.now() + LATER)

        with pytest.raises(lifecycle.StaleLease):
            lifecycle.renew_lease(claimed)


class TestClocks:
    """Leases are by the database's clock; a step of it ends no living run, keeps no dead one."""

    @pytest.fixture
    def claimed(self, oscar):
        execution = services.request_execution(actor=oscar, skill=make_skill(), inputs={})
        return lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)

    def set_lease(self, execution, *, ends_in):
        ends_at = timezone.now() + ends_in
        Execution.objects.filter(pk=execution.pk).update(lease_expires_at=ends_at)

    def status_after_scan(self, execution, **options):
        scanning.scan_executions(database_now(), **options)
        execution.refresh_from_db()
        return execution.status

    def test_a_worker_whose_clock_is_wrong_keeps_its_lease(self, oscar, monkeypatch):
        wrong = timezone.now() - LATER
        monkeypatch.setattr(lifecycle.timezone, "now", lambda: wrong)
        execution = services.request_execution(actor=oscar, skill=make_skill(), inputs={})
        claimed = lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=execution.pk)
        assert lifecycle.renew_lease(claimed)

        assert self.status_after_scan(claimed) == Status.RUNNING

    def test_a_clock_set_forward_leaves_living_workers_the_time_to_say_so(self, claimed):
        self.set_lease(claimed, ends_in=-LATER)

        renew = functools.partial(lifecycle.renew_lease, claimed)
        assert self.status_after_scan(claimed, give_chance=renew) == Status.RUNNING
        assert self.status_after_scan(claimed) == Status.RUNNING

    def test_a_clock_set_back_does_not_keep_the_run_of_a_dead_worker(self, claimed):
        self.set_lease(claimed, ends_in=LATER)

        assert self.status_after_scan(claimed) == Status.LOST

    def test_a_clock_set_back_ends_no_run_that_goes_on(self, claimed):
        self.set_lease(claimed, ends_in=LATER)

        renew = functools.partial(lifecycle.renew_lease, claimed)
        assert self.status_after_scan(claimed, give_chance=renew) == Status.RUNNING

    def test_what_was_sent_before_the_clock_was_set_back_is_sent_again(self, oscar, monkeypatch):
        sent = []
        monkeypatch.setattr(queue, "send", lambda ids, queue, **_how: sent.extend(ids))
        execution = services.request_execution(actor=oscar, skill=make_skill(), inputs={})
        Execution.objects.filter(pk=execution.pk).update(sent_at=timezone.now() + LATER)
        sent.clear()

        scanning.scan_executions(database_now())

        assert sent == [str(execution.pk)]


def test_a_request_nobody_confirms_expires(oscar):
    skill = make_skill(manifest="confirm = true")
    execution = services.request_execution(actor=oscar, skill=skill, inputs={})

    scanning.scan_executions(timezone.now() + timedelta(hours=25))

    execution.refresh_from_db()
    assert execution.status == Status.EXPIRED


def test_a_forgotten_one_is_sent_again(oscar, django_capture_on_commit_callbacks):
    execution = services.request_execution(actor=oscar, skill=make_skill(), inputs={})

    with django_capture_on_commit_callbacks() as sent:
        scanning.scan_executions(timezone.now() + LATER)

    execution.refresh_from_db()
    assert execution.status == Status.QUEUED
    assert len(sent) == 1


def test_the_order_of_inputs_and_columns_is_the_author_s(run):
    code = "def main(zeta: int = 1, a: int = 2, mid: int = 3):\n    return [{'zz': zeta, 'b': a}]\n"
    skill = make_skill(code=code)

    execution = run(skill, mid=5, a=4)

    assert list(skill.version.input_fields) == ["zeta", "a", "mid"]
    assert list(execution.output[0]) == ["zz", "b"]
