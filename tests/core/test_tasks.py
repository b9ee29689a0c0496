"""Tasks are bound to a schema: none without one, none for another."""

from __future__ import annotations

import socket
import time

import pytest
from celery import Celery, current_app
from django.db import connection
from django_tenants.utils import schema_context
from tenant_schemas_celery.app import CeleryApp

from execfabric.celery import SealingScheduler, app
from execfabric.core import tasks
from execfabric.core.request_context import request_id_scope
from execfabric.core.tasks import NoTenant, PlatformTask, TenantTask, enqueue, seal_of
from tenants.registry.models import Tenant

app.loader.import_default_modules()


@app.task(name="tests.do", base=TenantTask)
def do(**_given: object) -> None:
    """A task of a tenant, for the tests alone."""


OURS = sorted(name for name in app.tasks if not name.startswith("celery."))


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(
        type(current_app._get_current_object()),
        "send_task",
        lambda _app, name, **message: messages.append((name, message)),
    )
    return messages


def test_there_are_tasks_to_test():
    assert {"tests.do", "executions.scan_all_tenants"} <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_a_task_without_a_schema_does_nothing(acme, name):
    with pytest.raises(NoTenant):
        call(name, schema="", execution_id="x")


@pytest.mark.parametrize("name", OURS)
def test_a_task_for_a_schema_that_does_not_exist_is_refused(acme, name):
    with pytest.raises((Tenant.DoesNotExist, NoTenant)):
        app.tasks[name].apply(
            kwargs={"execution_id": "x"}, headers={"_schema_name": "tenant_9999"}, throw=True
        ).get()


@pytest.mark.parametrize("name", OURS)
def test_a_task_is_refused_where_the_connection_is_elsewhere(acme, name):
    with pytest.raises(NoTenant):
        call(name, schema="tenant_1002", execution_id="x")


def test_a_platform_task_does_not_run_in_a_tenant(acme):
    scans = [name for name in OURS if isinstance(app.tasks[name], PlatformTask)]

    assert scans
    for name in scans:
        with pytest.raises(NoTenant):
            call(name, schema=acme.schema_name, execution_id="x")


def call(name: str, *, schema: str, seal: str | None = None, arguments=(), **kwargs):
    """Call the task in the current schema as if a message for schema had arrived, sealed by us."""
    seal = seal_of(name, schema, kwargs) if seal is None else seal
    task = app.tasks[name]
    task.push_request(headers={"_schema_name": schema, "_seal": seal} if schema else {})
    try:
        return task(*arguments, **kwargs)
    finally:
        task.pop_request()


class TestForgedMessages:
    """Whoever writes to the broker, but does not know the secret key, starts nothing."""

    @pytest.fixture(params=OURS)
    def name(self, request, acme):
        """A task, on a connection in the schema it may run in."""
        if isinstance(app.tasks[request.param], PlatformTask):
            connection.set_schema_to_public()
        return request.param

    def test_one_without_a_seal_does_nothing(self, name):
        with pytest.raises(NoTenant, match="not sent by this platform"):
            call(name, schema=connection.schema_name, seal="", execution_id="x")

    def test_the_seal_of_another_tenant_is_void(self, name):
        seal = seal_of(name, "tenant_1002", {"execution_id": "x"})

        with pytest.raises(NoTenant, match="not sent by this platform"):
            call(name, schema=connection.schema_name, seal=seal, execution_id="x")

    def test_the_seal_of_other_arguments_is_void(self, name):
        seal = seal_of(name, connection.schema_name, {"execution_id": "y"})

        with pytest.raises(NoTenant, match="not sent by this platform"):
            call(name, schema=connection.schema_name, seal=seal, execution_id="x")

    def test_the_seal_of_another_task_is_void(self, name):
        seal = seal_of("executions.anything", connection.schema_name, {"execution_id": "x"})

        with pytest.raises(NoTenant, match="not sent by this platform"):
            call(name, schema=connection.schema_name, seal=seal, execution_id="x")

    def test_arguments_that_the_seal_does_not_cover_are_refused(self, name):
        with pytest.raises(NoTenant, match="not sent by this platform"):
            call(name, schema=connection.schema_name, arguments=("y",), execution_id="x")


def run_as_sent(message, monkeypatch) -> list[dict]:
    """Return the arguments a task was run with, when it got a message that was really sent."""
    ran = []
    name, headers = message["name"], message["headers"]
    monkeypatch.setattr(app.tasks[name], "run", lambda **kwargs: ran.append(kwargs))
    call(name, schema=headers["_schema_name"], seal=headers["_seal"], **message["kwargs"])
    return ran


def test_what_is_enqueued_carries_a_seal_that_is_accepted(
    acme, sent, monkeypatch, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        enqueue("tests.do", execution_id="1")

    ((name, message),) = sent
    assert run_as_sent({"name": name, **message}, monkeypatch) == [{"execution_id": "1"}]


def test_what_beat_sends_carries_a_seal_that_is_accepted(platform, monkeypatch, tmp_path):
    messages = []
    task = app.tasks["executions.scan_all_tenants"]
    monkeypatch.setattr(
        task, "apply_async", lambda _args, _kwargs, **options: messages.append(options)
    )
    clock = SealingScheduler(app, schedule_filename=str(tmp_path / "schedule"))
    clock.apply_async(clock.schedule["scan-executions"])
    clock.close()

    (message,) = messages
    message = {"name": task.name, "kwargs": {}, **message}
    assert run_as_sent(message, monkeypatch) == [{}]


def test_what_a_message_makes_celery_send_on_carries_none(acme, monkeypatch):
    """Else a forged group or callback would be sealed by the worker itself."""
    messages = []
    monkeypatch.setattr(
        CeleryApp, "send_task", lambda _app, name, **message: messages.append(message)
    )

    app.send_task("tests.do", kwargs={"execution_id": "1"})

    assert "_seal" not in (messages[0].get("headers") or {})


def test_the_schema_is_the_one_at_call_time_not_at_commit(
    acme, sent, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True), schema_context("public"):
        with schema_context(acme.schema_name), request_id_scope("request-0002"):
            enqueue("tests.do", execution_id="1")

    ((name, message),) = sent
    assert name == "tests.do"
    assert message["headers"] == {
        "_schema_name": acme.schema_name,
        "_request_id": "request-0002",
        "_seal": seal_of(name, acme.schema_name, {"execution_id": "1"}),
    }
    assert message["kwargs"] == {"execution_id": "1"}


def test_nothing_is_sent_when_the_transaction_is_undone(
    acme, sent, django_capture_on_commit_callbacks
):
    from django.db import transaction

    class Undo(Exception):
        pass

    with django_capture_on_commit_callbacks(execute=True):
        with pytest.raises(Undo), transaction.atomic():
            enqueue("tests.do", execution_id="1")
            raise Undo

    assert sent == []
    assert connection.schema_name == acme.schema_name


def test_a_broker_that_is_down_is_known_at_once_and_no_error(
    acme, monkeypatch, caplog, django_capture_on_commit_callbacks
):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        monkeypatch.setattr(
            tasks, "current_app", Celery("tests", broker=address, set_as_current=False)
        )
        started = time.monotonic()

        with django_capture_on_commit_callbacks(execute=True):
            enqueue("tests.do", execution_id="17")

    assert time.monotonic() - started < 2
    assert "task.not_sent" in caplog.text
    assert "17" in caplog.text
