"""Pytest plugin: the whole platform as `make demo` starts it, for journeys through real doors.

One instance serves all tests that use ``live``; they run on one worker.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.transport import open_http
from execfabric.embedded.ports import free_port

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 600
LEASE_S = 12
"""Shorter than an operator would have it, and still longer than a busy machine stands still."""


def pytest_xdist_auto_num_workers() -> int | None:
    """Return one more than processors: the worker that has the live tests mostly waits."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # It is xdist's own way to say another number.
    return len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(tryfirst=True)  # Before xdist looks for groups.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "live" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)
            item.add_marker(pytest.mark.xdist_group("live"))
    # Usage is counted every two minutes: who waits for it comes when the others have run something.
    items.sort(key=lambda item: "counted" in getattr(item, "fixturenames", ()))


@dataclass
class Live:
    """A running platform."""

    folder: Path
    port: int
    demo: dict[str, Any]
    environment: dict[str, str]
    _clients: dict[tuple[str, str], httpx.Client] = field(default_factory=dict)

    def url(self, host: str) -> str:
        return f"http://{self.demo['hosts'][host]}"

    def password(self, host: str, username: str) -> str:
        people = self.demo["accounts"][host]
        return next(each["password"] for each in people if each["username"] == username)

    def api(self, host: str, username: str) -> httpx.Client:
        """Return a client of the host's API, logged in."""
        key = (host, username)
        if key not in self._clients:
            client = open_http(self.url(host))
            body = {"username": username, "password": self.password(host, username)}
            token = client.post("/api/v1/auth/login", json=body).raise_for_status().json()["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            self._clients[key] = client
        return self._clients[key]

    def cli(
        self, *arguments: str, given: str = "", config: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run execfabric-cli as a user would, with a configuration file of the test's own."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "EXECFABRIC_CONFIG": str(config), "NO_COLOR": "1"},
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def manage(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run manage.py as an operator would in another terminal: it finds the running services."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture(scope="session")
def live() -> Iterator[Live]:
    folder = Path(tempfile.mkdtemp(prefix="execfabric-live-"))
    folder.chmod(0o711)
    port = free_port()
    hidden = {
        "EXECFABRIC_DATABASE_URL",
        "EXECFABRIC_DATABASE_OWNER_URL",
        "EXECFABRIC_REDIS_URL",
        "EXECFABRIC_SECRET_KEY",
        "EXECFABRIC_CREDENTIAL_KEYS",
    }
    environment = {
        **{name: value for name, value in os.environ.items() if name not in hidden},
        "EXECFABRIC_DATA_DIR": str(folder / "data"),
        "EXECFABRIC_PORT": str(port),
        "EXECFABRIC_LEASE_S": str(LEASE_S),
        "EXECFABRIC_PROOF_S": "3600",  # The clients here log in once, for all tests.
        "EXECFABRIC_DEMO_FILE": str(folder / "demo.json"),
    }
    log = folder / "start.log"
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "execfabric.embedded", "demo"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _await_ready(supervisor, log)
        demo = json.loads((folder / "demo.json").read_text())
        yield Live(folder, port, demo, environment)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(30)
        except subprocess.TimeoutExpired:
            supervisor.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _await_ready(supervisor: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while "ExecFabric is ready" not in log.read_text(errors="replace"):
        if supervisor.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"The platform did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.2)
