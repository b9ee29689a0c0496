"""How-to 11, step by step, through the pages, with the API of examples/apis/crm."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from skills.catalogue.selectors import skill_to_run
from skills.executions.models import Execution
from skills.executions.running import run_execution
from tests.conftest import tenant_named

CRM = Path(__file__).parents[2] / "examples" / "apis" / "crm"
KEY = "crm-demo-key"
LIST = "/platform/http-resources/"
FIELD = re.compile(
    r'<(?:input|textarea|select)[^>]* name="(?P<name>[^"]+)"[^>]*>(?P<text>[^<]*)', re.DOTALL
)
VALUE = re.compile(r' value="([^"]*)"')
CHOSEN = r'name="{name}".*?<option value="([^"]*)" selected'


@pytest.fixture(scope="module")
def crm() -> Iterator[str]:
    """The API on a port of its own; yields host and port."""
    command = [sys.executable, CRM / "server.py", "--port", "0", "--key", KEY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split("//")[1].split("/")[0]
        process.kill()


def fields_of(page: str) -> dict[str, str]:
    """Return what the form of a page would send as it stands."""
    found = {}
    for match in FIELD.finditer(page.split("<main", 1)[-1]):
        name = match["name"]
        if match[0].startswith("<select"):
            chosen = re.search(CHOSEN.format(name=name), page, re.DOTALL)
            found[name] = chosen[1] if chosen else ""
        else:
            value = VALUE.search(match[0].partition(">")[0])
            found[name] = unescape(value[1] if value else match["text"]).strip("\n")
    return found


def imported(sam: Any, crm: str, operation: str, **changes: str) -> str:
    """Take an operation out of the document; return the name of the resource."""
    document = (CRM / "openapi.yaml").read_text().replace("127.0.0.1:9090", crm)
    listed = sam.browser.post(f"{LIST}import/", {"document": document})
    assert operation in unescape(listed.content.decode())
    filled = sam.browser.post(
        f"{LIST}import/", {"document": document, "operation": operation}
    ).content.decode()
    fields = {**fields_of(filled), "credential": "crm-key", **changes}
    created = sam.browser.post(f"{LIST}new/", fields)
    assert created.status_code == 302, created.content.decode()
    return str(created.url).rstrip("/").rpartition("/")[2]


def called(sam: Any, name: str, **inputs: str) -> tuple[Execution, str]:
    """Call a resource for real; return the execution and its page."""
    given = {f"input-{field}": value for field, value in inputs.items()}
    sent = sam.browser.post(f"{LIST}{name}/try/", {**given, "act": "call", "confirmed": "on"})
    assert sent.status_code == 302, sent.content.decode()
    execution = Execution.objects.latest("created_at")
    run_execution(execution.pk)
    return Execution.objects.get(pk=execution.pk), sam.browser.get(sent.url).content.decode()


def test_a_tenant_is_given_an_http_api(platform: Any, person: Any, crm: str) -> None:
    sam = person("sam")

    # 2. The credential goes in and never comes out.
    stored = sam.browser.post(
        "/platform/credentials/new/?style=api_key",
        {"slug": "crm-key", "name": "X-Api-Key", "place": "header", "value": KEY},
    )
    assert stored.status_code == 302
    page = sam.browser.get(stored.url).content.decode()
    assert KEY not in page
    assert "Name of header or parameter" in page

    # 3. and 4. Described, tried without sending, refused, approved, called.
    name = imported(sam, crm, "GET /customers/{customer-id}", outputs="name = data.name",
                    output_fields="")  # fmt: skip
    assert name == "find-a-customer"
    page = sam.browser.post(
        f"{LIST}{name}/try/", {"input-customer_id": "1", "act": "dry_run"}
    ).content.decode()
    assert f"http://{crm}/v1/customers/1" in page
    assert "X-Api-Key: ***" in page
    assert not Execution.objects.exists()
    refused, page = called(sam, name, customer_id="1")
    assert refused.stop_reason == "could_not_start"
    assert page.count("127.0.0.1 is a loopback address") == 1
    sam.browser.post(f"{LIST}{name}/addresses/", {"addresses": crm, "reason": "It runs here."})
    done, page = called(sam, name, customer_id="1")
    assert done.output == {"name": "Ada Lovelace Ltd"}
    assert f"Connected to {crm} at 127.0.0.1" in page
    assert KEY not in page

    # 5. and 6. Granted, seen in the ledger, run.
    granted = sam.browser.post(f"{LIST}{name}/grants/", {"tenant": "acme", "level": "run"})
    assert granted.status_code == 302
    connection.set_tenant(tenant_named("acme"))
    oscar = person("oscar")
    ledger = oscar.browser.get("/http-resources/").content.decode()
    assert f"GET {crm}/v1/customers/{{customer_id}}" in ledger
    assert "API key" in ledger
    answer = oscar.api.post(
        "/api/v1/executions", {"skill": name, "inputs": {"customer_id": 2}}, format="json"
    )
    assert answer.status_code == 201
    run_execution(answer.data["id"])
    assert Execution.objects.get().output == {"name": "Grace Hopper Inc"}
    [line] = oscar.api.get("/api/v1/http-resources").data["results"]
    assert set(line) == {
        "name", "title", "description", "level", "request", "authentication", "writes", "skill",
    }  # fmt: skip

    # 7. Writes are denied until the whitelist has them.
    connection.set_tenant(tenant_named("admin"))
    name = imported(sam, crm, "POST /customers/{customer-id}/notes", outputs="notes = data.notes",
                    output_fields="", name="add-a-note")  # fmt: skip
    sam.browser.post(f"{LIST}{name}/addresses/", {"addresses": crm, "reason": "It runs here."})
    denied, _ = called(sam, name, customer_id="1", text="Call back")
    assert "whitelist" in denied.error
    allowed = sam.browser.post(
        f"{LIST}{name}/writes/",
        {"method": "POST", "path": "/v1/customers/*/notes", "confirmation": "confirm",
         "limits": '{"text": {"maxLength": 20}}', "reason": "Agreed with sales."},
    )  # fmt: skip
    assert allowed.status_code == 302, allowed.content.decode()
    page = sam.browser.get(f"{LIST}{name}/").content.decode()
    assert '{"text": {"maxLength": 20}}' in unescape(page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids)), "A label leads to the field of another form."
    assert called(sam, name, customer_id="1", text="Call back")[0].output == {"notes": 1}
    too_long, _ = called(sam, name, customer_id="1", text="x" * 21)
    assert "whitelist" in too_long.error
    sam.browser.post(f"{LIST}{name}/grants/", {"tenant": "acme", "level": "run"})
    connection.set_tenant(tenant_named("acme"))
    skill = skill_to_run(person("oscar").actor, name)
    assert skill is not None
    assert skill.version is not None
    assert (skill.version.risk, skill.version.confirm) == ("high", True)


@pytest.mark.parametrize(
    "address",
    ["new/", "import/", "x/", "x/revise/", "x/try/", "x/grants/", "x/addresses/", "x/writes/"],
)
def test_a_tenant_host_has_no_address_to_configure_or_try(acme: Any, person: Any, address: str):
    olivia = person("olivia")

    for prefix in ("/http-resources/", "/platform/http-resources/", "/platform/credentials/"):
        assert olivia.browser.get(f"{prefix}{address}").status_code == 404
        assert olivia.browser.post(f"{prefix}{address}").status_code == 404
    for path in ("http-resources/x", "http-resources/x/dry-run", "credentials"):
        assert olivia.api.get(f"/api/v1/{path}").status_code == 404
    assert olivia.api.post("/api/v1/http-resources", {}, format="json").status_code == 405
