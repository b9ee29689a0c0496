"""A cancel ends an execution in whatever phase it comes, and in a way that is true."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.utils import timezone

from execfabric.core.actor import Actor
from execfabric.core.errors import Conflict, InvalidTransition
from execfabric.core.models import AuditEvent
from skills.executions import lifecycle, queue, recording, running, scanning, services
from skills.executions.heartbeat import Pulse
from skills.executions.models import Execution
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
WORKER = "worker"
SLOW = """
import os, time
from pathlib import Path

def main():
    print("began", flush=True)
    time.sleep(20)
"""
QUICK = """
import os
from pathlib import Path

def main():
    Path(os.environ["EXECFABRIC_OUTPUT_DIR"], "a.txt").write_text("a")
"""


class Phases:
    """Takes an execution into each phase, and has it cancelled there."""

    def __init__(self, oscar, anna, monkeypatch):
        self.oscar, self.anna, self.patch = oscar, anna, monkeypatch

    def ask(self, manifest="", **skill):
        skill = make_skill(manifest=manifest, **skill)
        return services.request_execution(actor=self.oscar, skill=skill, inputs={})

    def cancel(self, execution):
        services.cancel_execution(actor=self.oscar, execution=execution)

    def cancel_when(self, module, name, execution, *, time=1):
        """Cancel it just before name of module is called for that time."""
        real, calls = getattr(module, name), []

        def call(*arguments, **named):
            calls.append(name)
            if len(calls) == time:
                self.cancel(execution)
            return real(*arguments, **named)

        self.patch.setattr(module, name, call)

    def run(self, execution):
        running.run_execution(execution.pk, AsksEachTime())

    def awaiting_confirmation(self):
        execution = self.ask("confirm = true")
        self.cancel(execution)
        with pytest.raises(Conflict):
            services.confirm_execution(
                actor=self.oscar, execution=Execution.objects.get(pk=execution.pk)
            )
        return execution

    def awaiting_approval(self):
        execution = self.ask('approval = "four_eyes"')
        self.cancel(execution)
        with pytest.raises(Conflict):
            services.approve_execution(
                actor=self.anna, execution=Execution.objects.get(pk=execution.pk)
            )
        return execution

    def queued(self):
        execution = self.ask()
        self.cancel(execution)
        self.run(execution)  # Its id is in the queue still.
        return execution

    def held_by_a_limit(self):
        other = self.ask("concurrency = 1")
        execution = services.request_execution(actor=self.oscar, skill=other.skill, inputs={})
        worker = Actor.system(WORKER)
        assert running._claim(worker, other.pk) is not None
        assert running._claim(worker, execution.pk) is None
        self.cancel(execution)
        sent = []
        self.patch.setattr(queue, "send", lambda ids, queue, **_how: sent.extend(ids))
        scanning.scan_executions(timezone.now())
        assert sent == []
        return execution

    def as_a_worker_claims_it(self):
        execution = self.ask()
        self.cancel_when(lifecycle, "claim_execution", execution)
        self.run(execution)
        return execution

    def just_claimed(self):
        """The one who cancels still sees it queued; a worker was faster."""
        execution = self.ask()
        self.cancel_when(running, "make_run_folder", execution)
        self.run(execution)
        return execution

    def preparing(self):
        execution = self.ask()
        self.cancel_when(running, "sync_script", execution)
        self.run(execution)
        return execution

    def running(self):
        execution = self.ask(code=SLOW)
        # Asked once before it starts, then every second.
        self.cancel_when(lifecycle, "renew_lease", execution, time=2)
        self.run(execution)
        return execution

    def storing_its_result(self):
        execution = self.ask(code=QUICK)
        self.cancel_when(recording, "store_file", execution)
        self.run(execution)
        return execution


class AsksEachTime:
    """A heartbeat in the run's own thread, since a test has one database session."""

    @contextmanager
    def keep(self, execution):
        pulse = Pulse(execution)
        pulse.alive = lambda: lifecycle.renew_lease(execution)
        yield pulse


@pytest.fixture
def phases(person, monkeypatch):
    return Phases(person("oscar").actor, person("anna").actor, monkeypatch)


@pytest.mark.parametrize(
    ("phase", "status", "ran", "summary"),
    [
        ("awaiting_confirmation", Status.CANCELLED, False, ""),
        ("awaiting_approval", Status.CANCELLED, False, ""),
        ("queued", Status.CANCELLED, False, ""),
        ("held_by_a_limit", Status.CANCELLED, False, ""),
        ("as_a_worker_claims_it", Status.CANCELLED, False, ""),
        ("just_claimed", Status.CANCELLED, True, "Cancelled before it started."),
        ("preparing", Status.CANCELLED, True, "Cancelled before it started."),
        ("running", Status.CANCELLED, True, "The run was cancelled."),
        ("storing_its_result", Status.SUCCEEDED, True, "1 file"),
    ],
)
def test_a_cancel_ends_it_in_every_phase(phases, phase, status, ran, summary):
    execution = Execution.objects.get(pk=getattr(phases, phase)().pk)

    assert (execution.status, execution.summary) == (status, summary)
    assert execution.cancel_requested_at is not None
    assert execution.lease_token is None
    assert (execution.started_at is not None) is ran
    ends = AuditEvent.objects.filter(target_id=execution.pk, outcome="done")
    finishes = ends.filter(code="executions.execution.finish").count()
    assert finishes == (1 if ran else 0), "one end, by the worker where there was one"
    with pytest.raises(InvalidTransition):
        lifecycle.claim_execution(actor=Actor.system(WORKER), execution_id=execution.pk)


def test_what_is_over_cannot_be_cancelled(phases):
    execution = phases.queued()

    with pytest.raises(Conflict):
        phases.cancel(execution)
