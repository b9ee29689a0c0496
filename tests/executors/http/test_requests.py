"""The request that goes out, and the writes that do not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any

import pytest

from executors.contract import InvalidResource, Outcome, StopReason
from executors.http.executor import HttpExecutor
from tests.executors.http.conftest import Api, Call, answer

NOTE = {
    "base_url": "http://api.example.com/v1",
    "method": "POST",
    "path": "/customers/{customer}/notes",
    "body": {"kind": "json", "content": {"text": "{text}", "amount": "{amount}", "by": "x {text}"}},
}
ALLOWED = {
    "method": "POST",
    "path": "/v1/customers/*/notes",
    "limits": {"amount": {"type": "integer", "maximum": 100}},
}


def test_inputs_become_path_query_and_headers(call: Call, api: Api) -> None:
    call(
        {
            "path": "/find/{name}",
            "query": {"q": "{q}", "tag": "{tags}", "fixed": "a&b", "none": "{missing}"},
            "headers": {"X-Mode": "m-{mode}"},
        },
        {"name": "a b?&#é", "q": 3, "tags": ["x", "y z"], "mode": True, "missing": None},
    )

    [asked] = api.asked
    assert asked.path == "/find/a%20b%3F%26%23%C3%A9?q=3&tag=x&tag=y%20z&fixed=a%26b"
    assert asked.headers["x-mode"] == "m-true"
    assert asked.headers["host"] == "api.example.com"


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", "../admin", "a\r\nX: y", "\0"])
def test_an_input_never_leaves_its_part_of_the_path(call: Call, api: Api, name: str) -> None:
    result = call({"path": "/find/{name}/x"}, {"name": name})

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert api.asked == []


def test_an_input_never_adds_a_header(call: Call, api: Api) -> None:
    result = call({"headers": {"X-A": "{a}"}}, {"a": "b\r\nX-Admin: yes"})

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert api.asked == []


def test_a_body_takes_inputs_as_they_are(call: Call, api: Api) -> None:
    result = call({**NOTE, "writes": [ALLOWED]}, {"customer": 7, "text": 'say "hi"', "amount": 5})

    assert result.outcome is Outcome.SUCCEEDED
    assert json.loads(api.asked[0].body) == {
        "text": 'say "hi"', "amount": 5, "by": 'x say "hi"',
    }  # fmt: skip


def test_forms_and_texts_are_sent_as_such(call: Call, api: Api) -> None:
    write = {"method": "PUT", "path": "/x", "writes": [{"method": "PUT", "path": "/x"}]}
    call({**write, "body": {"kind": "form", "content": {"a": "{a}"}}}, {"a": "1&b=2"})
    call({**write, "body": {"kind": "text", "content": "{{{a}}}"}}, {"a": "1"})

    assert [each.body for each in api.asked] == [b"a=1%26b%3D2", b"{1}"]


@pytest.mark.parametrize(
    ("writes", "inputs"),
    [
        ([], {}),
        ([{**ALLOWED, "method": "PUT"}], {}),
        ([{**ALLOWED, "path": "/v1/customers/7"}], {}),
        ([{**ALLOWED, "path": "/customers/*/notes"}], {}),
        ([{**ALLOWED, "path": "/v1/*/notes"}], {}),
        ([ALLOWED], {"amount": 101}),
        ([ALLOWED], {"amount": None}),
        ([ALLOWED], {"amount": "5"}),
    ],
)
def test_a_write_that_is_not_on_the_whitelist_is_not_sent(
    call: Call, api: Api, writes: list[Any], inputs: dict[str, Any]
) -> None:
    given = {"customer": 7, "text": "a", "amount": 5, **inputs}

    result = call({**NOTE, "writes": writes}, given)

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert "whitelist" in result.summary
    assert api.asked == []
    assert call.looked_up == []


def test_a_dry_run_shows_the_very_request_and_sends_nothing(call: Call, api: Api) -> None:
    spec = {
        **NOTE,
        "writes": [ALLOWED],
        "query": {"q": "{text}"},
        "authentication": {"style": "api_key", "name": "X-Key", "prefix": "Key "},
    }
    inputs = {"customer": 7, "text": "ä", "amount": 5}

    shown = call.dry_run(spec, inputs, value="very-secret")

    assert (api.asked, call.looked_up, call.connected) == ([], [], [])
    assert "very-secret" not in json.dumps(shown)
    assert shown["headers"]["X-Key"] == "Key ***"
    assert shown["refused"] == ""
    call(spec, inputs, {"value": "very-secret"})
    [asked] = api.asked
    assert shown["url"] == f"http://api.example.com{asked.path}"
    assert shown["body"].encode() == asked.body
    sent = {
        name: text
        for name, text in asked.headers.items()
        if name in map(str.lower, shown["headers"])
    }
    assert sent == {name.lower(): text for name, text in shown["headers"].items()} | {
        "x-key": "Key very-secret"
    }


def test_a_dry_run_says_what_would_be_refused(call: Call) -> None:
    shown = call.dry_run(NOTE, {"customer": 7, "text": "a", "amount": 5})

    assert "whitelist" in shown["refused"]


def test_keys_bearers_and_passwords_are_sent(call: Call, api: Api) -> None:
    call({"authentication": {"style": "api_key", "place": "query", "name": "key"}},
         secrets={"value": "a&b"})  # fmt: skip
    call({"authentication": {"style": "bearer"}}, secrets={"token": "tok"})
    call({"authentication": {"style": "basic"}}, secrets={"username": "u", "password": "p:w"})

    assert api.asked[0].path == "/?key=a%26b"
    assert api.asked[1].headers["authorization"] == "Bearer tok"
    pair = base64.b64encode(b"u:p:w").decode()
    assert api.asked[2].headers["authorization"] == f"Basic {pair}"


def test_a_signature_covers_method_target_time_and_body(call: Call, api: Api) -> None:
    spec = {
        **NOTE,
        "writes": [ALLOWED],
        "authentication": {"style": "hmac", "name": "X-Signature"},
    }
    call(spec, {"customer": 7, "text": "a", "amount": 5}, {"key_id": "k1", "secret": "s3cret"})

    [asked] = api.asked
    stamp = asked.headers["x-timestamp"]
    text = f"POST\n{asked.path}\n{stamp}\n{hashlib.sha256(asked.body).hexdigest()}"
    made = hmac.new(b"s3cret", text.encode(), "sha256").hexdigest()
    assert asked.headers["x-signature"] == made
    assert asked.headers["x-key-id"] == "k1"


def test_a_token_is_fetched_once_and_again_when_it_is_refused(call: Call, api: Api) -> None:
    tokens = iter(["first-token", "second-token"])
    refused = {"stale"}

    def reply(handler: Any, asked: Any) -> None:
        if asked.path == "/token":
            answer(handler, {"access_token": next(tokens), "expires_in": 3600})
        elif asked.headers["authorization"].removeprefix("Bearer ") in refused:
            answer(handler, {}, status=401)
        else:
            answer(handler, {"ok": True})

    api.reply = reply
    call.names["login.example.com"] = ["93.184.215.15"]
    spec = {
        "authentication": {
            "style": "oauth2", "token_url": "http://login.example.com/token", "scope": "read",
        }
    }  # fmt: skip
    secrets = {"client_id": "me", "client_secret": "hidden-secret"}

    call(spec, secrets=secrets)
    call(spec, secrets=secrets)
    assert [each.path for each in api.asked] == ["/token", "/", "/"]
    assert api.asked[0].body == b"grant_type=client_credentials&scope=read"
    refused.add("first-token")
    result = call({**spec, "traced": True}, secrets=secrets)

    assert result.outcome is Outcome.SUCCEEDED
    assert [each.path for each in api.asked[3:]] == ["/", "/token", "/"]
    assert api.asked[-1].headers["authorization"] == "Bearer second-token"
    assert not re.search("first-token|second-token|hidden-secret", call.log)


def test_secrets_reach_neither_log_nor_result(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(
        handler, {"echo": asked.headers["authorization"]}, X_Echo="hidden-token"
    )
    spec = {"authentication": {"style": "bearer"}, "traced": True}

    result = call(spec, secrets={"token": "hidden-token"})
    api.reply = lambda handler, asked: answer(handler, {"bad": "hidden-token"}, status=500)
    failure = call(spec, secrets={"token": "hidden-token"})

    assert result.output == {"echo": "Bearer ***"}
    assert "hidden-token" not in call.log + result.model_dump_json() + failure.model_dump_json()


def test_what_basic_authentication_makes_of_a_password_is_masked_too(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {"echo": asked.headers["authorization"]})

    result = call(
        {"authentication": {"style": "basic"}}, secrets={"username": "user", "password": "pass1"}
    )

    assert result.output == {"echo": "Basic ***"}


def test_what_head_announces_is_not_read(call: Call, api: Api) -> None:
    def announce(handler: Any, asked: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000000")
        handler.end_headers()

    api.reply = announce

    assert call({"method": "HEAD"}).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://u:p@h/"},
        {"base_url": "http://api.example.com/?a=b"},
        {"base_url": "http://api.example.com/{a}"},
        {"base_url": "http://{a}.example.com/"},
        {"path": "relative"},
        {"path": "/a?b"},
        {"path": "/{"},
        {"headers": {"Host": "other"}},
        {"headers": {"content-type": "text/html"}},
        {"headers": {"Authorization": "Bearer abc"}},
        {"headers": {"X-A": "a\nb"}},
        {"body": {"kind": "json", "content": {}}},
        {"outputs": {"a": "[["}},
        {"output_schema": {"type": "nothing"}},
        {"output_schema": {"$ref": "http://evil.example.com/"}},
        {"writes": [{"method": "GET", "path": "/"}]},
        {"writes": [{"method": "POST", "path": "/a*"}]},
        {"allowed_hosts": ["http://x"]},
        {"tls": {"ca": "no certificate"}},
        {"method": "CONNECT"},
        {"unknown": 1},
    ],
)
def test_a_resource_that_cannot_be_called_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidResource):
        HttpExecutor().validate({"base_url": "http://api.example.com", **wrong})
