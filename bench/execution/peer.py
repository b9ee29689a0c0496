"""A peer from the package index: Prefect, with a server, a worker and an environment of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from bench.execution.target import BenchError, Job, Target
from execfabric.embedded.ports import free_port
from execfabric.embedded.processes import die_with_parent, last_lines

VERSION = "3.9.1"
LIMIT = 8
"""Runs at a time, each a process of its own."""
LOOKS_EVERY_S = 0.2
"""Of its worker; its default of 10 s would measure nothing but that."""
POLL_S = 0.02
BUSY_S = 0.1
"""Before asking again where its database is busy (503), as its own client does."""
START_TIMEOUT_S = 120.0
RESULT_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
FLOW = """
import importlib.util
import json

from prefect import flow
from prefect.states import Completed


@flow
def run(script: str, n: int):
    spec = importlib.util.spec_from_file_location("job", script)
    job = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(job)
    return Completed(message=json.dumps(job.main(n=n)))
"""
DEPLOY = """
import sys
from prefect import flow

print(flow.from_source(source=sys.argv[1], entrypoint="flow.py:run").deploy(
    name="bench", work_pool_name="bench", print_next_steps=False, ignore_warnings=True
))
"""


class PrefectTarget(Target):
    """A flow that calls the job's main(): one process each, no sandbox, no login, no audit."""

    name = f"Prefect {VERSION}, process worker, over HTTP"

    def __init__(self, warm_up: Job) -> None:
        self.warm_up = warm_up
        self.folder: Path | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = 0
        self._deployment = ""

    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="execfabric-bench-prefect-"))
        self._install(self.folder)
        (self.folder / "flow.py").write_text(FLOW, encoding="utf-8")
        (self.folder / "deploy.py").write_text(DEPLOY, encoding="utf-8")
        self._port = free_port()
        self._serve("server", "server", "start", "--host", "127.0.0.1", "--port", str(self._port))
        self._await_server()
        self._run("-m", "prefect", "work-pool", "create", "bench", "--type", "process")
        said = self._run(str(self.folder / "deploy.py"), str(self.folder))
        self._deployment = said.strip().splitlines()[-1]
        self._serve("worker", "worker", "start", "--pool", "bench", "--limit", str(LIMIT))
        for n in range(2):
            self.run_one(self.warm_up, n)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def roots(self) -> Collection[int]:
        return [process.pid for process in self._processes]

    def run_one(self, job: Job, n: int) -> float:
        began_at = time.perf_counter()
        asked = {"parameters": {"script": str(job.script), "n": n}}
        path = f"/api/deployments/{self._deployment}/create_flow_run"
        run = self._json("POST", path, asked)
        while run["state"]["type"] not in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            if time.perf_counter() - began_at > RESULT_TIMEOUT_S:
                raise BenchError(f"{self.name}: not done after {RESULT_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)
            run = self._json("GET", f"/api/flow_runs/{run['id']}")
        elapsed_s = time.perf_counter() - began_at
        if run["state"]["type"] != "COMPLETED":
            raise BenchError(f"{self.name}: {run['state']}")
        self.check(json.loads(run["state"]["message"]), n)
        return elapsed_s

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_URL": f"http://127.0.0.1:{self._port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_WORKER_QUERY_SECONDS": str(LOOKS_EVERY_S),
        }

    @property
    def _python(self) -> str:
        return f"{self.folder}/venv/bin/python"

    def _install(self, folder: Path) -> None:
        uv = Path(sys.executable).with_name("uv")
        for arguments in (
            ["venv", "--python", sys.executable, str(folder / "venv")],
            ["pip", "install", "--python", self._python, f"prefect=={VERSION}"],
        ):
            environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}
            done = subprocess.run(
                [uv, *arguments], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise BenchError(f"{self.name} cannot be installed:\n{done.stderr[-2000:]}")

    def _serve(self, name: str, *command: str) -> None:
        assert self.folder is not None
        with (self.folder / f"{name}.log").open("wb") as output:
            self._processes.append(
                subprocess.Popen(
                    [self._python, "-m", "prefect", *command],
                    cwd=self.folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=die_with_parent(signal.SIGTERM),
                )
            )

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            [self._python, *command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BenchError(f"{self.name}: {command[-1]}:\n{(done.stdout + done.stderr)[-2000:]}")
        return done.stdout

    def _await_server(self) -> None:
        assert self.folder is not None
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self._json("GET", "/api/health")
                return
            except (OSError, http.client.HTTPException, BenchError):
                pass  # Not yet.
            if self._processes[0].poll() is not None or time.monotonic() > give_up_at:
                log = last_lines(self.folder / "server.log")
                raise BenchError(f"{self.name} did not start:\n{log}")
            time.sleep(0.3)

    def _json(self, method: str, path: str, body: object = None) -> Any:
        payload = None if body is None else json.dumps(body)
        while True:
            # A connection each: its server closes one that is idle, and its runs take seconds.
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.request(method, path, payload, {"Content-Type": "application/json"})
                response = connection.getresponse()
                raw = response.read()
            finally:
                connection.close()
            if response.status != http.HTTPStatus.SERVICE_UNAVAILABLE:
                break
            time.sleep(BUSY_S)
        if not 200 <= response.status < 300:
            raise BenchError(f"{self.name}: {method} {path}: {response.status} {raw[:300]!r}")
        return json.loads(raw)
