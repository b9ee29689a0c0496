"""A worker that is asked to stop: nothing new begins, and nothing is lost."""

from __future__ import annotations

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
