"""However something fails, the answer tells nothing of tenants, tables, files or code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.db import ProgrammingError, connection
from django_tenants.utils import tenant_context

from tenants.registry import hosts
from tests.factories.skills import make_skill

from .asking import ANONYMOUS, Answer, Asker
from .routes import ADMIN, TENANT, Kind

OTHERS_SCHEMA = "tenant_66777"
LEAK = (
    f'relation "{OTHERS_SCHEMA}.executions_execution" does not exist\n'
    f"LINE 1: SELECT secret_column FROM {OTHERS_SCHEMA}.executions_execution -- quokka of globex"
)
BETRAYALS = re.compile(
    r"""
    tenant_\d+ | quokka | globex                          # another tenant
    | \b(SELECT|INSERT|UPDATE|DELETE)\b[ ]\S | LINE[ ]1: | secret_column | relation[ ]"  # SQL
    | Traceback | \.py\b | File[ ]" | /(home|tmp|work|usr|srv|app)/ | site-packages        # code
    | ProgrammingError | DatabaseError | psycopg | django\.db | Exception
    """,
    re.VERBOSE,
)


def betrayals_in(answer: Answer) -> list[str]:
    paths = [str(settings.BASE_DIR), str(settings.DATA_DIR)]
    found = {match[0] for match in BETRAYALS.finditer(answer.text())}
    return sorted(found | {path for path in paths if path in answer.text()})


Wrapper = Callable[..., Any]


def fails(*only: str) -> Wrapper:
    """Return what makes every statement fail, or those that name one of the tables of only."""

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        to_tables = re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)", sql)
        if to_tables and (not only or any(one in sql for one in only)):
            raise ProgrammingError(LEAK)
        return execute(sql, params, many, context)

    return wrapper


BUSINESS = ('"catalogue_', '"executions_', '"core_auditevent"', '"menu_', '"registry_tenant"')


@pytest.mark.parametrize("what", ["business tables", "all tables"])
@pytest.mark.parametrize(
    ("kind", "host", "who"),
    [
        (TENANT, "acme.localhost", "acme/olivia"),
        (TENANT, "acme.localhost", "anonymous"),
        (ADMIN, "admin.localhost", "admin/sam"),
    ],
    ids=["owner", "anonymous", "super-admin"],
)
def test_a_database_that_says_too_much_is_not_quoted(
    stage, asker: Asker, of_host, monkeypatch, kind: Kind, host: str, who: str, what: str
):
    person = ANONYMOUS if who == "anonymous" else of_host(*who.split("/"))
    tables = () if what == "all tables" else BUSINESS
    monkeypatch.setattr(hosts, "UNHEARD_ENTRY_S", 600)  # The host stays known.
    asker.ask(host, person, "GET", "/healthz")
    wrong, failed = [], 0

    for route in kind.routes():
        for method, body in route.tries(stage.acme.ids):
            with connection.execute_wrapper(fails(*tables)):
                answer = asker.ask(host, person, method, route.path(stage.acme.ids), body)
            failed += answer.status >= 500
            if found := betrayals_in(answer):
                wrong.append(f"{method} {route.text}: {answer.status} shows {found}")
            is_json = answer.status == 500 and route.is_api and method != "HEAD"
            if is_json and '"fields": {}' not in answer.body:
                wrong.append(f"{method} {route.text}: not in the API's shape: {answer.body[:200]}")
            if answer.status == 500 and "the-same-for-all" not in answer.text():
                wrong.append(f"{method} {route.text}: does not say the request's id")

    assert failed > (0 if who == "anonymous" else 10)
    assert not wrong, "\n".join(wrong)


def test_a_selector_that_fails_is_not_quoted(stage, asker, of_host, monkeypatch):
    def fail(_actor: Any) -> Any:
        raise ProgrammingError(LEAK)

    for module in ("views", "api"):
        monkeypatch.setattr(f"skills.executions.{module}.executions_visible_to", fail)
    olivia = of_host("acme", "olivia")

    for path in ("/executions/", "/api/v1/executions", f"/executions/{stage.acme.ids.execution}/"):
        for headers in ({}, {"hx-request": "true"}, {"accept": "application/json"}):
            answer = asker.ask("acme.localhost", olivia, "GET", path, **headers)
            assert answer.status == 500
            assert "ProgrammingError" in answer.error
            assert betrayals_in(answer) == []


def api(body: bytes = b"") -> dict[str, Any]:
    return {"raw": body, "media_type": "application/json"}


def form(body: bytes = b"") -> dict[str, Any]:
    return {"raw": body, "media_type": "application/x-www-form-urlencoded"}


RUN = "/api/v1/executions"
GINA = b'{"username": "gina", "password": "x"}'
HUGE = {"CONTENT_LENGTH": "999999999999"}
REFUSALS: dict[str, tuple[int, str, str, str, dict[str, Any]]] = {
    "an address with a NUL": (400, "olivia", "GET", "/executions/?q=%00", {}),
    "no JSON": (400, "olivia", "POST", RUN, api(b"{nonsense")),
    "JSON too deep": (400, "olivia", "POST", RUN, api(b"[" * 90 + b"]" * 90)),
    "wrong inputs": (400, "olivia", "POST", RUN, api(b'{"skill": "x y"}')),
    "a link of nobody": (400, "anonymous", "GET", "/set-password/MQ/nonsense/", {}),
    "no token": (401, "anonymous", "GET", "/api/v1/skills", {}),
    "a wrong login": (401, "anonymous", "POST", "/login/", form(b"username=gina&password=x")),
    "a wrong login by API": (401, "anonymous", "POST", "/api/v1/auth/login", api(GINA)),
    "no right": (403, "victor", "POST", "/skills/greet/", form(b"input-name=a&input-times=1")),
    "no right by API": (403, "victor", "POST", RUN, api(b'{"skill": "greet"}')),
    "no such object": (404, "olivia", "GET", "/skills/nobodys-skill/", {}),
    "no such page": (404, "olivia", "GET", "/nothing/here/", {}),
    "nothing of the API": (404, "olivia", "GET", "/api/v1/nothing", {}),
    "a wrong method": (405, "olivia", "DELETE", "/executions/", {}),
    "a wrong method by API": (405, "olivia", "DELETE", RUN, {}),
    "too much": (413, "olivia", "POST", "/skills/greet/", {**form(), **HUGE}),
    "too much by API": (413, "olivia", "POST", RUN, {**api(), **HUGE}),
    "too much of nobody": (413, "anonymous", "POST", "/login/", {**form(), **HUGE}),
    "no known kind of body": (415, "olivia", "POST", RUN, {"raw": b"a", "media_type": "text/a"}),
}
"""What is wrong: status, who asks, method, path, what is sent."""


@pytest.mark.parametrize("headers", [{}, {"hx-request": "true"}], ids=["plain", "htmx"])
def test_no_refusal_tells_of_another_tenant_or_of_code(stage, asker, of_host, headers):
    wrong = []
    people = {who: of_host("acme", who) for who in ("olivia", "victor")}
    with tenant_context(stage.acme.tenant):
        make_skill("greet")

    for name, (status, who, method, path, sent) in REFUSALS.items():
        person = people.get(who, ANONYMOUS)
        answer = asker.send("acme.localhost", person, method, path, headers=headers, **sent)
        if answer.status != status:
            wrong.append(f"{name}: {answer.status} {answer.error}")
        if found := betrayals_in(answer):
            wrong.append(f"{name}: shows {found}")
        if path.startswith("/api/") and set(json.loads(answer.body)) != {
            "code",
            "message",
            "fields",
        }:
            wrong.append(f"{name}: {answer.body}")

    assert not wrong, "\n".join(wrong)
