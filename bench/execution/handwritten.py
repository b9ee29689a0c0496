"""The hand-written baseline: Celery, a prefork worker, and a Valkey of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from bench.execution import celery_app
from bench.execution.target import BenchError, Job, Target
from execfabric.embedded import Services
from execfabric.embedded.processes import die_with_parent, last_lines

ROOT = Path(__file__).parents[2]
RESULT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class CeleryTarget(Target):
    """A Celery task that starts ``python main.py``. Everything it needs ends with stop()."""

    def __init__(self, python: str, workers: int, warm_up: Job) -> None:
        self.name = f"hand-written Celery + subprocess ({workers} processes)"
        self.python = python
        self.workers = workers
        self.warm_up = warm_up
        self.folder: Path | None = None
        self.services: Services | None = None
        self.worker: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="execfabric-bench-celery-"))
        self.folder.chmod(0o711)  # the server may run as another user
        # It writes no log of changes to disk, as by default; and it needs no database.
        self.services = Services(self.folder / "valkey", fast=True, tcp=True, database_url="none")
        self.services.start()
        celery_app.use_redis(self.services.redis_url)
        log = self.folder / "worker.log"
        self.worker = self._start_worker(log, self.services.redis_url)
        try:
            for n in range(2 * self.workers):  # the first waits for the worker to come up
                self.run_one(self.warm_up, n)
        except Exception as error:
            raise BenchError(f"{self.name}: {error}\n{last_lines(log)}") from error

    def stop(self) -> None:
        if self.worker is not None:
            self.worker.terminate()
            try:
                self.worker.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.worker.kill()
                self.worker.wait()
        celery_app.app.close()
        if self.services is not None:
            self.services.stop()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def roots(self) -> Collection[int]:
        servers = self.services.servers if self.services else []
        processes = [self.worker, *(server.process for server in servers)]
        return [process.pid for process in processes if process is not None]

    def run_one(self, job: Job, n: int) -> float:
        began_at = time.perf_counter()
        waiting = celery_app.run_script.delay(self.python, str(job.script), {"n": n})
        result = waiting.get(timeout=RESULT_TIMEOUT_S)
        elapsed_s = time.perf_counter() - began_at
        self.check(result, n)
        return elapsed_s

    def _start_worker(self, log: Path, redis_url: str) -> subprocess.Popen[bytes]:
        # With Django's settings in the environment, Celery would load all of Django.
        kept = {key: value for key, value in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
        options = ("--concurrency", str(self.workers), "--loglevel", "WARNING")
        with log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", celery_app.__name__, "worker", *options],
                cwd=ROOT,
                env={**kept, celery_app.URL_VARIABLE: redis_url},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
