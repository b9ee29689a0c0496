"""Whatever is sent, the answer says what is wrong and the refusal is on record."""

from __future__ import annotations

import base64
import json

import pytest
from django.test import Client

from execfabric.core.models import AuditEvent, Outcome
from execfabric.web.uploads import BoundedUploadHandler
from tests.factories.skills import make_skill

pytestmark = pytest.mark.usefixtures("acme")
API = "/api/v1"
MULTIPART = "multipart/form-data; boundary=x"


@pytest.fixture
def oscar(person):
    who = person("oscar")
    who.api.raise_request_exception = who.browser.raise_request_exception = False
    return who


def cursor(text):
    return base64.b64encode(text.encode()).decode().replace("=", "%3D")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("skills?q=%00", 400),
        ("skills?tag=%00", 400),
        ("executions?status=%00", 400),
        ("executions?skill=%00", 400),
        ("executions?status=finished", 400),
        ("skills/greet?version=" + "1" * 5000, 400),
        ("skills/greet?version=" + "9" * 30, 400),
        ("skills/greet?version=%C2%B2", 400),
        ("executions?cursor=" + cursor("p=x"), 404),
        ("executions?cursor=" + cursor("p=%00"), 404),
        ("skills?cursor=" + cursor("p=%00"), 404),
        ("skills?cursor=" + cursor("p=a%00b"), 404),
        ("skills?cursor=" + cursor("p=a&o=" + "9" * 5000), 404),
        ("skills?cursor=x", 404),
    ],
)
def test_an_address_that_makes_no_sense_is_refused(oscar, path, status):
    make_skill()

    answer = oscar.api.get(f"{API}/{path}")

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "fields"}
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "path",
    ["/skills/?q=%00", "/executions/?skill=%00", "/executions/?who=%00", "/audit/?actor=%00"],
)
def test_pages_refuse_a_nul_as_well(person, path):
    assert person("olivia").browser.get(path).status_code == 400


@pytest.mark.parametrize(
    "inputs",
    [
        '{"times": 1e999}',
        '{"times": -1e999}',
        '{"x": ' + "[" * 30 + "]" * 30 + "}",
        '{"x": ' + "[" * 600 + "]" * 600 + "}",
        '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"x": ' + "9" * 9000 + "}",
        '{"x": ' + "9" * 4200 + "}",
    ],
    ids=["inf", "-inf", "deep", "deeper", "deepest", "unreadable number", "long number"],
)
def test_a_body_that_makes_no_sense_is_refused(oscar, inputs):
    make_skill()

    answer = oscar.api.generic(
        "POST",
        f"{API}/executions",
        f'{{"skill": "greet", "inputs": {inputs}}}',
        content_type="application/json",
    )

    assert answer.status_code == 400
    assert answer.json()["message"]


@pytest.mark.parametrize("version", ["1e30", "9" * 30, '"9"', "1e999"])
def test_a_version_that_cannot_be_is_no_error_of_ours(oscar, version):
    make_skill()

    answer = oscar.api.generic(
        "POST",
        f"{API}/executions",
        f'{{"skill": "greet", "version": {version}}}',
        content_type="application/json",
    )

    assert answer.status_code in (400, 409)


@pytest.mark.parametrize(
    "typed",
    ['{"a": 1e999}', '{"a": ' + "[" * 600 + "]" * 600 + "}", '{"a": ' + "[" * 30 + "]" * 30 + "}"],
    ids=["inf", "deeper", "deep"],
)
def test_a_form_that_makes_no_sense_is_shown_again(oscar, typed):
    make_skill(code="def main(x: dict):\n    return 1\n")

    page = oscar.browser.post("/skills/greet/", {"input-x": typed})

    assert page.status_code == 422
    assert "is-invalid" in page.content.decode()


def test_a_refused_depth_is_on_record(oscar):
    make_skill()
    body = {"skill": "greet", "inputs": {"x": json.loads("[" * 40 + "]" * 40)}}

    assert oscar.api.post(f"{API}/executions", body, format="json").status_code == 400

    event = AuditEvent.objects.get(code="executions.execution.request")
    assert (event.outcome, event.details["inputs"]) == (Outcome.REFUSED, ["x"])


def test_too_long_a_body_of_nobody_is_refused_wherever_it_is_sent():
    stranger = Client(headers={"host": "acme.localhost"})
    body = b"x" * 3_000_000

    for path in ("/login/", f"{API}/auth/login", f"{API}/files", f"{API}/nothing"):
        answer = stranger.generic("POST", path, body, content_type=MULTIPART)
        assert answer.status_code == 413, path


def test_the_api_reads_no_body_for_a_token_that_is_none(monkeypatch):
    def read(*_arguments):
        raise AssertionError("The body was read.")

    monkeypatch.setattr(BoundedUploadHandler, "new_file", read)
    stranger = Client(headers={"host": "acme.localhost"}, enforce_csrf_checks=True)
    stranger.cookies["execfabric_csrf"] = "x" * 32
    part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nabc\r\n--x--\r\n'
    for path, status in ((f"{API}/nothing", 404), (f"{API}/files", 401)):
        answer = stranger.generic(
            "POST",
            path,
            part,
            content_type=MULTIPART,
            headers={"authorization": "Bearer nobody"},
        )
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
