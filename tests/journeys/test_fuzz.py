"""Whatever is sent to the API, fitting its description or not, is answered and never with a 5xx."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from tests.live import Live

FEW = settings(
    max_examples=12,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def described(live: Live, host: str, username: str) -> Any:
    """Return the API's own description of itself, to be called as username of host."""
    headers = {
        "Host": live.demo["hosts"][host],
        "Authorization": live.api(host, username).headers["Authorization"],
    }
    return schemathesis.openapi.from_url(
        f"http://127.0.0.1:{live.port}/api/v1/schema/?format=json", headers=headers
    )


def check(case: Any, live: Live, host: str, username: str) -> None:
    headers = {"Host": live.demo["hosts"][host]}
    # As nobody what would end the session, or lock an account for its many wrong passwords.
    ends_it = case.method == "DELETE" and case.operation.path.endswith(("/tokens", "/sessions"))
    if not ends_it and not case.operation.path.endswith(("/auth/logout", "/auth/prove")):
        headers["Authorization"] = live.api(host, username).headers["Authorization"]
    case.query.pop("wait", None)  # It would only cost time.
    answer = case.call(headers=headers)

    assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"
    if answer.status_code >= 400 and "json" in str(answer.headers.get("content-type")):
        assert set(answer.json()) == {"code", "message", "fields"}, answer.text


@pytest.mark.parametrize(("host", "username"), [("acme", "dana"), ("admin", "sam")])
def test_the_api_withstands_anything(live: Live, host: str, username: str) -> None:
    tried = 0
    for found in described(live, host, username).get_all_operations():

        def attack(case: Any) -> None:
            check(case, live, host, username)

        FEW(given(found.ok().as_strategy())(attack))()
        tried += 1

    assert tried > 6
