"""Measure the run step alone: a bare interpreter, a cold and a warm start in a sandbox, and one
sandbox for all runs.

No platform, no database: ``ScriptExecutor.execute`` in this process. Usage:
``python -m bench.execution.run_step``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.execution.figures import median, number, percentile, table
from bench.execution.machine import facts
from bench.execution.target import BenchError, Job
from executors.contract import ExecutionRequest, ExecutorError, Stream
from executors.script.environment import build_environment
from executors.script.executor import ScriptExecutor
from executors.script.warm.series import IDLE_S

PAGE_HEAD = """\
# Benchmarks: the run step

What the executor alone takes for a run, without platform and database.
`python -m bench.execution.run_step --write docs/benchmarks-run-step.md` measures it and replaces
this page; how each figure is taken stands in `bench/README.md`.

*Bare* starts the interpreter on the script. *Cold* does so in the sandbox, *warm* forks from a
zygote into a sandbox of the run's own, and *one sandbox for all* is what rows of a batch have, and
runs of one person that nobody confirms. The CPU time of a cold run's process is not in its figure.

Read the ratios: they compare things measured in the same run, in turn.
"""
SETTLE_S = 0.02
"""Between two runs, so that what a zygote prepares ahead does not disturb the next measurement. Its
CPU time counts all the same."""
PACKAGE = "httpx"
SCRIPT = f"""\
import json
import sys

import {PACKAGE}


def main(n: int) -> dict[str, object]:
    return {{"n": n + 1, "package": {PACKAGE}.__name__}}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
"""


class Silent:
    """A sink for runs that print nothing."""

    def log(self, stream: Stream, text: str) -> None:
        raise BenchError(f"The run printed {text!r}")

    def left_out(self, size_bytes: int) -> None:
        pass

    def progress(self, fraction: float, message: str) -> None:
        raise BenchError(f"The run told its progress: {message}")

    def alive(self) -> bool:
        return True


@dataclass
class Way:
    """One way to run a script, and what was measured of it."""

    name: str
    run: Callable[[int], object]
    zygotes: Callable[[], list[int]] = list
    seconds: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def measure(self, n: int) -> None:
        before, began_at = cpu_s(), time.perf_counter()
        result = self.run(n)
        self.seconds.append(time.perf_counter() - began_at)
        self.cpu_s += cpu_s() - before
        if not isinstance(result, dict) or result.get("n") != n + 1:
            raise BenchError(f"{self.name}: wrong result {result!r} for n={n}")


def cpu_s() -> float:
    """Return the CPU seconds of this process and of its children that ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cpu_s_of(pids: list[int]) -> float:
    """Return the CPU seconds of living processes and of their children that ended."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def ways_of(
    folder: Path, python: Path, environment: Path | None, cold: ScriptExecutor,
    warm: ScriptExecutor, shared: ScriptExecutor, scratch: Path,
) -> list[Way]:  # fmt: skip
    """Return the four ways to run folder/main.py. environment: its interpreter, if it has one."""

    def run_bare(n: int) -> object:
        command = [str(environment or python), str(folder / "main.py"), json.dumps({"n": n})]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    def run_at(executor: ScriptExecutor, series: str = "") -> Callable[[int], object]:
        def run(n: int) -> object:
            workdir = Path(tempfile.mkdtemp(dir=scratch))
            request = ExecutionRequest(
                execution_id=f"run-{n}",
                tenant="bench",
                kind="script",
                resource={
                    "folder": str(folder),
                    "runtime": "python",
                    "entry": "main.py",
                    "python": str(environment) if environment else None,
                },
                inputs={"n": n},
                series=series,
            )
            result = executor.execute(request, Silent(), workdir=workdir)
            return result.output if result.output is not None else result.error

        return run

    return [
        Way("bare python main.py", run_bare),
        Way("ns, cold", run_at(cold)),
        Way("ns, warm", run_at(warm), warm.zygotes),
        Way("ns, warm, one sandbox for all", run_at(shared, series="one"), shared.zygotes),
    ]


def measure(ways: list[Way], rounds: int) -> None:
    """Run all ways in turn."""
    for n in range(2):
        for way in ways:
            way.run(n)
    time.sleep(10 * SETTLE_S)
    of_zygotes = [cpu_s_of(way.zygotes()) for way in ways]
    for n in range(rounds):
        for way in ways:
            way.measure(n)
            time.sleep(SETTLE_S)
    time.sleep(2 * IDLE_S)  # What a sandbox has used is known once it has ended.
    for way, before in zip(ways, of_zygotes, strict=True):
        way.cpu_s += cpu_s_of(way.zygotes()) - before


def rows_of(ways: list[Way]) -> list[list[str]]:
    floor = ways[0]
    return [
        [
            way.name,
            number(1000 * median(way.seconds)),
            number(1000 * percentile(way.seconds, 95)),
            number(median(way.seconds) / median(floor.seconds), 2),
            number(1000 * way.cpu_s / len(way.seconds)),
            number(way.cpu_s / floor.cpu_s, 2),
        ]
        for way in ways
    ]


def page_of(parts: Sequence[str], python: Path) -> str:
    """Return the page for the docs."""
    return "\n".join([PAGE_HEAD, facts(str(python), "ns"), *parts]) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.execution.run_step", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="runs of each way")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--without-package", action="store_true", help=f"leave {PACKAGE} out")
    options = parser.parse_args(arguments)
    scratch = Path(tempfile.mkdtemp(prefix="execfabric-bench-"))
    scratch.chmod(0o755)
    # Memory groups are off on a platform that nobody has set up otherwise.
    warm, shared = (
        ScriptExecutor(state_folder=scratch / "state", memory_groups=False) for _ in range(2)
    )
    cold = ScriptExecutor(state_folder=scratch / "state", memory_groups=False, warm=False)
    try:
        warm.check()
        shared.check()
        cold.check()
        python = warm.base_python()
        header = ["", "median ms", "p95 ms", "x bare", "CPU ms", "x bare"]
        ways = ways_of(Job("trivial").folder, python, None, cold, warm, shared, scratch)
        measure(ways, options.rounds)
        parts = [
            f"\n## The trivial job\n\n{options.rounds} rounds.\n",
            table(header, rows_of(ways)),
        ]
        print(*parts, sep="\n")
        if options.without_package:
            return
        folder = scratch / "script"
        folder.mkdir()
        (folder / "main.py").write_text(SCRIPT)
        (folder / "requirements.txt").write_text(f"{PACKAGE}\n")
        environment = build_environment(folder, root=scratch / "environments", python=python)
        ways = ways_of(folder, python, environment, cold, warm, shared, scratch)
        rounds = max(1, options.rounds // 3)
        measure(ways, rounds)
        more = [
            f"\n## A script that imports {PACKAGE}\n\n{rounds} rounds.\n",
            table(header, rows_of(ways)),
        ]
        print(*more, sep="\n")
        if options.write:
            options.write.write_text(page_of([*parts, *more], python))
    except (ExecutorError, BenchError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}")
    finally:
        warm.close()
        shared.close()
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
