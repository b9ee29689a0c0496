"""A worker that is asked to stop: nothing new begins, and nothing is lost."""

from __future__ import annotations

import threading
import uuid

import pytest

from skills.executions import queue, running
from skills.executions.worker import Worker

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def label():
    """A queue of this test's own, empty afterwards."""
    name = f"t{uuid.uuid4().hex[:12]}"
    yield name
    for key in queue.client().scan_iter(f"{queue._PREFIX}:*:{name}*"):
        queue.client().delete(key)


@pytest.fixture
def started(monkeypatch):
    """What a worker was about to start."""
    ids = []
    monkeypatch.setattr(running, "run_execution", lambda execution_id, _: ids.append(execution_id))
    return ids


@pytest.fixture
def waiting(label, django_capture_on_commit_callbacks):
    """An id that waits in the queue."""
    execution_id = str(uuid.uuid4())
    with django_capture_on_commit_callbacks(execute=True):
        queue.send([execution_id], queue=label)
    return execution_id


def test_a_turn_that_comes_while_the_worker_stops_is_left_to_another(
    label, waiting, started, monkeypatch
):
    worker = Worker([label], slots=1)
    take = queue.take

    def take_as_the_signal_comes(*args, **kwargs):
        turn = take(*args, **kwargs)
        worker._stopping.set()
        return turn

    monkeypatch.setattr(queue, "take", take_as_the_signal_comes)

    worker._serve_one()

    assert started == []
    assert take([label], timeout_s=1).execution_id == waiting


def test_a_run_that_cannot_be_ended_does_not_keep_the_worker(label, waiting, monkeypatch):
    began, over = threading.Event(), threading.Event()

    def hang(_execution_id, _heartbeat):
        began.set()
        over.wait(120)

    monkeypatch.setattr(running, "run_execution", hang)
    monkeypatch.setattr("skills.executions.worker.END_S", 0.1)
    worker = Worker([label], slots=1, drain_s=0.1)
    worker.heartbeat.start()
    worker._recorder.start()
    worker._ends.start()
    for slot in worker._slots:
        slot.start()
    assert began.wait(60)

    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    stopping.join(60)

    was_over = not stopping.is_alive()
    over.set()
    stopping.join(60)
    for slot in worker._slots:
        slot.join(60)
    assert was_over
