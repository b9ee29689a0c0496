"""A worker keeps the leases of its runs, and hears there of those that should end."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from execfabric.core.actor import Actor
from skills.executions import lifecycle, recording, running, services
from skills.executions.heartbeat import BEAT_S, HELD_S, Heartbeat
from skills.executions.live_log import LiveSink
from skills.executions.models import Execution
from skills.executions.states import Status
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
LEAVES_A_FILE = """
import os
from pathlib import Path

def main() -> None:
    Path(os.environ["EXECFABRIC_OUTPUT_DIR"], "a.txt").write_text("a")
"""


@pytest.fixture
def ask(person):
    oscar = person("oscar").actor

    def request(skill=None):
        return services.request_execution(actor=oscar, skill=skill or make_skill(), inputs={})

    return request


@pytest.fixture
def claimed(ask):
    return lifecycle.claim_execution(actor=Actor.system("worker"), execution_id=ask().pk)


@pytest.fixture
def beating():
    """Start heartbeats that renew by the given function; all stop with the test."""
    started = []

    def start(renew):
        heartbeat = Heartbeat(renew, every_s=0.01)
        heartbeat.start()
        started.append(heartbeat)
        return heartbeat

    yield start
    for heartbeat in started:
        heartbeat.stop()


def run(execution, heartbeat):
    running.run_execution(execution.pk, heartbeat)
    execution.refresh_from_db()
    return execution


def wait_for(condition, *, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(("module", "name"), [(running, "sync_script"), (recording, "store_file")])
def test_the_lease_is_renewed_while_a_run_is_prepared_and_stored(
    ask, beating, monkeypatch, module, name
):
    renewals = []
    real = getattr(module, name)

    def slow(*args):
        before = len(renewals)
        wait_for(lambda: len(renewals) > before + 2)
        return real(*args)

    monkeypatch.setattr(module, name, slow)
    heartbeat = beating(lambda execution: renewals.append(execution.pk) is None)

    execution = run(ask(make_skill(code=LEAVES_A_FILE, manifest='title = "A"')), heartbeat)

    assert execution.status == Status.SUCCEEDED
    assert set(renewals) == {execution.pk}


@pytest.mark.parametrize("answer", [False, lifecycle.StaleLease("gone")])
def test_a_run_cancelled_or_lost_while_it_is_prepared_never_starts(
    ask, beating, monkeypatch, answer
):
    renewals = []

    def renew(execution):
        renewals.append(execution)
        if isinstance(answer, Exception):
            raise answer
        return answer

    real = running.sync_script

    heartbeat = beating(renew)

    def sync_until_told(script):
        wait_for(lambda: renewals and not any(pulse.goes_on for pulse in heartbeat._kept()))
        return real(script)

    monkeypatch.setattr(running, "sync_script", sync_until_told)

    execution = run(ask(), heartbeat)

    assert (execution.status, execution.stop_reason) == (Status.CANCELLED, "cancel_requested")
    assert not execution.log_chunks.exists()


def test_a_lost_lease_is_not_asked_for_again(claimed, beating):
    renewals = []

    def renew(execution):
        renewals.append(execution)
        raise lifecycle.StaleLease("gone")

    with beating(renew).keep(claimed) as pulse:
        wait_for(lambda: not pulse.alive())
        time.sleep(0.05)

    assert len(renewals) == 1


def test_a_failing_renewal_is_tried_again(claimed, beating):
    renewals = []

    def renew(_execution):
        renewals.append(1)
        if len(renewals) < 3:
            raise OperationalError("the server closed the connection")
        return True

    with beating(renew).keep(claimed) as pulse:
        wait_for(lambda: len(renewals) > 4)
        assert pulse.alive()


def test_a_run_whose_lease_cannot_be_renewed_ends_before_it_runs_out(claimed, beating):
    tries = []

    def renew(_execution):
        tries.append(1)
        raise OperationalError("nobody there")

    with beating(renew).keep(claimed) as pulse:
        assert pulse.alive()
        pulse.held_until -= HELD_S  # It could not for so long.
        before = len(tries)
        wait_for(lambda: len(tries) > before + 1)
        assert not pulse.alive()
        assert pulse.was_cut_off


def test_so_does_one_whose_renewal_hangs(claimed, beating, monkeypatch):
    monkeypatch.setattr("skills.executions.heartbeat.HELD_S", 0.2)
    over = threading.Event()

    with beating(lambda _execution: over.wait(120)).keep(claimed) as pulse:
        wait_for(lambda: not pulse.alive())
        over.set()


def test_a_renewed_lease_holds_on(claimed, beating):
    with beating(lambda _execution: True).keep(claimed) as pulse:
        pulse.held_until -= HELD_S  # Nobody looks before it is renewed.
        wait_for(lambda: pulse.held_until > time.monotonic())
        assert pulse.alive()


def test_a_run_that_is_cut_off_says_so_and_never_that_it_was_cancelled(ask, monkeypatch):
    monkeypatch.setattr("skills.executions.heartbeat.HELD_S", 0.0)

    execution = run(ask(), Heartbeat())

    assert (execution.status, execution.stop_reason) == (Status.FAILED, "platform_failed")
    assert "did not reach the database" in execution.summary


def test_a_run_ends_well_before_a_scan_may_take_it_for_lost():
    """Its lease is the shorter, the longer ago it was written; then the executor is to look."""
    shortest = lifecycle.LEASE - lifecycle.RENEW_EVERY

    assert shortest.total_seconds() >= HELD_S + 1


def test_slow_news_delay_no_renewal(claimed, beating):
    renewals, over = [], threading.Event()
    heartbeat = beating(lambda execution: renewals.append(execution) is None)

    with heartbeat.keep(claimed) as pulse:
        pulse.beside = lambda: over.wait(120)
        time.sleep(0.05)
        before = len(renewals)
        wait_for(lambda: len(renewals) > before + 3)
        over.set()


def test_what_a_run_told_is_free_when_its_lease_is_not_kept_any_more(claimed):
    """At once: its log may be large, and the garbage collector comes rarely."""
    gc.disable()
    try:
        with Heartbeat().keep(claimed) as pulse:
            sink = LiveSink(claimed, pulse.alive)
            pulse.beside = sink.store
        left = weakref.ref(sink)
        del sink, pulse
        assert left() is None
    finally:
        gc.enable()


def test_a_cancelled_run_keeps_its_lease_until_it_is_over(claimed, beating):
    renewals = []
    with beating(lambda _execution: bool(renewals.append(1))).keep(claimed) as pulse:
        wait_for(lambda: len(renewals) > 3)
        assert not pulse.alive()


def test_a_run_that_began_just_now_is_left_alone(claimed):
    """What a beat would ask for, its claim has asked."""
    heartbeat = Heartbeat()
    with heartbeat.keep(claimed) as pulse:
        pulse.began_at = time.monotonic() + 60
        assert heartbeat._due(BEAT_S) == []

        pulse.began_at = time.monotonic() - BEAT_S / 2
        assert heartbeat._due(BEAT_S) == [pulse]


def test_a_run_ended_with_its_worker_says_so(ask, monkeypatch):
    heartbeat = Heartbeat()
    real = running.sync_script

    def sync_while_the_worker_stops(script):
        heartbeat.end_all()
        return real(script)

    monkeypatch.setattr(running, "sync_script", sync_while_the_worker_stops)

    execution = run(ask(), heartbeat)

    assert (execution.status, execution.stop_reason) == (Status.FAILED, "platform_failed")
    assert "worker was stopped" in execution.summary


def test_a_lease_is_written_before_it_runs_out_and_not_at_every_beat(claimed):
    def expires_after(age):
        start = timezone.now() + lifecycle.LEASE - age
        Execution.objects.filter(pk=claimed.pk).update(lease_expires_at=start)
        lifecycle.renew_lease(claimed)
        claimed.refresh_from_db()
        return claimed.lease_expires_at != start

    assert not expires_after(lifecycle.RENEW_EVERY / 2)
    assert expires_after(lifecycle.RENEW_EVERY + timedelta(milliseconds=1))
