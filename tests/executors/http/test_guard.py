"""Where a call must not go. Every connection is written down; none leaves the loopback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from executors.contract import Outcome, StopReason
from executors.http.urls import NotUsable, parse_url
from tests.executors.http.conftest import PUBLIC, Api, Call, answer

CLOSED_URLS = [
    line.encode().decode("unicode_escape")
    for line in (Path(__file__).parents[1] / "closed_urls.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]
NAMES = {
    "localhost": ["127.0.0.1"],
    "foo.localhost": ["127.0.0.1"],
    "metadata.google.internal": ["169.254.169.254"],
    "router.local": ["192.168.1.1"],
    # As the C library reads them, should they ever come so far:
    "127.1": ["127.0.0.1"],
    "2130706433": ["127.0.0.1"],
    "0x7f.1": ["127.0.0.1"],
    "0177.0.0.1": ["127.0.0.1"],
    "0": ["0.0.0.0"],
    "2852039166": ["169.254.169.254"],
}


def test_the_list_is_read() -> None:
    assert len(CLOSED_URLS) > 40


@pytest.mark.parametrize("url", CLOSED_URLS, ids=ascii)
def test_no_closed_address_is_called(call: Call, api: Api, url: str) -> None:
    call.names |= NAMES

    result = call({"base_url": url})

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert call.connected == []
    assert api.asked == []


@pytest.mark.parametrize("url", CLOSED_URLS, ids=ascii)
def test_no_redirect_leads_to_a_closed_address(call: Call, api: Api, url: str) -> None:
    call.names |= NAMES
    location = url.encode("utf-8").decode("latin-1")
    api.reply = lambda handler, asked: answer(handler, {}, status=302, Location=location)

    result = call({"redirects": 3, "allowed_hosts": ["0.0.0.0/0", "::/0", "*.example.com"]})

    assert result.outcome is Outcome.FAILED
    assert {address for address, _ in call.connected} == {PUBLIC}


@pytest.mark.parametrize("url", CLOSED_URLS, ids=ascii)
def test_no_token_is_asked_for_at_a_closed_address(call: Call, api: Api, url: str) -> None:
    call.names |= NAMES

    result = call(
        {"authentication": {"style": "oauth2", "token_url": url}},
        secrets={"client_id": "me", "client_secret": "hidden"},
    )

    assert result.stop_reason is StopReason.COULD_NOT_START
    assert call.connected == []


def test_a_name_with_one_private_address_is_refused(call: Call) -> None:
    call.names["api.example.com"] = [PUBLIC, "10.0.0.7"]

    assert call().stop_reason is StopReason.COULD_NOT_START
    assert call.connected == []


def test_the_address_that_was_judged_is_the_one_connected_to(call: Call) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    call.executor._resolve = lambda host, port: next(answers)

    assert call().outcome is Outcome.SUCCEEDED
    assert call.connected == [(PUBLIC, 80)]


def test_a_name_that_changes_its_mind_between_retries_is_refused(call: Call, api: Api) -> None:
    answers = iter([[PUBLIC], ["10.0.0.1"]])
    call.executor._resolve = lambda host, port: next(answers)

    def close(handler: Any, asked: Any) -> None:
        handler.close_connection = True

    api.reply = close

    assert call({"retries": 3}).stop_reason is StopReason.COULD_NOT_START
    assert call.connected == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    ("base", "address", "opened"),
    [
        ("http://intra.example.com", "10.1.2.3", ["intra.example.com"]),
        ("http://intra.example.com", "127.0.0.1", ["intra.example.com", "127.0.0.1"]),
        ("http://10.1.2.3:8080", "10.1.2.3", ["10.1.2.3:8080"]),
        ("http://127.0.0.1:9000", "127.0.0.1", ["127.0.0.1:9000"]),
    ],
)
def test_a_resource_that_was_approved_for_it_reaches_a_private_address(
    call: Call, base: str, address: str, opened: list[str]
) -> None:
    call.names["intra.example.com"] = [address]

    assert call({"base_url": base}).stop_reason is StopReason.COULD_NOT_START
    assert call({"base_url": base, "open_addresses": opened}).outcome is Outcome.SUCCEEDED
    assert [each for each, _ in call.connected] == [address]


def test_an_approved_range_is_not_open_to_whatever_name_leads_there(call: Call) -> None:
    call.names["api.example.com"] = ["10.1.2.3"]

    assert call({"open_addresses": ["10.1.0.0/16"]}).stop_reason is StopReason.COULD_NOT_START
    assert call.connected == []


def test_a_name_is_never_approved_for_the_loopback_or_metadata(call: Call) -> None:
    for address in ("127.0.0.1", "169.254.169.254"):
        call.names["api.example.com"] = [address]

        assert call({"open_addresses": ["api.example.com"]}).outcome is Outcome.FAILED
    assert call.connected == []


@pytest.mark.parametrize("host", ["evil.com", "api.example.com.evil.com", "evilapi.example.com"])
def test_a_redirect_leaves_no_allowed_host(call: Call, api: Api, host: str) -> None:
    call.names[host] = [PUBLIC]
    api.reply = lambda handler, asked: answer(handler, {}, status=307, Location=f"http://{host}/")

    assert call({"redirects": 3}).outcome is Outcome.FAILED
    assert call.looked_up == ["api.example.com"]


def test_another_origin_hears_neither_key_nor_headers(call: Call, api: Api) -> None:
    call.names["other.example.com"] = [PUBLIC]

    def send_on(handler: Any, asked: Any) -> None:
        if asked.headers["host"] == "api.example.com":
            answer(handler, {}, status=302, Location="http://other.example.com/there")
        else:
            answer(handler, {"here": True})

    api.reply = send_on
    result = call(
        {
            "redirects": 1,
            "allowed_hosts": ["other.example.com"],
            "headers": {"X-Team": "blue"},
            "authentication": {"style": "bearer"},
        },
        secrets={"token": "hidden-token"},
    )

    assert result.output == {"here": True}
    assert api.asked[0].headers["authorization"] == "Bearer hidden-token"
    assert not {"authorization", "x-team"} & set(api.asked[1].headers)


def test_redirects_are_not_followed_unless_the_resource_says_so(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {}, status=302, Location="/there")

    assert "does not follow" in call().summary
    assert len(api.asked) == 1


def test_a_write_is_never_sent_on(call: Call, api: Api) -> None:
    api.reply = lambda handler, asked: answer(handler, {}, status=307, Location="/there")

    result = call(
        {"method": "POST", "path": "/x", "redirects": 3,
         "writes": [{"method": "POST", "path": "/x"}]}
    )  # fmt: skip

    assert result.outcome is Outcome.FAILED
    assert len(api.asked) == 1


def test_proxy_variables_change_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")

    assert call().outcome is Outcome.SUCCEEDED
    assert call.connected == [(PUBLIC, 80)]


def test_a_tenant_hears_no_address_and_the_platform_does(call: Call) -> None:
    call.names["api.example.com"] = ["10.9.8.7"]

    result = call()

    assert "10.9.8.7" not in call.log + result.model_dump_json()
    call({"traced": True})
    assert "10.9.8.7 is a private address" in call.log


@pytest.mark.parametrize(
    "url",
    ["http://a b/", "http://a\\b/", "http://ü.com/", "http://u@h/", "http://h/#f", "http://h:0/",
     "http://h:99999/", "ftp://h/", "http://-h-/", "http:///h", "http://1.2.3/", "http://[::1"],
)  # fmt: skip
def test_addresses_that_could_be_read_in_two_ways_are_none(url: str) -> None:
    with pytest.raises(NotUsable):
        parse_url(url)
