"""The floor: start the interpreter on the script, read its output, reap it. Nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import time

from bench.execution.target import Job, Target


class BareTarget(Target):
    """``python main.py`` as a child process of ours. python is the interpreter's path."""

    name = "bare python main.py"

    def __init__(self, python: str) -> None:
        self.python = python

    def run_one(self, job: Job, n: int) -> float:
        began_at = time.perf_counter()
        done = subprocess.run(
            [self.python, str(job.script), json.dumps({"n": n})], capture_output=True, check=True
        )
        result = json.loads(done.stdout)
        elapsed_s = time.perf_counter() - began_at
        self.check(result, n)
        return elapsed_s

    def cpu_s(self) -> float:
        usage = os.times()  # the scripts are children of this process
        return usage.children_user + usage.children_system
