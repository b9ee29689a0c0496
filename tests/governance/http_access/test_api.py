"""The admin host's API of HTTP resources and credentials, and what its lists cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from governance.http_access.grants.services import grant_resource
from governance.http_access.models import HttpCredential, HttpResource
from skills.executions.running import run_execution
from tests.conftest import tenant_named
from tests.executors.http.conftest import Api, answer

from .conftest import INPUTS, READING, SECRET

URL = "/api/v1/http-resources"


@pytest.fixture
def sam(platform: Any, person: Any) -> Any:
    return person("sam")


def test_from_credential_to_a_tenants_grant(world: Api, sam: Any) -> None:
    world.reply = lambda handler, asked: answer(handler, {"data": {"name": "Ada"}})
    key = {"name": "crm-key", "style": "bearer", "secrets": {"token": SECRET}}
    stored = sam.api.post("/api/v1/credentials", key, format="json")
    assert (stored.status_code, stored.data["status"]) == (201, "active")
    body = {
        "name": "find-customer", "title": "Find", "spec": READING, "inputs": INPUTS,
        "credential": "crm-key",
    }  # fmt: skip
    assert sam.api.post(URL, body, format="json").status_code == 201

    one = f"{URL}/find-customer"
    shown = sam.api.post(f"{one}/dry-run", {"inputs": {"customer": 7}}, format="json")
    assert shown.data["headers"]["Authorization"] == "Bearer ***"
    assert world.asked == []
    assert "without TLS" in shown.data["refused"]
    approval = {"addresses": ["api.example.com:80"], "reason": "In the rack."}
    assert sam.api.post(f"{one}/addresses", approval, format="json").status_code == 200
    trial = sam.api.post(f"{one}/trials", {"inputs": {"customer": 7}}, format="json")
    run_execution(trial.data["id"])
    done = sam.api.get(f"{one}/trials/{trial.data['id']}").data
    assert (done["status"], done["output"]) == ("succeeded", {"name": "Ada"})
    assert "> Authorization: Bearer ***" in done["trace"]
    granted = sam.api.post(f"{one}/grants", {"tenant": "acme", "level": "run"}, format="json")
    assert (granted.status_code, granted.data["skill"]) == (201, "find-customer")

    answers = [
        sam.api.get(path).content.decode()
        for path in (URL, one, "/api/v1/credentials", "/api/v1/credentials/crm-key")
    ]
    assert SECRET not in "".join([*answers, stored.content.decode(), str(done)])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"spec": {"base_url": "http://x.example", "writes": []}}, "spec"),
        ({"spec": {"base_url": "http://x.example", "query": {"a": "\0"}}}, "spec"),
        ({"spec": {"base_url": "http://x.example", "query": {"a": "\ud800"}}}, "spec"),
        ({"credential": "nobodys"}, "credential"),
        ({"name": "import"}, "name"),
        ({"title": ""}, "title"),
    ],
)
def test_what_does_not_fit_is_named(sam: Any, change: dict[str, Any], field: str) -> None:
    body = {"name": "a", "title": "A", "spec": {"base_url": "http://x.example"}, **change}

    refused = sam.api.post(URL, json.dumps(body), content_type="application/json")

    assert refused.status_code == 400
    assert field in refused.data["fields"]


def test_the_lists_cost_the_same_however_long_they_are(
    sam: Any,
    key: HttpCredential,
    make_resource: Callable[..., HttpResource],
    person: Any,
    django_assert_max_num_queries: Any,
) -> None:
    for number in range(5):
        resource = make_resource(f"r-{number}", credential=key)
        grant_resource(
            actor=sam.actor, resource=resource, tenant=tenant_named("acme"), level="view"
        )

    with django_assert_max_num_queries(9):
        assert b"r-4" in sam.browser.get("/platform/http-resources/").content
    with django_assert_max_num_queries(9):
        assert b"crm-key" in sam.browser.get("/platform/credentials/").content
    connection.set_tenant(tenant_named("acme"))
    oscar = person("oscar")
    with django_assert_max_num_queries(9):
        assert oscar.browser.get("/http-resources/").content.count(b"<h2") == 5
