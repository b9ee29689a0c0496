"""What a tenant gets: a line in its ledger, or a skill that goes the way of every skill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django_tenants.utils import schema_context

from execfabric.core.errors import Conflict, InvalidInput
from execfabric.core.models import AuditEvent
from governance.http_access import services
from governance.http_access.grants.services import grant_resource, revoke_grant
from governance.http_access.models import HttpCredential, HttpResource
from governance.http_access.selectors import ledger_visible_to
from governance.http_access.services import Description, revise_resource
from skills.catalogue.managing.services import roll_back
from skills.catalogue.models import Skill
from skills.catalogue.selectors import skill_to_run
from skills.executions.models import Execution, LogChunk
from skills.executions.running import run_execution
from skills.executions.services import approve_execution, confirm_execution, request_execution
from tests.conftest import tenant_named
from tests.executors.http.conftest import Api, answer
from tests.factories.skills import make_skill

from .conftest import INPUTS, READING, SECRET, WRITING

Make = Callable[..., HttpResource]


def allow_notes(actor: Any, resource: HttpResource, confirmation: str = "confirm") -> Any:
    return services.allow_write(
        actor=actor, resource=resource, method="POST", path="/v1/customers/*/notes", limits={},
        confirmation=confirmation, reason="Agreed.",
    )  # fmt: skip


@pytest.fixture
def at_acme(person: Any) -> Callable[[str], Any]:
    """Return a person of acme; the caller is in its schema from then on."""

    def enter(username: str) -> Any:
        connection.set_tenant(tenant_named("acme"))
        return person(username)

    return enter


def run(actor: Any, name: str, **inputs: Any) -> Execution:
    skill = skill_to_run(actor, name)
    assert skill is not None
    execution = request_execution(actor=actor, skill=skill, inputs=inputs)
    if execution.status == "queued":
        run_execution(execution.pk)
        execution.refresh_from_db()
    return execution


def test_a_tenant_runs_what_it_was_granted(
    world: Api, key: HttpCredential, make_resource: Make, person: Any, at_acme: Any
) -> None:
    world.reply = lambda handler, asked: answer(handler, {"data": {"name": "Ada"}})
    resource = make_resource(credential=key)
    grant_resource(
        actor=person("sam").actor, resource=resource, tenant=tenant_named("acme"), level="run"
    )
    oscar = at_acme("oscar").actor

    execution = run(oscar, "find-customer", customer=7)

    assert (execution.status, execution.output) == ("succeeded", {"name": "Ada"})
    assert world.asked[0].headers["x-api-key"] == SECRET
    codes = set(AuditEvent.objects.values_list("code", flat=True))
    assert {"executions.execution.request", "executions.execution.finish"} <= codes
    log = "".join(LogChunk.objects.values_list("text", flat=True))
    assert "GET api.example.com/v1/customers/7 → 200" in log
    assert not [word for word in (SECRET, "region-7", "X-Api-Key", "93.184") if word in log]
    with schema_context("public"):
        [use] = AuditEvent.objects.filter(code="http_access.credential.use")
        assert use.details["schema"] == "tenant_1001"


def test_nothing_but_a_name_of_the_resource_lies_with_the_tenant(
    world: Api, key: HttpCredential, make_resource: Make, person: Any, at_acme: Any
) -> None:
    resource = make_resource(credential=key)
    grant_resource(
        actor=person("sam").actor, resource=resource, tenant=tenant_named("acme"), level="run"
    )
    skill = skill_to_run(at_acme("oscar").actor, "find-customer")

    assert skill is not None
    assert skill.version is not None
    assert skill.version.resource == {"http_resource": str(resource.pk), "version": 1}
    assert skill.maintainer == "platform"


def test_a_tenant_that_only_views_has_a_line_and_no_skill(
    world: Api, key: HttpCredential, make_resource: Make, person: Any, at_acme: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource("add-note", WRITING, credential=key)
    allow_notes(sam, resource, "four_eyes")
    grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="view")
    oscar = at_acme("oscar").actor

    [line] = ledger_visible_to(oscar)
    assert line.request_summary == "POST api.example.com/v1/customers/{customer}/notes"
    assert line.authentication == "API key"
    assert line.write_boundary == [
        {"method": "POST", "path": "/v1/customers/*/notes", "confirmation": "four_eyes"}
    ]
    assert skill_to_run(oscar, "add-note") is None


def test_no_other_tenant_sees_the_line(make_resource: Make, person: Any, globex: Any) -> None:
    connection.set_schema_to_public()
    connection.set_tenant(tenant_named("admin"))
    grant_resource(
        actor=person("sam").actor, resource=make_resource(), tenant=tenant_named("acme"),
        level="run",
    )  # fmt: skip
    connection.set_tenant(globex)
    oscar = person("oscar").actor

    assert not ledger_visible_to(oscar).exists()
    assert skill_to_run(oscar, "find-customer") is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM public.http_access_httpgrant")
        assert cursor.fetchone() == (0,)


def test_a_write_is_confirmed_and_approved_as_its_entry_says(
    world: Api, make_resource: Make, person: Any, at_acme: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource("add-note", WRITING)
    with pytest.raises(Conflict, match="whitelist"):
        grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="run")
    allow_notes(sam, resource, "four_eyes")
    grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="run")
    oscar = at_acme("oscar").actor

    execution = run(oscar, "add-note", customer=7, text="hello")
    assert execution.status == "awaiting_confirmation"
    execution = confirm_execution(actor=oscar, execution=execution)
    assert execution.status == "awaiting_approval"
    assert world.asked == []
    approve_execution(actor=person("anna").actor, execution=execution)
    run_execution(execution.pk)

    execution.refresh_from_db()
    assert execution.status == "succeeded"
    assert [each.method for each in world.asked] == ["POST"]


def test_a_write_that_demands_an_approval_by_now_is_denied_to_runs_without_one(
    world: Api, make_resource: Make, person: Any, at_acme: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource("add-note", WRITING)
    loose = allow_notes(sam, resource)
    grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="run")
    services.revoke_write(actor=sam, write=loose)
    allow_notes(sam, resource, "four_eyes")
    oscar = at_acme("oscar").actor

    execution = run(oscar, "add-note", customer=7, text="hello")
    confirm_execution(actor=oscar, execution=execution)
    run_execution(execution.pk)

    execution.refresh_from_db()
    assert "whitelist" in execution.error
    assert world.asked == []


def test_what_is_revoked_runs_nowhere_from_then_on(
    world: Api, make_resource: Make, person: Any, at_acme: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource("add-note", WRITING)
    allow_notes(sam, resource)
    grant = grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="run")
    oscar = at_acme("oscar").actor
    waiting = run(oscar, "add-note", customer=7, text="hello")

    connection.set_tenant(tenant_named("admin"))
    revoke_grant(actor=sam, grant=grant, reason="The contract ended.")
    oscar = at_acme("oscar").actor

    waiting.refresh_from_db()
    assert waiting.status == "cancelled"
    with pytest.raises(Exception, match="contract ended"):
        run(oscar, "add-note", customer=7, text="hello")
    assert not ledger_visible_to(oscar).exists()
    connection.set_tenant(tenant_named("admin"))
    grant_resource(actor=sam, resource=resource, tenant=tenant_named("acme"), level="run")
    again = run(at_acme("oscar").actor, "add-note", customer=7, text="hello")
    assert again.status == "awaiting_confirmation"


def test_a_grant_stays_with_its_version_until_it_is_given_again(
    world: Api, make_resource: Make, person: Any, at_acme: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource()
    acme = tenant_named("acme")
    grant_resource(actor=sam, resource=resource, tenant=acme, level="run")
    revise_resource(
        actor=sam,
        resource=resource,
        description=Description(
            "Another", {**READING, "path": "/clients/{customer}"},
            inputs={"customer": {"type": "integer"}},
        ),
    )  # fmt: skip
    assert run(at_acme("oscar").actor, "find-customer", customer=7).status == "succeeded"
    connection.set_tenant(tenant_named("admin"))
    grant_resource(actor=sam, resource=resource, tenant=acme, level="run")
    assert run(at_acme("oscar").actor, "find-customer", customer=7).status == "succeeded"

    paths = [each.path.partition("?")[0] for each in world.asked]
    assert paths == ["/v1/customers/7", "/v1/clients/7"]


def test_a_pinned_version_gives_way_to_the_one_that_is_granted_now(
    world: Api, make_resource: Make, person: Any, at_acme: Any
) -> None:
    world.reply = lambda handler, asked: answer(handler, {"data": {"name": "Ada"}})
    resource, sam = make_resource(), person("sam").actor
    acme = tenant_named("acme")
    grant_resource(actor=sam, resource=resource, tenant=acme, level="run")
    with schema_context(acme.schema_name):
        Skill.objects.filter(name=resource.name).update(is_pinned=True)
    revise_resource(
        actor=sam, resource=resource,
        description=Description("Find", {**READING, "query": {}}, inputs=INPUTS),
    )  # fmt: skip

    grant_resource(actor=sam, resource=resource, tenant=acme, level="run")

    execution = run(at_acme("oscar").actor, resource.name, customer=7)
    assert execution.status == "succeeded"
    assert execution.version.number == 2
    assert Skill.objects.get(name=resource.name).is_pinned


def test_a_tenant_cannot_go_back_to_a_version_that_is_not_granted(
    world: Api, make_resource: Make, person: Any, at_acme: Any
) -> None:
    sam = person("sam").actor
    resource = make_resource()
    acme = tenant_named("acme")
    grant_resource(actor=sam, resource=resource, tenant=acme, level="run")
    revise_resource(
        actor=sam,
        resource=resource,
        description=Description("Another", READING, inputs={"customer": {"type": "integer"}}),
    )
    grant_resource(actor=sam, resource=resource, tenant=acme, level="run")
    olivia = at_acme("olivia").actor
    skill = skill_to_run(olivia, "find-customer")

    with pytest.raises(Conflict):
        roll_back(actor=olivia, skill=skill, reason="I liked the old one.")


def test_a_name_that_the_tenant_uses_is_not_taken(
    make_resource: Make, person: Any, at_acme: Any
) -> None:
    at_acme("olivia")
    make_skill("find-customer")
    connection.set_tenant(tenant_named("admin"))
    sam = person("sam").actor

    with pytest.raises(InvalidInput, match="name"):
        grant_resource(
            actor=sam, resource=make_resource(), tenant=tenant_named("acme"), level="run"
        )
