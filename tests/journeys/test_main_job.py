"""The main job through the API and the CLI, against the whole running platform."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.live import LEASE_S, ROOT, Live

EXAMPLES = ROOT / "examples"


def run_skill(api, skill, inputs, *, wait_s=60):
    created = api.post("/api/v1/executions", json={"skill": skill, "inputs": inputs})
    assert created.status_code == 201, created.text
    return settled(api, created.json()["id"], wait_s=wait_s)


def settled(api, execution_id, *, wait_s=60):
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        seen = api.get(f"/api/v1/executions/{execution_id}", params={"wait": 20}).json()
        if seen["is_final"]:
            return seen
    pytest.fail(f"not over after {wait_s} s: {seen}")


def test_a_skill_runs_and_both_the_result_and_the_trail_are_there(live: Live):
    api = live.api("acme", "oscar")

    done = run_skill(api, "text-statistics", {"text": "To be, or not to be. That is it."})

    assert done["status"] == "succeeded", done
    assert done["output"]["words"] == 9
    assert api.get(f"/api/v1/executions/{done['id']}/log").json()["final"] is True


def test_a_file_goes_in_and_a_chart_comes_out(live: Live):
    api = live.api("acme", "dana")
    sample = next((EXAMPLES / "sales-report" / "samples").glob("*.csv"))
    file = api.post("/api/v1/files", files={"file": (sample.name, sample.read_bytes())}).json()

    done = run_skill(api, "sales-report", {"sales": file["id"]})

    assert done["status"] == "succeeded", done
    artifacts = api.get(f"/api/v1/executions/{done['id']}/artifacts").json()["results"]
    chart = next(each for each in artifacts if each["name"].endswith(".png"))
    content = api.get(f"/api/v1/artifacts/{chart['id']}/content").content
    assert content.startswith(b"\x89PNG")
    assert len(content) == chart["size_bytes"]


def test_a_shell_skill_runs(live: Live):
    api = live.api("acme", "oscar")
    file = api.post("/api/v1/files", files={"file": ("a.txt", b"hello")}).json()

    done = run_skill(api, "folder-checksum", {"file": file["id"]})

    assert done["status"] == "succeeded", done
    (artifact,) = api.get(f"/api/v1/executions/{done['id']}/artifacts").json()["results"]
    listed = api.get(f"/api/v1/artifacts/{artifact['id']}/content").text
    assert hashlib.sha256(b"hello").hexdigest() in listed


def test_a_high_risk_skill_waits_for_its_confirmation(live: Live):
    api = live.api("acme", "oscar")
    body = {"skill": "invoice-reminder-drafts", "inputs": reminder_inputs(api)}

    created = api.post("/api/v1/executions", json=body).json()
    assert created["status"] == "awaiting_confirmation"

    api.post(f"/api/v1/executions/{created['id']}/confirm").raise_for_status()
    assert settled(api, created["id"])["status"] == "succeeded"


def reminder_inputs(api):
    folder = EXAMPLES / "invoice-reminder-drafts" / "samples"
    inputs = json.loads((folder / "inputs.json").read_text())
    sample = folder / inputs["invoices"]
    file = api.post("/api/v1/files", files={"file": (sample.name, sample.read_bytes())}).json()
    return {**inputs, "invoices": file["id"]}


def test_a_running_one_is_cancelled_while_its_log_is_read(live: Live):
    api = live.api("acme", "oscar")
    body = {"skill": "slow-progress", "inputs": {"seconds": 60, "steps": 120}}
    created = api.post("/api/v1/executions", json=body).json()
    path = f"/api/v1/executions/{created['id']}"

    first = api.get(f"{path}/log", params={"wait": 20}).json()
    assert first["chunks"]
    assert first["final"] is False
    api.post(f"{path}/cancel").raise_for_status()

    assert settled(api, created["id"], wait_s=20)["status"] == "cancelled"


def test_a_worker_killed_in_the_middle_leaves_a_lost_run_and_a_new_one_works(live: Live):
    api = live.api("acme", "oscar")
    body = {"skill": "slow-progress", "inputs": {"seconds": 50, "steps": 100}}
    created = api.post("/api/v1/executions", json=body).json()
    path = f"/api/v1/executions/{created['id']}"
    assert api.get(f"{path}/log", params={"wait": 20}).json()["chunks"]

    for pid in workers(live):
        os.kill(pid, signal.SIGKILL)

    lost = settled(api, created["id"], wait_s=75)
    assert lost["status"] == "lost"
    assert "worker" in lost["summary"]
    assert run_skill(api, "text-statistics", {"text": "Still here."})["status"] == "succeeded"


def test_runs_outlive_their_database_connections_and_hold_up_no_scan(live: Live):
    api = live.api("acme", "oscar")
    longer_than_a_lease = {"seconds": LEASE_S + 5, "steps": LEASE_S + 5}
    body = {"skill": "slow-progress", "inputs": longer_than_a_lease}
    running = [api.post("/api/v1/executions", json=body).json()["id"] for _ in range(2)]
    for each in running:
        assert api.get(f"/api/v1/executions/{each}/log", params={"wait": 20}).json()["chunks"]
    body = {"skill": "invoice-reminder-drafts", "inputs": reminder_inputs(api)}
    forgotten = api.post("/api/v1/executions", json=body).json()["id"]

    with psycopg.connect(database_url(live), autocommit=True) as database:
        database.execute(
            "UPDATE tenant_1001.executions_execution"
            " SET created_at = created_at - interval '2 days' WHERE id = %s",
            [forgotten],
        )
        database.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    # Every process for runs is busy now.
    assert settled(api, forgotten, wait_s=25)["status"] == "expired"
    assert {settled(api, each)["status"] for each in running} == {"succeeded"}
    assert run_skill(api, "text-statistics", {"text": "Still here."})["status"] == "succeeded"


def test_one_request_asks_for_a_run_and_brings_its_result(live: Live):
    body = {"skill": "text-statistics", "inputs": {"text": "All in one."}}

    answer = live.api("acme", "oscar").post("/api/v1/executions?wait=30", json=body)

    assert answer.status_code == 201
    assert answer.json()["status"] == "succeeded"
    assert answer.json()["output"]["words"] == 3


def database_url(live: Live) -> str:
    services = json.loads((live.folder / "data" / "run" / "services.json").read_text())
    return services["database_owner_url"]


def workers(live: Live) -> list[int]:
    """Return the processes of this platform's worker."""
    mark = f"EXECFABRIC_DATA_DIR={live.folder / 'data'}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            is_worker = b"run_worker" in words
            is_ours = mark in (folder / "environ").read_bytes().split(b"\0")
            if is_worker and is_ours and b"guard" not in b" ".join(words):
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    assert found
    return found


def test_the_cli_logs_in_runs_with_a_file_and_downloads(live: Live, tmp_path):
    config = tmp_path / "config.json"
    sample = next((EXAMPLES / "clean-orders" / "samples").glob("*.csv"))
    password = live.password("acme", "oscar")

    login = live.cli(
        "login", live.url("acme"), "--username", "oscar", "--password-stdin",
        given=password, config=config,
    )  # fmt: skip
    listed = live.cli("list", "--json", config=config)
    run = live.cli(
        "run", "clean-orders", "--input", f"orders=@{sample}", "--download", str(tmp_path / "got"),
        "--json", config=config,
    )  # fmt: skip

    assert login.returncode == 0, login.stderr
    assert password not in login.stdout + login.stderr
    assert "clean-orders" in listed.stdout
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["status"] == "succeeded"
    assert (tmp_path / "got" / "clean-orders.csv").stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "text-statistics"], 6),
        (["run", "text-statistics", "--input", "text=x", "--input", "nope=1"], 6),
        (["run", "no-such-skill"], 5),
        (["run", "slow-progress", "--input", "seconds=1", "--input", "fail_at_step=1"], 1),
        (["run", "no-such-option", "--nope"], 2),
    ],
)
def test_the_cli_s_exit_codes(live: Live, tmp_path, arguments, code):
    config = tmp_path / "config.json"
    live.cli(
        "login", live.url("acme"), "--username", "dana", "--password-stdin",
        given=live.password("acme", "dana"), config=config,
    )  # fmt: skip

    done = live.cli(*arguments, config=config)

    assert done.returncode == code, done.stderr
    assert "cli/main.py" not in done.stderr, "a traceback of the CLI itself"


def test_a_viewer_is_refused_by_the_cli_too(live: Live, tmp_path):
    config = tmp_path / "config.json"
    live.cli(
        "login", live.url("acme"), "--username", "victor", "--password-stdin",
        given=live.password("acme", "victor"), config=config,
    )  # fmt: skip

    assert live.cli("run", "text-statistics", "--input", "text=x", config=config).returncode == 3


def test_an_operator_s_command_finds_the_running_services(live: Live, tmp_path):
    (tmp_path / "main.py").write_text("def main(n: int = 1) -> int:\n    return n + 1\n")
    (tmp_path / "README.md").write_text("# Add one\n\nAdds one.\n")

    done = live.manage("onboard_script", "globex", str(tmp_path), "--name", "add-one")

    assert done.returncode == 0, done.stderr
    gina = live.api("globex", "gina")
    assert run_skill(gina, "add-one", {"n": 41})["output"] == 42
    assert live.api("acme", "olivia").get("/api/v1/skills/add-one").status_code == 404


def test_a_suspended_tenant_is_refused_within_a_second_on_every_process(live: Live):
    sam = live.api("admin", "sam")
    opened = sam.post(
        "/api/v1/tenants",
        json={
            "name": "initech",
            "title": "Initech",
            "owner": {"username": "peter", "password": "tps reports galore"},
        },
    )
    assert opened.status_code == 201, opened.text
    live.demo["hosts"]["initech"] = f"initech.localhost:{live.port}"
    live.demo["accounts"]["initech"] = [{"username": "peter", "password": "tps reports galore"}]
    peter = live.api("initech", "peter")
    for _ in range(20):
        assert peter.get("/api/v1/me").status_code == 200

    sam.post("/api/v1/tenants/initech/suspend", json={"reason": "unpaid"}).raise_for_status()
    time.sleep(1)

    assert {peter.get("/api/v1/me").status_code for _ in range(30)} == {403}
    sam.post("/api/v1/tenants/initech/resume").raise_for_status()
    time.sleep(1)
    assert {peter.get("/api/v1/me").status_code for _ in range(30)} == {200}


def test_a_second_start_on_the_same_port_names_the_variable_to_change(live: Live):
    second = subprocess.run(
        [sys.executable, "-m", "execfabric.embedded", "demo"],
        cwd=ROOT,
        env={**live.environment, "EXECFABRIC_DATA_DIR": str(live.folder / "second")},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert second.returncode == 1
    assert "EXECFABRIC_PORT" in second.stdout + second.stderr
