"""A second worker beside the platform's own: same database, broker and storage, no disk shared."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.script.removal import remove_tree
from tests.journeys.test_main_job import settled
from tests.live import ROOT, Live

SALES = ROOT / "examples" / "sales-report"
START_S = 60
TOGETHER = 8
ROUNDS = 10
NOWHERE = "http://127.0.0.1:9/simple"


@pytest.fixture
def second_worker(live: Live) -> Iterator[Path]:
    """Yield the data folder of a worker that can reach no package index."""
    folder = Path(tempfile.mkdtemp(prefix="execfabric-second-"))
    folder.chmod(0o711)
    data = live.folder / "data"
    running = json.loads((data / "run" / "services.json").read_text())
    environment = {
        **{name: value for name, value in live.environment.items() if not name.startswith("UV_")},
        "EXECFABRIC_DATA_DIR": str(folder),
        "EXECFABRIC_DATABASE_URL": running["database_url"],
        "EXECFABRIC_REDIS_URL": running["redis_url"],
        "EXECFABRIC_SECRET_KEY_FILE": str(data / "secret_key"),
        "EXECFABRIC_STORAGE_URL": f"file://{data / 'storage'}",
        "EXECFABRIC_PACKAGE_INDEX_URL": NOWHERE,
    }
    command = [sys.executable, "-m", "celery", "-A", "execfabric.celery", "worker"]
    options = ["--hostname=second@%h", "--queues=executions", "--concurrency=2", "--loglevel=info"]
    log = folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [*command, *options], cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + START_S
        while "ready" not in log.read_text(errors="replace"):
            if worker.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"The worker did not start:\n{log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.1)
        yield folder
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        remove_tree(folder)


def test_it_runs_scripts_with_packages_it_never_installed(live: Live, second_worker: Path) -> None:
    api = live.api("acme", "dana")
    sample = next((SALES / "samples").glob("*.csv"))
    file = api.post("/api/v1/files", files={"file": (sample.name, sample.read_bytes())}).json()
    body = {"skill": "sales-report", "inputs": {"sales": file["id"]}}

    def run_some() -> list[str]:
        asked = [api.post("/api/v1/executions", json=body).json()["id"] for _ in range(TOGETHER)]
        return [settled(api, each, wait_s=150)["status"] for each in asked]

    for _ in range(ROUNDS):
        assert set(run_some()) == {"succeeded"}
        log = (second_worker / "worker.log").read_text(errors="replace")
        if "environment.fetched" in log:
            break

    assert log.count("environment.fetched") == 1
    assert list((second_worker / "environments").glob("*/lib/python3*/site-packages/*.dist-info"))
    assert list((second_worker / "workspace").glob("*/*/main.py"))
    assert not (second_worker / "storage").exists()
