"""Suspending a tenant of the running platform: refused within a second, through every door."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from cli.transport import open_http
from tests.live import ROOT, Live

WITHIN_S = 1.0
RECORDED_WITHIN_S = 2.0
"""A run is told to end within a second; then its processes are killed, and its end is recorded."""
NAME = "pausing"
PASSWORD = "correct horse battery"


@pytest.fixture
def sam(live: Live):
    return live.api("admin", "sam")


@pytest.fixture
def host(live: Live, sam):
    """The address of a tenant of this test's own, with the slow skill; its owner is paula."""
    body = {"name": NAME, "title": "Pausing Ltd", "owner": {"username": "paula",
            "password": PASSWORD}}  # fmt: skip
    opened = sam.post("/api/v1/tenants", json=body)
    assert opened.status_code in {201, 409}, opened.text
    done = live.manage("onboard_script", NAME, str(ROOT / "examples" / "slow-progress"))
    assert done.returncode == 0, done.stderr
    sam.post(f"/api/v1/tenants/{NAME}/resume")
    yield f"http://{NAME}.localhost:{live.port}"
    sam.post(f"/api/v1/tenants/{NAME}/suspend", json={"reason": "The test is over."})


@pytest.fixture
def paula(host):
    client = open_http(host)
    body = {"username": "paula", "password": PASSWORD}
    token = client.post("/api/v1/auth/login", json=body).raise_for_status().json()["token"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def asked(client, seconds: float) -> str:
    body = {"skill": "slow-progress", "inputs": {"seconds": seconds, "steps": 10}}
    made = client.post("/api/v1/executions", json=body)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def await_status(client, execution: str, *wanted: str, wait_s: float = 60) -> dict:
    deadline = time.monotonic() + wait_s
    while True:
        seen = client.get(f"/api/v1/executions/{execution}").json()
        if seen["status"] in wanted:
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)


def seconds_until(refused) -> float:
    """Return how long it took until refused() held, and that it stays so."""
    begun = time.monotonic()
    while not refused():
        assert time.monotonic() - begun < 10
        time.sleep(0.02)
    took = time.monotonic() - begun
    assert all(refused() for _ in range(20))  # By each of the web processes.
    return took


@pytest.mark.parametrize("act", ["suspend", "close"])
def test_a_tenant_is_refused_within_a_second_and_let_in_again(
    live, sam, host, paula, tmp_path, act
):
    config = tmp_path / "cli.json"
    words = ("login", host, "--username", "paula", "--password-stdin")
    login = live.cli(*words, given=f"{PASSWORD}\n", config=config)
    assert login.returncode == 0, login.stderr
    running = asked(paula, 50)
    await_status(paula, running, "running")
    web = open_http(host)
    assert web.get("/login/").status_code == 200
    reason = {"reason": "They did not pay."}

    sam.post(f"/api/v1/tenants/{NAME}/{act}", json=reason).raise_for_status()
    suspended_at = datetime.now(UTC)

    # Pages and tokens, of every web process.
    assert seconds_until(lambda: paula.get("/api/v1/me").status_code == 403) < WITHIN_S
    assert paula.get("/api/v1/me").json()["code"] == "tenant_not_open"
    page = web.get("/login/")
    assert page.status_code == 403
    assert "Pausing" not in page.text
    # The command line program.
    listed = live.cli("list", config=config)
    assert listed.returncode != 0
    assert "not open" in listed.stderr
    time.sleep(1)

    # What ran is over; what is asked for later runs.
    sam.post(f"/api/v1/tenants/{NAME}/resume", json=reason).raise_for_status()
    assert seconds_until(lambda: paula.get("/api/v1/me").status_code == 200) < WITHIN_S
    ended = await_status(paula, running, "cancelled")
    took = datetime.fromisoformat(ended["finished_at"]) - suspended_at
    assert took.total_seconds() < RECORDED_WITHIN_S
    assert "suspended or closed" in ended["error"]
    again = asked(paula, 0.1)
    await_status(paula, again, "succeeded")


def test_what_is_queued_waits_until_the_tenant_is_let_in_again(sam, host, paula):
    # One at a time, so that the second waits when the tenant is suspended.
    sam.post(f"/api/v1/tenants/{NAME}/limits", json={"concurrency": 1}).raise_for_status()
    running, waiting = asked(paula, 40), asked(paula, 0.1)
    await_status(paula, running, "running")

    with ThreadPoolExecutor() as pool:
        answer = pool.submit(paula.get, f"/api/v1/executions/{waiting}?wait=30")
        time.sleep(1)  # By now it is held open.
        assert not answer.done()
        sam.post(f"/api/v1/tenants/{NAME}/suspend", json={"reason": "x"}).raise_for_status()
        answer.result(timeout=WITHIN_S)
    time.sleep(2)  # The first has ended; a worker may look at the second.
    resumed_at = datetime.now(UTC)
    sam.post(f"/api/v1/tenants/{NAME}/resume").raise_for_status()
    assert seconds_until(lambda: paula.get("/api/v1/me").status_code == 200) < WITHIN_S

    done = await_status(paula, waiting, "succeeded")
    assert datetime.fromisoformat(done["started_at"]) > resumed_at
    sam.post(f"/api/v1/tenants/{NAME}/limits", json={"concurrency": None})
