"""A secret goes out without TLS only to a host that was approved for this resource."""

from __future__ import annotations

from typing import Any

import pytest

from executors.contract import Outcome, StopReason
from tests.executors.http.conftest import PUBLIC, Api, Call, answer

API = "http://api.example.com"
OAUTH2 = {"style": "oauth2", "token_url": "http://login.example.com/token"}
STYLES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "key in header": ({"style": "api_key"}, {"value": "hidden-key"}),
    "key in query": ({"style": "api_key", "place": "query"}, {"value": "hidden-key"}),
    "bearer": ({"style": "bearer"}, {"token": "hidden-token"}),
    "basic": ({"style": "basic"}, {"username": "me", "password": "hidden-one"}),
    "oauth2": (
        {"style": "oauth2", "token_url": "http://api.example.com/token"},
        {"client_id": "me", "client_secret": "hidden-one"},
    ),
}
CLIENT = {"client_id": "me", "client_secret": "hidden-one"}


@pytest.mark.parametrize("style", STYLES)
def test_without_tls_and_approval_nothing_is_connected(call: Call, api: Api, style: str) -> None:
    how, secrets = STYLES[style]

    result = call({"authentication": how, "open_addresses": []}, secrets=secrets)

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert "to api.example.com:80 without TLS" in result.summary
    assert (call.connected, api.asked) == ([], [])


@pytest.mark.parametrize(
    ("url", "approved", "is_sent"),
    [
        (API, ["api.example.com"], True),
        (API, ["api.example.com:80"], True),
        (API, ["*.example.com"], True),
        (API, ["api.example.com:8080"], False),
        (API, ["other.example.com"], False),
        # A range says nothing of whatever name leads there.
        (API, ["10.0.0.0/8", "93.184.215.14"], False),
        ("http://10.1.2.3", ["10.1.2.3"], True),
        ("http://10.1.2.3", ["10.0.0.0/8"], True),
        ("http://10.1.2.3", ["api.example.com"], False),
    ],
)
def test_the_approval_names_the_host_itself(
    call: Call, api: Api, url: str, approved: list[str], is_sent: bool
) -> None:
    spec = {"base_url": url, "authentication": {"style": "bearer"}, "open_addresses": approved}

    result = call(spec, secrets={"token": "hidden-token"})

    assert (result.outcome is Outcome.SUCCEEDED) == is_sent
    assert len(api.asked) == is_sent
    assert ("without TLS" in call.dry_run(spec)["refused"]) == (not is_sent)


def test_the_secret_of_a_client_is_kept_from_a_token_endpoint_as_well(call: Call, api: Api) -> None:
    call.names["login.example.com"] = [PUBLIC]
    spec = {"base_url": "https://api.example.com", "authentication": OAUTH2, "open_addresses": []}

    result = call(spec, secrets=CLIENT)

    assert "to login.example.com:80 without TLS" in result.summary
    assert (call.connected, api.asked) == ([], [])


def test_a_dry_run_names_both_hosts_where_neither_has_tls(call: Call) -> None:
    shown = call.dry_run({"authentication": OAUTH2, "open_addresses": []})

    assert "to api.example.com and login.example.com without TLS" in shown["refused"]


def test_what_tells_no_secret_goes_without_tls_too(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {"ok": True})
    signed = {"style": "hmac", "name": "X-Signature"}

    assert call({"open_addresses": []}).outcome is Outcome.SUCCEEDED
    result = call(
        {"authentication": signed, "open_addresses": []},
        secrets={"key_id": "k1", "secret": "hidden-key"},
    )

    assert result.outcome is Outcome.SUCCEEDED
    assert "hidden-key" not in str(api.asked[-1].headers)
