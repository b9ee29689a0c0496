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
from tests.journeys.test_main_job import run_skill
from tests.live import ROOT, Live

LABEL = "far-away"
START_S = 300
NOWHERE = "http://127.0.0.1:9/simple"
SCRIPT = """
import et_xmlfile

def main() -> str:
    return et_xmlfile.__version__
"""


@pytest.fixture
def far_skill(live: Live, tmp_path: Path) -> str:
    """A skill with a package, which only workers of a label may run."""
    (tmp_path / "README.md").write_text("# Far\n\nRuns far away.\n")
    (tmp_path / "main.py").write_text(SCRIPT)
    (tmp_path / "requirements.txt").write_text("et-xmlfile==2.0.0\n")
    (tmp_path / "skill.toml").write_text(
        f'[skill]\nname = "far"\nruntime = "python"\nqueue = "{LABEL}"\n'
    )
    done = live.manage("onboard_script", "acme", str(tmp_path))
    assert done.returncode == 0, done.stderr
    return "far"


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
    ready = folder / "ready"
    options = ["--queues", LABEL, "--slots", "2", "--sign-of-life", str(ready)]
    log = folder / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "run_worker", *options],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_S
        while not ready.exists():
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


def test_it_runs_scripts_with_packages_it_never_installed(
    live: Live, far_skill: str, second_worker: Path
) -> None:
    api = live.api("acme", "dana")

    for _ in range(2):
        done = run_skill(api, far_skill, {})
        assert (done["status"], done["output"]) == ("succeeded", "2.0.0"), done["error"]

    log = (second_worker / "worker.log").read_text(errors="replace")
    assert log.count("environment.fetched") == 1
    assert list((second_worker / "environments").glob("*/lib/python3*/site-packages/et_xmlfile"))
    assert list((second_worker / "workspace").glob("*/*/main.py"))
    assert not (second_worker / "storage").exists()
