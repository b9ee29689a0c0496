from __future__ import annotations

import csv
import io
from types import SimpleNamespace

import pytest

from execfabric.core.actor import Actor
from skills.batches import dispatch, services
from skills.executions import lifecycle
from skills.executions.approvals.standing import NotCleared
from skills.executions.models import Execution, StoredFile
from skills.executions.services import upload_file
from skills.executions.states import Status
from tests.factories.skills import make_skill

FOUR_EYES = 'risk = "high"\nconfirm = true\napproval = "four_eyes"\n'


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """Releases happen with few rows, too."""
    monkeypatch.setattr(dispatch, "FIRST_WINDOW", 4)
    monkeypatch.setattr(dispatch, "SMALLEST_WINDOW", 2)
    monkeypatch.setattr(dispatch, "LARGEST_WINDOW", 6)


@pytest.fixture
def oscar(acme, person):
    return person("oscar")


@pytest.fixture
def anna(acme, person):
    return person("anna")


@pytest.fixture
def greet(acme):
    return make_skill()


@pytest.fixture
def upload(oscar):
    """Upload a file of oscar's."""

    def send(name: str, content: str | bytes) -> StoredFile:
        data = content.encode() if isinstance(content, str) else content
        return upload_file(actor=oscar.actor, name=name, content=io.BytesIO(data))

    return send


@pytest.fixture
def draft(oscar, upload):
    """Prepare a batch of oscar's over a CSV file."""

    def make(skill, content: str | bytes, *, name: str = "people.csv", **given):
        source = upload(name, content)
        return services.create_batch(actor=oscar.actor, skill=skill, source=source, **given)

    return make


def table_of(rows: int) -> str:
    return "name,times\n" + "".join(f"person {number},1\n" for number in range(1, rows + 1))


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


@pytest.fixture
def work(django_capture_on_commit_callbacks):
    """Be the workers: end queued executions of the batch, one after the other, until none is left.

    outcomes says how the next ones end (default: succeeded); most limits how many.
    """

    def run(batch, *, outcomes=(), most: int = 10_000) -> SimpleNamespace:
        ends, done = iter(outcomes), 0
        worker = Actor.system("worker")
        while done < most:
            queued = Execution.objects.filter(batch_row__batch=batch, status=Status.QUEUED)
            execution = queued.order_by("batch_row__number").first()
            if execution is None:
                break
            with django_capture_on_commit_callbacks(execute=True):
                try:
                    claimed = lifecycle.claim_in_turn(worker, execution.pk)
                except NotCleared:
                    continue  # It has ended, and did not run.
                finish(claimed, next(ends, Status.SUCCEEDED))
            done += 1
        batch.refresh_from_db()
        return SimpleNamespace(done=done, batch=batch)

    return run


def finish(execution: Execution, status: Status) -> None:
    from executors.contract import ExecutionResult, Outcome, StopReason

    succeeded = status == Status.SUCCEEDED
    result = ExecutionResult(
        outcome=Outcome(status.value),
        stop_reason=StopReason.EXITED,
        exit_code=0 if succeeded else 1,
        output={"greeting": f"Hello, {execution.inputs.get('name')}!"} if succeeded else None,
        error="" if succeeded else "=it broke",
    )
    lifecycle.finish_execution(
        actor=Actor.system("worker"), execution=execution, result=result, artifacts=[]
    )
