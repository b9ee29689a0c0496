"""The platform itself: a run submitted over HTTP, its result waited for over HTTP."""

from __future__ import annotations

import http.client
import json
import random
import select
import socket
import threading
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, ClassVar

import httpx
import psycopg
from psycopg import sql

from bench.execution import footprint
from bench.execution.instance import Facts, Instance
from bench.execution.target import BenchError, Job, Target

WAIT_S = 20
SHORT_WAIT_S = 0.05
TIMEOUT_S = 60.0
BATCH_TIMEOUT_S = 300.0
WARM_UP_RUNS = 6
EVIDENCE_SAMPLE = 20
# What the trail must hold about each run.
AUDIT_CODES = {
    "executions.execution.request",
    "executions.execution.claim",
    "executions.execution.finish",
}
STEPS = (
    "submit, until stored",
    "queued, until claimed by a worker",
    "run, as the worker sees it",
    "of it the script's process",
    "result, until at the client",
)


SANDBOX = "sandbox, with the script"
PARTS = {
    "warm.zygote": SANDBOX,
    "granian": "web: login, rights, inputs, answer",
    "run_worker": "worker: claim, log, result",
    "postgres": "database: record and audit",
    "valkey": "broker: queue and wake-up",
}
"""What their command lines hold -> the parts of a platform that work for a run. A zygote is started
by a worker and is not counted with it."""


class GovernedTarget(Target):
    """Submit and wait, check. It starts its own platform with the jobs as skills."""

    name = "ExecFabric, governed, over HTTP"

    settings: ClassVar[dict[str, str]] = {}
    """Of its platform, where they are not the default ones."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.instance = Instance(**self.settings)
        self.facts: Facts | None = None
        self.interpreter = ""
        """The one that runs the scripts, known after start()."""
        self._token = ""
        self._local = threading.local()
        self._runs: dict[str, dict[str, tuple[float, list[float]]]] = {job.name: {} for job in jobs}
        """By job and execution id: the seconds it took, and those of each of STEPS."""

    def start(self) -> None:
        self.facts = self.instance.start(job.folder for job in self.jobs)
        login = {"username": self.facts.username, "password": self.facts.password}
        self._token = self._json("POST", "/api/v1/auth/login", login)["token"]
        for job in self.jobs:
            for n in range(WARM_UP_RUNS):
                self.run_one(job, n)
            self.forget_runs(job)

    def stop(self) -> None:
        self.instance.stop()

    def memory(self) -> footprint.Memory | None:
        """Return what the platform holds without its database, which the baseline has none of."""
        return footprint.memory(self.roots(), without="postgres")

    def roots(self) -> Collection[int]:
        supervisor = self.instance.supervisor
        return [supervisor.pid] if supervisor is not None else []

    def cpu_s_by_part(self) -> dict[str, float]:
        return footprint.cpu_s_by_part(self.roots(), PARTS)

    def run_one(self, job: Job, n: int) -> float:
        asked_at, began_at = time.time(), time.perf_counter()
        body = {"skill": job.skill, "inputs": {"n": n}}
        run = self._json("POST", f"/api/v1/executions?wait={WAIT_S}", body)
        while not run["is_final"]:
            if time.perf_counter() - began_at > TIMEOUT_S:
                raise BenchError(f"{self.name}: not done after {TIMEOUT_S:.0f} s: {run}")
            before = time.perf_counter()
            run = self._json("GET", f"/api/v1/executions/{run['id']}?wait={WAIT_S}")
            if time.perf_counter() - before < SHORT_WAIT_S and not run["is_final"]:
                time.sleep(SHORT_WAIT_S)  # Too many wait already; the server answered at once.
        elapsed_s = time.perf_counter() - began_at
        if run["status"] != "succeeded":
            raise BenchError(f"{self.name}: {run['status']}: {run['error']}")
        self.check(run["output"], n)
        self.interpreter = run["output"]["python"]
        steps = _steps(run, asked_at, asked_at + elapsed_s)
        self._runs[job.name][run["id"]] = (elapsed_s, steps)
        return elapsed_s

    def run_batch(self, job: Job, rows: int) -> float:
        """Return the seconds from sending a table of so many rows to the checked end of all."""
        table = "n\n" + "".join(f"{n}\n" for n in range(rows))
        began_at = time.perf_counter()
        file = self._upload("rows.csv", table.encode())
        batch = self._json("POST", "/api/v1/batches", {"skill": job.skill, "file": file})
        path = f"/api/v1/batches/{batch['id']}"
        batch = self._json("POST", f"{path}/start", {})
        if batch["requires_confirmation"]:
            batch = self._json("POST", f"{path}/confirm")
        while not batch["is_final"]:
            if time.perf_counter() - began_at > BATCH_TIMEOUT_S:
                raise BenchError(f"{self.name}: not done after {BATCH_TIMEOUT_S:.0f} s: {batch}")
            batch = self._json("GET", f"{path}?wait={WAIT_S}")
        elapsed_s = time.perf_counter() - began_at
        if batch["counts"]["succeeded"] != rows:
            raise BenchError(f"{self.name}: a batch ended with {batch['counts']}")
        for row in self._json("GET", f"{path}/rows")["results"]:
            self.check(row["output"], row["inputs"]["n"])
        return elapsed_s

    def missing_evidence(self) -> list[str] | None:
        """Look in the database for the audit trail and the owner of some runs."""
        facts = self._known
        schema = sql.Identifier(facts.schema)
        acts = sql.SQL(
            "SELECT code FROM {}.core_auditevent WHERE target_id = %s AND outcome = 'done'"
        ).format(schema)
        owner = sql.SQL(
            "SELECT username FROM {0}.executions_execution run "
            "JOIN {0}.accounts_account account ON account.id = run.requested_by_id "
            "WHERE run.id = %s"
        ).format(schema)
        missing = []
        everything = [run for runs in self._runs.values() for run in runs]
        with psycopg.connect(facts.database_url) as connection:
            for run in random.sample(everything, min(EVIDENCE_SAMPLE, len(everything))):
                known = {code for (code,) in connection.execute(acts, [run])}
                missing += [f"{code} of run {run}" for code in sorted(AUDIT_CODES - known)]
                if connection.execute(owner, [run]).fetchall() != [(facts.username,)]:
                    missing.append(f"the actor of run {run}")
        return missing

    def forget_runs(self, job: Job) -> None:
        """Drop what is known about the runs of job so far."""
        self._runs[job.name] = {}

    def steps(self, job: Job, kept: Collection[float]) -> dict[str, list[float]]:
        """Return the seconds of each step, by name; of the runs whose time is among kept."""
        chosen = [steps for elapsed_s, steps in self._runs[job.name].values() if elapsed_s in kept]
        return {name: [steps[place] for steps in chosen] for place, name in enumerate(STEPS)}

    def _json(self, method: str, path: str, body: object = None) -> Any:
        connection = self._connection()
        headers = {"Accept": "application/json", "Host": self._known.host}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        raw = response.read()
        if not 200 <= response.status < 300:
            raise BenchError(f"{self.name}: {method} {path}: {response.status} {raw[:300]!r}")
        return json.loads(raw)

    def _upload(self, name: str, content: bytes) -> str:
        """Return the id of an uploaded file."""
        answer = httpx.post(
            f"http://127.0.0.1:{self._known.port}/api/v1/files",
            files={"file": (name, content)},
            headers={"Host": self._known.host, "Authorization": f"Bearer {self._token}"},
            timeout=TIMEOUT_S,
            trust_env=False,
        )
        if not answer.is_success:
            raise BenchError(f"{self.name}: upload: {answer.status_code} {answer.text[:300]}")
        return str(answer.json()["id"])

    def _connection(self) -> http.client.HTTPConnection:
        """Return this thread's connection, kept open between requests."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None and not select.select([connection.sock], [], [], 0)[0]:
            return connection
        # None yet, or readable while idle: the server closed it.
        if connection is not None:
            connection.close()
        connection = http.client.HTTPConnection("127.0.0.1", self._known.port, timeout=TIMEOUT_S)
        connection.connect()
        # Headers and body leave as two packets, and the second must not wait.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._local.connection = connection
        return connection

    @property
    def _known(self) -> Facts:
        if self.facts is None:
            raise BenchError(f"{self.name} was not started.")
        return self.facts


class ColdTarget(GovernedTarget):
    """The same, but no run forks from an interpreter that is kept ready."""

    name = "ExecFabric, a fresh interpreter for each run"
    settings: ClassVar[dict[str, str]] = {"warm_starts": "false"}


class OwnTarget(GovernedTarget):
    """The same, but each run has a sandbox of its own."""

    name = "ExecFabric, a sandbox for each run"
    settings: ClassVar[dict[str, str]] = {"shared_sandboxes": "false"}


def _steps(run: dict[str, Any], asked_at: float, answered_at: float) -> list[float]:
    """Return the seconds of STEPS; client and server share this machine's clock."""
    created, started, finished = (
        datetime.fromisoformat(run[name]).timestamp()
        for name in ("created_at", "started_at", "finished_at")
    )
    return [
        created - asked_at,
        started - created,
        finished - started,
        run["wall_s"],
        answered_at - finished,
    ]
