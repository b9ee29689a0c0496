"""A worker is stopped while a run goes on: in bounded time, and with a true record."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.journeys.test_queue import ask, settled
from tests.live import ROOT, Live

LABEL = "stops-soon"
DRAIN_S = 2.5
STUBBORN = """
import signal
import time

def main(seconds: float) -> str:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    print("at it", flush=True)
    time.sleep(seconds)
    return "done"
"""


@pytest.fixture
def skill(live: Live, tmp_path: Path) -> str:
    """A skill that only workers of this file's label run, and that heeds no signal."""
    (tmp_path / "README.md").write_text("# Stubborn\n\nSleeps.\n")
    (tmp_path / "main.py").write_text(STUBBORN)
    (tmp_path / "skill.toml").write_text(
        f'[skill]\nname = "stubborn"\nruntime = "python"\nrisk = "low"\nqueue = "{LABEL}"\n'
        '[inputs.seconds]\ntype = "number"\n'
    )
    done = live.manage("onboard_script", "acme", str(tmp_path))
    assert done.returncode == 0, done.stderr
    return "stubborn"


@pytest.fixture
def worker(live: Live, skill: str) -> Iterator[subprocess.Popen[bytes]]:
    """The only worker that serves the label; its runs have DRAIN_S once it is to stop."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "run_worker", "--queues", LABEL, "--slots", "2"],
        cwd=ROOT,
        env={**live.environment, "EXECFABRIC_DRAIN_S": str(DRAIN_S)},
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def wait_for_log(api: httpx.Client, run: str, text: str) -> None:
    until = time.monotonic() + 60
    while text not in str(log := api.get(f"/api/v1/executions/{run}/log").json()["chunks"]):
        assert time.monotonic() < until, log
        time.sleep(0.1)


def test_runs_have_time_to_end_and_those_that_take_too_long_say_why(
    live: Live, skill: str, worker: subprocess.Popen[bytes]
) -> None:
    api = live.api("acme", "oscar")
    endless = ask(api, skill, {"seconds": 120})
    wait_for_log(api, endless, "at it")
    short = ask(api, skill, {"seconds": 1})
    wait_for_log(api, short, "at it")

    began_at = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    code = worker.wait(60)
    took_s = time.monotonic() - began_at

    assert code == os.EX_OK
    assert took_s < DRAIN_S + 10
    done, ended = settled(api, short, wait_s=1), settled(api, endless, wait_s=1)
    assert (done["status"], done["output"]) == ("succeeded", "done")
    assert (ended["status"], ended["stop_reason"]) == ("failed", "platform_failed")
    assert "worker was stopped" in ended["error"]
