"""A platform of the benchmark's own, started as `make demo` starts it, on a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.execution.target import BenchError
from execfabric.embedded import read_running
from execfabric.embedded.ports import free_port
from execfabric.embedded.processes import last_lines

ROOT = Path(__file__).parents[2]
TENANT = "acme"
USERNAME = "oscar"
READY_TEXT = "ExecFabric is ready"
START_TIMEOUT_S = 150.0
STOP_TIMEOUT_S = 40.0
COMMAND_TIMEOUT_S = 120.0
# It must be this platform's own services that are measured.
NOT_INHERITED = (
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "STORAGE_URL",
    "BASE_DOMAIN",
)
ASK_FACTS = """
import json
from django.conf import settings
from tenants.registry.models import Tenant
schema = Tenant.objects.get(name={tenant!r}).schema_name
print(json.dumps({{"schema": schema, "sandbox": settings.SANDBOX}}))
"""


OPEN_TENANTS = """
from execfabric.core.actor import Actor, Door
from tenants.registry.services import OwnerRequest, open_tenant
actor = Actor.system("bench", door=Door.COMMAND)
for number in range({count}):
    open_tenant(actor=actor, name=f"bench-{{number}}", title="Bench", owner=OwnerRequest("owner"))
"""


@dataclass(frozen=True)
class Facts:
    """How to reach the running platform, and how it runs scripts."""

    port: int
    host: str
    username: str
    password: str
    database_url: str
    schema: str
    sandbox: str
    redis_url: str


class Instance:
    """The running platform; a context manager would hide that stopping takes seconds."""

    def __init__(self, **settings: str) -> None:
        """settings: of the platform, without their prefix, for example warm_starts="false"."""
        self._settings = {f"EXECFABRIC_{name.upper()}": text for name, text in settings.items()}
        self.folder: Path | None = None
        self.supervisor: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    def start(self, folders: Iterable[Path]) -> Facts:
        """Start everything, bring in script folders as skills of the tenant. Raises BenchError."""
        self.folder = Path(tempfile.mkdtemp(prefix="execfabric-bench-"))
        self.folder.chmod(0o711)  # servers and scripts run as other users
        port = free_port()
        hidden = {f"EXECFABRIC_{name}{end}" for name in NOT_INHERITED for end in ("", "_FILE")}
        self._environment = {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "EXECFABRIC_DATA_DIR": str(self.folder / "data"),
            "EXECFABRIC_PORT": str(port),
            "EXECFABRIC_DEMO_FILE": str(self.folder / "demo.json"),
            **self._settings,
        }
        self._run_supervisor(self.folder / "start.log")
        for each in folders:
            self._manage("onboard_script", TENANT, str(each))
        return self._facts(port, self.folder)

    def stop(self) -> None:
        """Stop everything and remove its folder."""
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.send_signal(signal.SIGTERM)
            try:
                self.supervisor.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _run_supervisor(self, log: Path) -> None:
        with log.open("wb") as output:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-m", "execfabric.embedded", "demo", "--follow-parent"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while READY_TEXT not in log.read_text(errors="replace"):
            if self.supervisor.poll() is not None or time.monotonic() > give_up_at:
                raise BenchError(f"The platform did not start:\n{last_lines(log)}")
            time.sleep(0.2)

    def open_tenants(self, count: int) -> None:
        """Open so many further tenants."""
        self._manage("shell", "-c", OPEN_TENANTS.format(count=count), timeout_s=30 + count)

    def _manage(self, *arguments: str, timeout_s: float = COMMAND_TIMEOUT_S) -> str:
        """Return what manage.py prints; it finds the running services by the data folder."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if done.returncode != 0:
            raise BenchError(f"manage.py {arguments[0]} failed:\n{done.stderr.strip()[-2000:]}")
        return done.stdout

    def _facts(self, port: int, folder: Path) -> Facts:
        demo = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
        people = {each["username"]: each["password"] for each in demo["accounts"][TENANT]}
        running = read_running(folder / "data")
        if running is None:
            raise BenchError("The platform's services ended soon after its start.")
        told = json.loads(
            self._manage("shell", "-c", ASK_FACTS.format(tenant=TENANT)).strip().splitlines()[-1]
        )
        return Facts(
            port=port,
            host=demo["hosts"][TENANT],
            username=USERNAME,
            password=people[USERNAME],
            database_url=running.database_owner_url,
            schema=told["schema"],
            sandbox=told["sandbox"],
            redis_url=running.redis_url,
        )
