"""Dry runs send nothing; trials are executions with a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from execfabric.core.errors import InvalidInput
from execfabric.core.models import AuditEvent
from governance.http_access import services
from governance.http_access.models import HttpCredential, HttpResource
from governance.http_access.selectors import latest_version
from governance.http_access.trials.services import dry_run, try_resource
from skills.executions.models import Execution, LogChunk
from skills.executions.running import run_execution
from tests.executors.http.conftest import Api, answer

from .conftest import SECRET, WRITING


def ran(execution: Execution) -> Execution:
    run_execution(execution.pk)
    execution.refresh_from_db()
    return execution


def log_of(execution: Execution) -> str:
    return "".join(
        text for chunk in LogChunk.objects.filter(execution=execution) for _, text in chunk.pieces
    )


def test_a_dry_run_shows_the_request_and_sends_nothing(
    world: Api, key: HttpCredential, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    resource = make_resource(credential=key)

    shown = dry_run(
        actor=person("sam").actor, version=latest_version(resource), inputs={"customer": 7}
    )

    assert shown["url"] == "http://api.example.com/v1/customers/7?internal=region-7"
    assert shown["headers"]["X-Api-Key"] == "***"
    assert world.asked == []
    assert not AuditEvent.objects.filter(code="http_access.credential.use").exists()


def test_a_trial_is_an_execution_of_the_public_domain_with_its_trace(
    world: Api, key: HttpCredential, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    world.reply = lambda handler, asked: answer(handler, {"data": {"name": "Ada"}})
    resource = make_resource(credential=key)

    execution = ran(
        try_resource(
            actor=person("sam").actor, version=latest_version(resource), inputs={"customer": 7}
        )
    )

    assert (execution.status, execution.output) == ("succeeded", {"name": "Ada"})
    [asked] = world.asked
    assert asked.headers["x-api-key"] == SECRET
    trace = log_of(execution)
    assert "Connected to api.example.com:80 at 93.184.215.14" in trace
    assert "> X-Api-Key: ***" in trace
    assert SECRET not in trace
    [use] = AuditEvent.objects.filter(code="http_access.credential.use")
    assert str(execution.pk) in use.details["purpose"]


def test_a_trial_that_writes_wants_a_word_and_a_whitelist(
    world: Api, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource("add-note", WRITING)
    inputs = {"customer": 7, "text": "hello"}
    version = latest_version(resource)
    with pytest.raises(InvalidInput, match="Confirm"):
        try_resource(actor=sam, version=version, inputs=inputs)

    denied = ran(try_resource(actor=sam, version=version, inputs=inputs, confirmed=True))
    assert "whitelist" in denied.summary
    assert world.asked == []
    write = services.allow_write(
        actor=sam, resource=resource, method="POST", path="/v1/customers/*/notes", limits={},
        confirmation="confirm", reason="Agreed with the CRM team.",
    )  # fmt: skip
    assert (
        ran(try_resource(actor=sam, version=version, inputs=inputs, confirmed=True)).status
        == "succeeded"
    )
    services.revoke_write(actor=sam, write=write)
    again = ran(try_resource(actor=sam, version=version, inputs=inputs, confirmed=True))

    assert "whitelist" in again.summary
    assert len(world.asked) == 1


def test_private_addresses_take_an_approval(
    world: Api, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource("ask-intra", {"base_url": "http://intra.example.com"}, inputs={})

    refused = ran(try_resource(actor=sam, version=latest_version(resource), inputs={}))
    assert refused.stop_reason == "could_not_start"
    assert "10.1.2.3 is a private address" in log_of(refused)
    services.open_addresses(
        actor=sam, resource=resource, addresses=["intra.example.com"], reason="The CRM lies there."
    )

    execution = ran(try_resource(actor=sam, version=latest_version(resource), inputs={}))
    assert execution.status == "succeeded"


def test_what_is_switched_off_or_not_described_is_not_called(
    world: Api, make_resource: Callable[..., HttpResource], person: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource()
    with pytest.raises(InvalidInput) as refused:
        try_resource(actor=sam, version=latest_version(resource), inputs={"customer": 0})
    assert refused.value.fields == {"customer": "must be at least 1"}

    waiting = try_resource(actor=sam, version=latest_version(resource), inputs={"customer": 1})
    services.disable_resource(actor=sam, resource=resource, reason="It moved.")

    assert "switched this HTTP resource off" in ran(waiting).error
    assert world.asked == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"inputs": {}}, "customer"),
        ({"inputs": {"customer": {"type": "string", "format": "file"}}}, "no files"),
        ({"output_fields": {"total": {"type": "integer"}}}, "name, total"),
        ({"inputs": {"customer": {"type": "whole"}}}, "customer"),
        ({"spec": {"base_url": "ftp://x"}}, "base URL"),
    ],
)
def test_a_description_that_cannot_work_is_refused(
    make_resource: Callable[..., HttpResource], words: Any, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        make_resource(**words)

    assert not HttpResource.objects.exists()


def test_a_version_never_changes(make_resource: Callable[..., HttpResource]) -> None:
    version = latest_version(make_resource())
    version.title = "Another"
    with pytest.raises(DatabaseError), transaction.atomic():
        version.save()
