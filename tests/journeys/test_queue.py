"""The run queue of the whole running platform: turns, limits and labels hold under load."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live import ROOT, Live

DRAIN_S = 2.5
NAP = """
import time

def main(seconds: float = 0.3) -> None:
    print("good night", flush=True)
    time.sleep(seconds)
"""


@pytest.fixture
def onboard(live: Live, tmp_path):
    """Bring a napping skill into acme, with further lines of skill.toml."""

    def make(name: str, *lines: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "main.py").write_text(NAP)
        (folder / "README.md").write_text(f"# {name}\n\nSleeps.\n")
        manifest = ["[skill]", f'name = "{name}"', 'runtime = "python"', 'risk = "low"', *lines]
        inputs = ["[inputs.seconds]", 'type = "number"', "default = 0.3"]
        (folder / "skill.toml").write_text("\n".join([*manifest, *inputs, ""]))
        done = live.manage("onboard_script", "acme", str(folder))
        assert done.returncode == 0, done.stderr
        return name

    return make


def ask(api, skill, inputs):
    created = api.post("/api/v1/executions", json={"skill": skill, "inputs": inputs})
    assert created.status_code == 201, created.text
    return created.json()["id"]


def settled(api, execution_id, *, wait_s=60):
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        seen = api.get(f"/api/v1/executions/{execution_id}", params={"wait": 20}).json()
        if seen["is_final"]:
            return seen
    pytest.fail(f"not over after {wait_s} s: {seen}")


def begun(api, execution_id, *, wait_s=60):
    """Wait until its script runs: to get so far may take a busy machine seconds."""
    deadline = time.monotonic() + wait_s
    path = f"/api/v1/executions/{execution_id}/log"
    while not api.get(path, params={"wait": 20}).json()["chunks"]:
        assert time.monotonic() < deadline


def most_at_once(runs):
    """Return how many of runs went on at the same moment, by their stored times."""
    moments = [(run["started_at"], 1) for run in runs] + [(run["finished_at"], -1) for run in runs]
    going, most = 0, 0
    for _, change in sorted(moments):
        going += change
        most = max(most, going)
    return most


def test_a_tenant_with_much_to_do_does_not_hold_up_another(live: Live):
    busy, other = live.api("acme", "oscar"), live.api("globex", "gina")
    nap = {"seconds": 5, "steps": 1}  # Asking for all takes a busy machine seconds, too.
    with ThreadPoolExecutor(4) as clients:
        backlog = list(clients.map(lambda _: ask(busy, "slow-progress", nap), range(16)))

    alone = settled(other, ask(other, "text-statistics", {"text": "Only one."}))

    for each in backlog:
        busy.post(f"/api/v1/executions/{each}/cancel")  # Or it is over.
    runs = [settled(busy, each) for each in backlog]
    later = [
        run for run in runs if not run["started_at"] or run["started_at"] > alone["started_at"]
    ]
    assert len(later) >= 16 - 2 * 4, "all but what ran, and what was next in turn for each slot"


def test_no_more_runs_of_a_skill_go_on_at_once_than_it_allows(live: Live, onboard):
    skill = onboard("naps-two-at-once", "concurrency = 2")
    api = live.api("acme", "oscar")
    with ThreadPoolExecutor(6) as clients:
        asked = list(clients.map(lambda _: ask(api, skill, {"seconds": 0.2}), range(12)))

    runs = [settled(api, each) for each in asked]

    assert {run["status"] for run in runs} == {"succeeded"}
    assert most_at_once(runs) == 2


def test_a_skill_that_names_a_queue_waits_for_a_worker_and_ends_with_it(live: Live, onboard):
    """A worker that is stopped lets runs end for a while, ends the others, and says why."""
    skill = onboard("naps-elsewhere", 'queue = "elsewhere"')
    api = live.api("acme", "oscar")
    asked = ask(api, skill, {"seconds": 0})
    time.sleep(1)
    assert api.get(f"/api/v1/executions/{asked}").json()["status"] == "queued"

    worker = subprocess.Popen(
        [sys.executable, "manage.py", "run_worker", "--queues", "elsewhere", "--slots", "2"],
        cwd=ROOT,
        env={**live.environment, "EXECFABRIC_DRAIN_S": str(DRAIN_S)},
    )
    try:
        assert settled(api, asked)["status"] == "succeeded"
        endless, short = ask(api, skill, {"seconds": 120}), ask(api, skill, {"seconds": 1})
        for run in (endless, short):
            begun(api, run)
    finally:
        worker.terminate()
        stopped_at = time.monotonic()
        assert worker.wait(60) == 0

    assert time.monotonic() - stopped_at < DRAIN_S + 10
    assert settled(api, short, wait_s=1)["status"] == "succeeded"
    ended = settled(api, endless, wait_s=1)
    assert (ended["status"], ended["stop_reason"]) == ("failed", "platform_failed")
    assert "worker was stopped" in ended["error"]
